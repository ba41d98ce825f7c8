/**
 * The end of a take: what becomes of the element, by how the Scope of the take ended.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type * as Claims from "../../Claims.ts"
import type { Failure } from "../../Protocol.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import { MAX_UINT32 } from "../protocol/scalars.ts"
import { giveBack, priorityAfter } from "./attempts.ts"
import { deadLetterOf } from "./deadLetterSignal.ts"
import type { FailedElements } from "./failedElements.ts"
import type { Taken } from "./queueIntake.ts"
import type { TakeOptions } from "./storeService.ts"

/** What settling needs. */
export interface SettleParts {
  readonly claims: Claims.Service
  readonly failed: FailedElements
}

const LONGEST_DELAY = Duration.seconds(MAX_UINT32)

// The lease is kept meanwhile. Longer would hold up the worker whose element is done.
const PATIENCE = Duration.seconds(6)

const AGAIN = Schedule.exponential("200 millis")

// Loggers are written by others: none may keep the Scope from its end.
const warn = (queue: string, { element, job }: Taken, message: string, cause: Cause.Cause<unknown>) =>
  Effect.logWarning(`element ${element.id}: ${message}`, cause).pipe(
    Effect.annotateLogs({ server: job.server, job: job.id, queue }),
    Effect.ignoreCause
  )

// A lease that has run out can still be ended on its connection, unless somebody else has the job.
const deleted = (job: ReservedJob): Effect.Effect<void, Failure<"delete">> =>
  Effect.suspend(() =>
    job.loss === "expired" ? Effect.callback<void, Failure<"delete">>((resume) => job.deleteLate(resume)) : job.delete
  )

// Completed first: if the job cannot be deleted any more, whoever takes it next sees that it is completed, and deletes it.
const complete = ({ claims }: SettleParts, queue: string, taken: Taken): Effect.Effect<void, Failure<"delete">> => {
  const { element, job } = taken
  if (element.token === undefined) return deleted(job)
  const mark = claims.completed(queue, element.id)
  // The time bounds it, not the number of tries: a store that is silent does not answer the first one.
  const marked = Effect.catchCause(
    Effect.timeout(Effect.retry(mark, AGAIN), PATIENCE),
    (cause) =>
      warn(queue, taken, "it is completed, but its claim could not be marked, and stays until it is removed", cause)
  )
  return Effect.andThen(marked, deleted(job))
}

const retry = (options: TakeOptions, { attempts, counters, job }: Taken) =>
  Effect.flatMap(
    options.retryDelay(attempts),
    (delay) => job.release({ delay: Duration.min(delay, LONGEST_DELAY), priority: priorityAfter(counters, attempts) })
  )

const end = (parts: SettleParts, options: TakeOptions, taken: Taken, exit: Exit.Exit<unknown, unknown>) => {
  if (Exit.isSuccess(exit)) return complete(parts, options.name, taken)
  const { attempts, element: what, job } = taken
  const fail = (cause: Cause.Cause<unknown>) =>
    parts.failed.record({ queue: options.name, job, what, attempts, lastFailure: Cause.pretty(cause) })
  const deadLetter = deadLetterOf(exit.cause)
  if (deadLetter !== undefined) return fail(deadLetter)
  if (Cause.hasInterruptsOnly(exit.cause)) return giveBack(job)
  return attempts >= options.maxAttempts ? fail(exit.cause) : retry(options, taken)
}

/** Settles the element. The end of a Scope can neither fail nor be tried again, so that what goes wrong is logged. */
export const settle = (
  parts: SettleParts,
  options: TakeOptions,
  taken: Taken,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<void> =>
  Effect.catchCause(
    Effect.suspend(() => end(parts, options, taken, exit)),
    (cause) =>
      Effect.andThen(
        warn(options.name, taken, "it could not be settled, and may be delivered again", cause),
        taken.job.end
      )
  )
