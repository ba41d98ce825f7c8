/**
 * Real time, but faster: a test keeps the defaults that users have, and does not wait ten real seconds for a timeout.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

const real = Clock.Clock.defaultValue()

const make = (factor: number): Clock.Clock => {
  const origin = real.currentTimeNanosUnsafe()
  const fast = (nanos: bigint) => origin + (nanos - origin) * BigInt(factor)
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => Number(clock.currentTimeNanosUnsafe() / 1_000_000n),
    currentTimeMillis: Effect.sync(() => clock.currentTimeMillisUnsafe()),
    currentTimeNanosUnsafe: () => fast(real.currentTimeNanosUnsafe()),
    currentTimeNanos: Effect.sync(() => clock.currentTimeNanosUnsafe()),
    monotonicTimeNanosUnsafe: () => real.monotonicTimeNanosUnsafe() * BigInt(factor),
    monotonicTimeNanos: Effect.sync(() => clock.monotonicTimeNanosUnsafe()),
    sleep: (duration) => real.sleep(Duration.times(duration, 1 / factor))
  }
  return clock
}

/** Runs `effect` on a clock that is `factor` times as fast. */
export const fasterBy = (factor: number) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Clock.Clock, make(factor))
