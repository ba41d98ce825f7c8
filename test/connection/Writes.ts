/**
 * Watches what Node's sockets are given to write: how often, and how much of it they have to keep.
 */
import * as Effect from "effect/Effect"
import * as Net from "node:net"

export interface Writes {
  /** The bytes of each write to that port so far. */
  readonly sizes: ReadonlyArray<number>
  /** The most that a socket ever kept because it could not be sent yet. */
  readonly mostUnsent: () => number
}

/** Of the connections to `port`, until the Scope ends. */
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
