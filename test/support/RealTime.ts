/**
 * Real time, also inside `it.effect`, where the current clock is a TestClock that stands still: sockets and
 * processes do not wait for it.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

const clock = Clock.Clock.defaultValue()

/** Runs `effect`, with all that it sleeps and times, on real time. */
export const inRealTime: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = Effect.provideService(
  Clock.Clock,
  clock
)

export const sleep = (duration: Duration.Input): Effect.Effect<void> => inRealTime(Effect.sleep(duration))

/** Milliseconds from an arbitrary origin; never runs backwards. */
export const now: Effect.Effect<number> = Effect.map(clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1_000_000)

/** Ends `effect` after `duration` of real time; its own sleeps stay on the caller's clock. */
export const timeoutOrElse = Effect.fnUntraced(function*<A, E, R, A2, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  options: { readonly duration: Duration.Input; readonly orElse: () => Effect.Effect<A2, E2, R2> }
) {
  const callers = yield* Clock.Clock
  const onCallersClock = Effect.provideService(effect, Clock.Clock, callers)
  const orElse = () => Effect.provideService(options.orElse(), Clock.Clock, callers)
  return yield* inRealTime(Effect.timeoutOrElse(onCallersClock, { duration: options.duration, orElse }))
})
