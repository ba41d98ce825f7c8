/**
 * Watches the writes to Node's sockets: how often, and how many bytes the sockets have to keep.
 */
import * as Effect from "effect/Effect"
import * as Net from "node:net"

export interface Writes {
  /** The bytes of each write to that port so far. */
  readonly sizes: ReadonlyArray<number>
  /** The largest number of unsent bytes that a socket ever kept. */
  readonly mostUnsent: () => number
}

/** Watches the connections to `port`, until the Scope ends. */
export const watchWrites = Effect.fnUntraced(function*(port: number) {
  const sizes: Array<number> = []
  let mostUnsent = 0
  const inherited = Reflect.get(Net.Socket.prototype, "write")
  const write = function(this: Net.Socket, ...args: [bytes: Uint8Array]) {
    const result: boolean = Reflect.apply(inherited, this, args)
    if (this.remotePort === port) {
      sizes.push(args[0].length)
      mostUnsent = Math.max(mostUnsent, this.writableLength)
    }
    return result
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => Object.defineProperty(Net.Socket.prototype, "write", { value: write, configurable: true })),
    () => Effect.sync(() => Reflect.deleteProperty(Net.Socket.prototype, "write"))
  )
  const writes: Writes = { sizes, mostUnsent: () => mostUnsent }
  return writes
})
