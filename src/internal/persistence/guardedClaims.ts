/**
 * Claims as the store calls them. Anybody can write claims: a call may throw, give no Effect, or not end, and none of these may
 * keep an element.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Claims from "../../Claims.ts"

/**
 * Makes the call in a fiber of its own. A throw is a defect there, and yielding what is no Effect ends that fiber alone. Whoever
 * is interrupted does not wait for the call to end: it cannot while its store is silent and it is uninterruptible, or waits for
 * an answer to its own end.
 */
const apart = <A, E>(call: () => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.forkDetach(Effect.suspend(call), { startImmediately: true }),
      (fiber) => Effect.onInterrupt(restore(Fiber.join(fiber)), () => Effect.sync(() => fiber.interruptUnsafe()))
    )
  )

/** The same claims, whose calls neither throw nor outlast an interruption. */
export const guarded = (claims: Claims.Service): Claims.Service => ({
  lookup: (queue, id) => apart(() => claims.lookup(queue, id)),
  claim: (queue, id, token) => apart(() => claims.claim(queue, id, token)),
  completed: (queue, id) => apart(() => claims.completed(queue, id)),
  remove: (queue, id) => apart(() => claims.remove(queue, id)),
  cleanup: (options) => apart(() => claims.cleanup(options))
})
