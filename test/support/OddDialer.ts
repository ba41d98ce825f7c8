/**
 * A way to a server in memory that does not have all commands, or whose connections are cut when they are silent.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Dialer, Handlers, Transport } from "../../src/internal/connection/transport.ts"
import * as Errors from "../../src/Errors.ts"

export interface Oddities {
  /** The commands that the server refuses by now, by their names in the protocol. */
  readonly refused: Set<string>
  /** What it answers to them. */
  answer: "UNKNOWN_COMMAND" | "INTERNAL_ERROR"
}

const replace = (bytes: Uint8Array, what: string, by: string): Uint8Array =>
  Buffer.from(Buffer.from(bytes).toString("latin1").replaceAll(what, by), "latin1")

/** Commands with the names that are refused get names that no server knows, and what it says to those is changed. */
export const refusing = (dialer: Dialer, oddities: Oddities): Dialer => ({
  server: dialer.server,
  open: (handlers) =>
    Effect.map(
      dialer.open({
        ...handlers,
        onData: (bytes) => handlers.onData(replace(bytes, "UNKNOWN_COMMAND", oddities.answer))
      }),
      (transport): Transport => ({
        ...transport,
        write: (bytes) => {
          let odd = bytes
          for (const name of oddities.refused) odd = replace(odd, `${name} `, `${"x".repeat(name.length)} `)
          return transport.write(odd)
        }
      })
    )
})

/** Connections on which nothing passes for so long are cut, as a load balancer does it. */
export const cuttingSilence = (dialer: Dialer, millis: number): Dialer => ({
  server: dialer.server,
  open: Effect.fnUntraced(function*(handlers: Handlers) {
    const clock = yield* Clock.Clock
    let heardAt = clock.currentTimeMillisUnsafe()
    const hear = () => {
      heardAt = clock.currentTimeMillisUnsafe()
    }
    const transport = yield* dialer.open({
      ...handlers,
      onData: (bytes) => {
        hear()
        handlers.onData(bytes)
      }
    })
    const watch = Effect.gen(function*() {
      let rest = millis
      while (rest > 0) {
        yield* Effect.sleep(rest)
        rest = heardAt + millis - clock.currentTimeMillisUnsafe()
      }
      transport.destroy()
      handlers.onClose(new Errors.ConnectionClosed({ detail: "a load balancer cut it" }))
    })
    yield* Effect.forkScoped(watch)
    return {
      ...transport,
      write: (bytes: Uint8Array) => {
        hear()
        return transport.write(bytes)
      }
    }
  })
})
