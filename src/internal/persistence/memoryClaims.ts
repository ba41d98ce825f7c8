/**
 * Claims in the memory of this process.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Claims from "../../Claims.ts"
import { COMPLETED, keyOf } from "./claim.ts"

interface Held {
  readonly token: string
  completedAt: number | undefined
}

/** Makes claims that end with the process. */
export const make: Effect.Effect<Claims.Service> = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const claims = new Map<string, Held>()
  return {
    lookup: (queue, id) => Effect.sync(() => claims.get(keyOf(queue, id))?.token),
    claim: (queue, id, token) =>
      Effect.sync(() => {
        const key = keyOf(queue, id)
        const held = claims.get(key)
        if (held !== undefined) return held.completedAt === undefined ? held.token : COMPLETED
        claims.set(key, { token, completedAt: undefined })
        return token
      }),
    completed: (queue, id) =>
      Effect.sync(() => {
        const held = claims.get(keyOf(queue, id))
        if (held !== undefined) held.completedAt ??= clock.currentTimeMillisUnsafe()
      }),
    remove: (queue, id) => Effect.sync(() => void claims.delete(keyOf(queue, id))),
    cleanup: ({ timeToLive }) =>
      Effect.sync(() => {
        const until = clock.currentTimeMillisUnsafe() - Duration.toMillis(timeToLive)
        for (const [key, { completedAt }] of claims) {
          if (completedAt !== undefined && completedAt <= until) claims.delete(key)
        }
      })
  }
})
