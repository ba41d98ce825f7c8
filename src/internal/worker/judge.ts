/**
 * Finds out what the policy needs to judge a job whose handler has not succeeded, asking the server and the user's retry
 * policy only for what the verdict depends on.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Option from "effect/Option"
import type { Failure } from "../../Protocol.ts"
import type { JobStats } from "../../Stats.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import type { JobRecorder } from "../telemetry/jobRecorder.ts"
import type { DecodeFailure } from "./decodeFailure.ts"
import { type Needs, typed } from "./handlerEffect.ts"
import * as Policy from "./policy.ts"
import { delayAfter } from "./retryDelay.ts"
import type { Settings } from "./settings.ts"
import { log, type Ran, type UserCode } from "./userCode.ts"

/** The statistics of a job, asked from the server once. */
export const statsOf = (job: ReservedJob): Effect.Effect<JobStats, Failure<"statsJob">> =>
  job.known === undefined ? Effect.callback((resume) => job.inspect(resume)) : Effect.succeed(job.known)

/** Judges a job whose handler has not succeeded. */
export type Judge<E, R> = (
  job: ReservedJob,
  exit: Exit.Failure<unknown, E | DecodeFailure>
) => Effect.Effect<Policy.Verdict<E>, Failure<"statsJob">, Needs<R>>

/** The judge of one worker. */
export const make = <A, E, R>(
  settings: Settings<A, E, R>,
  userCode: UserCode,
  recorderOf: (job: ReservedJob) => JobRecorder
): Judge<E, R> => {
  const { onFailure, retryIf, retrySchedule } = settings

  const askDelay = Effect.fnUntraced(function*(
    job: ReservedJob,
    attempt: number,
    error: E
  ): Effect.fn.Return<Ran<Option.Option<Duration.Duration>>> {
    const ran = yield* userCode.run(
      Effect.suspend(() =>
        retryIf(error, typed<A>(job)) ? delayAfter(retrySchedule, attempt, error) : Effect.succeedNone
      )
    )
    if (ran._tag === "Died") yield* log("Error", "the retry policy of the worker died", ran.cause)
    return ran
  })

  return Effect.fnUntraced(function*(job, exit) {
    const ending = Policy.endingOf(exit)
    if (Policy.hasFailed(ending)) recorderOf(job).count("failed")
    if (onFailure !== undefined && "cause" in ending) {
      yield* userCode.hook(() => onFailure(ending.cause, typed<A>(job)))
    }
    let facts = Policy.NOTHING_KNOWN
    while (true) {
      const decided = Policy.decide(ending, facts, settings)
      if (decided._tag === "AskCounters") facts = { ...facts, counters: yield* statsOf(job) }
      else if (decided._tag === "AskDelay") {
        facts = { ...facts, delay: yield* askDelay(job, decided.attempt, decided.error) }
      } else return decided
    }
  })
}
