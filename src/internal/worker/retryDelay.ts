/**
 * A `Schedule` as the backoff between attempts that may each run in another process: the delay before the next attempt
 * follows from how many there have been, which the server counts.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { MAX_UINT32 } from "../protocol/scalars.ts"

/** What a server can wait; who is asked for a delay may want it longer, or below zero. */
export const BOUNDS = { minimum: Duration.zero, maximum: Duration.seconds(MAX_UINT32) }

/**
 * The backoff of a worker that is not told otherwise: 1 second, doubled up to 5 minutes, of which a random part is waited.
 * Jobs that fail together, since what they need is away, do not come back together.
 */
export const DEFAULT_RETRY_SCHEDULE: Schedule.Schedule<unknown> = Schedule.modifyDelay(
  Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("5 minutes")]),
  ({ duration }) => Effect.map(Random.next, (part) => Duration.times(duration, 1 - part))
)

/**
 * The delay that the Schedule gives after the attempt with this number (from 1), or none if it is at its end by then. The
 * Schedule is replayed from its start, as if every attempt had failed with this error and taken no time.
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
    return Option.some(Duration.clamp(delay, BOUNDS))
  }).pipe(Pull.catchDone(() => Effect.succeedNone))
