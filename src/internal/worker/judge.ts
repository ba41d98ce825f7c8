/**
 * Finds out what the policy needs to judge a job whose handler has not succeeded, asking the server and the user's retry
 * policy only for what the verdict depends on.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Head } from "../../Envelope.ts"
import type { Failure } from "../../Protocol.ts"
import type { JobCounters } from "../job/lease.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import type { JobRecorder } from "../telemetry/jobRecorder.ts"
import { type Needs, typed } from "./handlerEffect.ts"
import * as Policy from "./policy.ts"
import type { Refusals } from "./refusals.ts"
import { BOUNDS, DEFAULT_RETRY_SCHEDULE, delayAfter } from "./retryDelay.ts"
import type { Settings } from "./settings.ts"
import { log, type Ran, type UserCode } from "./userCode.ts"

// A `retry-after` that is over by now says 0 or less. No attempt is used, so that the job would come back in a tight loop.
const POSTPONED = { ...BOUNDS, minimum: Duration.seconds(1) }

/** The counters of a job, asked from the server once. */
export const countersOf = (job: ReservedJob): Effect.Effect<JobCounters, Failure<"statsJob">> =>
  Effect.suspend(() =>
    job.known === undefined
      ? Effect.callback<JobCounters, Failure<"statsJob">>((resume) => job.inspect(resume))
      : Effect.succeed(job.known)
  )

// A job can say itself how many attempts it has.
const withOwn = (settings: Policy.PolicySettings, head: Head | undefined): Policy.PolicySettings =>
  head?.maxAttempts === undefined ? settings : { ...settings, maxAttempts: head.maxAttempts }

/** Judges a job whose handler has not succeeded. */
export type Judge<E, R> = (
  job: ReservedJob,
  exit: Exit.Failure<unknown, Policy.HandlerFailure<E>>,
  wasStopped: boolean
) => Effect.Effect<Policy.Verdict<E>, Failure<"statsJob">, Needs<R>>

/** What a judge works with. */
export interface Parts<A, E, R> {
  readonly settings: Settings<A, E, R>
  readonly userCode: UserCode
  readonly refusals: Refusals
  readonly recorderOf: (job: ReservedJob) => JobRecorder
}

/** The judge of one worker. */
export const make = <A, E, R>({ recorderOf, refusals, settings, userCode }: Parts<A, E, R>): Judge<E, R> => {
  const { onFailure, retryAfter, retryIf, retrySchedule } = settings

  const ask = Effect.fnUntraced(function*<B>(what: string, question: Effect.Effect<B>): Effect.fn.Return<Ran<B>> {
    const ran = yield* userCode.run(question)
    if (ran._tag === "Died") yield* log("Error", `the ${what} of the worker died`, ran.cause)
    return ran
  })

  const askRetryAfter = (job: ReservedJob, error: E) =>
    ask(
      "retryAfter",
      Effect.sync(() => {
        const delay = retryAfter?.(error, typed<A>(job))
        return delay === undefined
          ? Option.none<Duration.Duration>()
          : Option.some(Duration.clamp(Duration.fromInputUnsafe(delay), POSTPONED))
      })
    )

  const askDelay = (job: ReservedJob, attempt: number, error: E) =>
    ask(
      "retry policy",
      Effect.suspend(() =>
        retryIf(error, typed<A>(job)) ? delayAfter(retrySchedule, attempt, error) : Effect.succeedNone
      )
    )

  // The Schedule may look at errors, and is not made for what is no error of the handler's type.
  const askDelayOfDefect = Effect.fnUntraced(function*(attempt: number, cause: Cause.Cause<unknown>) {
    const ran = yield* userCode.run(delayAfter(retrySchedule, attempt, Cause.squash(cause) as E))
    if (ran._tag !== "Died") return ran
    return yield* userCode.run(delayAfter(DEFAULT_RETRY_SCHEDULE, attempt, undefined))
  })

  // A server that does not tell them: then the runs count that have failed here.
  const askCounters = (job: ReservedJob) =>
    Effect.catchIf(
      countersOf(job),
      (error) => refusals.isRefusal(job, error),
      (error) => Effect.as(refusals.say("stats-job", error), refusals.countersOf(job))
    )

  return Effect.fnUntraced(function*(job, exit, wasStopped) {
    const ending = Policy.endingOf(exit, wasStopped)
    let facts = Policy.NOTHING_KNOWN
    const ownSettings = withOwn(settings, typed<A>(job).envelope)
    if (ending._tag === "Expired" && settings.onExpired === "giveUp") recorderOf(job).count("expired")
    let isNoticed = !Policy.hasFailed(ending)
    while (true) {
      const decided = Policy.decide(ending, facts, ownSettings)
      if (decided._tag === "AskRetryAfter") {
        facts = { ...facts, retryAfter: yield* askRetryAfter(job, decided.error) }
        continue
      }
      // Here it is known whether an attempt was used.
      if (!isNoticed && decided._tag !== "Postpone") {
        isNoticed = true
        recorderOf(job).count("failed")
        if (onFailure !== undefined && "cause" in ending) {
          yield* userCode.hook(() => onFailure(ending.cause, typed<A>(job)))
        }
      }
      if (decided._tag === "AskCounters") facts = { ...facts, counters: yield* askCounters(job) }
      else if (decided._tag === "AskDelay") {
        const { attempt, error } = decided
        facts = {
          ...facts,
          delay: Option.isSome(error)
            ? yield* askDelay(job, attempt, error.value)
            : yield* askDelayOfDefect(attempt, exit.cause)
        }
      } else return decided
    }
  })
}
