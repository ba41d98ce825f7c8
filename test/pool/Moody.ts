/**
 * A server in memory that can be away, that can close connections at once, and whose connections can be cut.
 */
import { Effect } from "effect"
import { Errors, Server } from "effect-beanstalkd"
import type { Dialer, Handlers } from "../../src/internal/connection/transport.ts"

const CLOSED = new Errors.ConnectionClosed({ detail: "the server closed it" })

export type Mood = "there" | "away" | "closes"

/** A server, the way to it, and what sets its mood. It tells how often it was dialed. */
export const moody = Effect.fnUntraced(function*() {
  const server = yield* Server.makeMemory()
  const inner = server.clientOptions.dialer!
  const open: Array<Handlers> = []
  const dials = { count: 0 }
  let mood: Mood = "there"
  const dialer: Dialer = {
    server: "moody",
    open: (handlers) =>
      Effect.suspend(() => {
        dials.count++
        if (mood === "away") return Effect.fail(new Errors.OpenError({ cause: new Error("ECONNREFUSED") }))
        open.push(handlers)
        if (mood === "there") return inner.open(handlers)
        const close = Effect.sync(() => handlers.onClose(CLOSED))
        return Effect.as(Effect.forkDetach(Effect.andThen(Effect.yieldNow, close)), {
          write: () => true,
          destroy: () => {}
        })
      })
  }
  const cut = () => open.splice(0).forEach((handlers) => handlers.onClose(CLOSED))
  const set = (next: Mood) =>
    Effect.sync(() => {
      mood = next
      if (next !== "there") cut()
    })
  return { dialer, dials, server, set, cut: Effect.sync(cut) }
})
