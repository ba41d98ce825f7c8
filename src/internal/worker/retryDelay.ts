/**
 * A `Schedule` as the policy for attempts of which each may run in another process: the delay before the next one follows
 * from how many there have been, which the server counts.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"

/**
 * The delay that the Schedule gives after the attempt with this number (from 1), or none if it is at its end by then. It is
 * played from its start, as if every attempt had failed with this error and taken no time.
 */
export const delayAfter = <E>(
  schedule: Schedule.Schedule<unknown, E>,
  attempt: number,
  error: E
): Effect.Effect<Option.Option<Duration.Duration>> =>
  Effect.gen(function*() {
    const step = yield* Schedule.toStep(schedule)
    let now = 0
    let delay = Duration.zero
    for (let n = 1; n <= attempt; n++) {
      const next = yield* step(now, error)
      delay = next[1]
      now += Duration.toMillis(delay)
    }
    return Option.some(delay)
  }).pipe(Pull.catchDone(() => Effect.succeedNone))
