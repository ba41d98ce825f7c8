/**
 * Fibers for what is not a fiber itself: for listeners and timers below the level of Effects.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"

/** Starts a fiber that ends with a Scope. */
export type ScopedFork = (effect: Effect.Effect<void>) => Fiber.Fiber<void>

/** Makes a {@link ScopedFork}. */
export const scopedFork: Effect.Effect<ScopedFork, never, Scope.Scope> = Effect.gen(function*() {
  const fibers = yield* Scope.fork(yield* Effect.scope)
  const run = Effect.runForkWith(yield* Effect.context())
  return (effect) => Fiber.runIn(run(effect), fibers)
})
