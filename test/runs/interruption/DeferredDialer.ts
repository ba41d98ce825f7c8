/**
 * A network that takes its time, without a clock: whatever is sent arrives in a later turn, in order.
 */
import * as Effect from "effect/Effect"
import type { Dialer, Handlers, Transport } from "../../../src/internal/connection/transport.ts"

/** The same server behind such a network. */
export const defer = (dialer: Dialer): Dialer => ({
  server: dialer.server,
  open: Effect.fnUntraced(function*(handlers: Handlers) {
    const fork = Effect.runForkWith(yield* Effect.context())
    const onTheirWay: Array<() => void> = []
    let isOpen = true

    const later = (task: () => void) => {
      onTheirWay.push(task)
      fork(Effect.andThen(Effect.yieldNow, Effect.sync(() => onTheirWay.shift()!())))
    }
    const laterIfOpen = (task: () => void) => later(() => isOpen && task())

    yield* Effect.yieldNow
    const transport = yield* dialer.open({
      onData: (piece) => laterIfOpen(() => handlers.onData(piece)),
      onDrain: () => laterIfOpen(() => handlers.onDrain()),
      onClose: (reason) => laterIfOpen(() => handlers.onClose(reason))
    })
    yield* Effect.yieldNow
    const deferred: Transport = {
      write: (bytes) => {
        laterIfOpen(() => transport.write(bytes))
        return true
      },
      destroy: () => {
        isOpen = false
        later(() => transport.destroy())
      }
    }
    return deferred
  })
})
