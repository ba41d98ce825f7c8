/**
 * What becomes of a job is judged here, and nowhere else, from data alone: nothing in this file talks to a server, runs
 * user code, or waits. `judge.ts` finds the data, and `settler.ts` carries out the verdict.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Errors from "../../Errors.ts"
import type { JobStats } from "../../Stats.ts"
import { type DecodeFailure, isDecodeFailure } from "./decodeFailure.ts"
import type { Ran } from "./userCode.ts"

/** The settings that the judgement depends on. */
export interface PolicySettings {
  /** How many attempts a job has, not counting those that kicks add. */
  readonly maxAttempts: number
}

/** What the server has counted about a job. */
export type Counters = Pick<JobStats, "id" | "reserves" | "kicks">

// ---------------------------------------------------------------------------------------------------------------------
// Verdicts
// ---------------------------------------------------------------------------------------------------------------------

/** The work is done. */
export interface Delete {
  readonly _tag: "Delete"
}

/** The job is ready again at once, with its own priority. No attempt has failed. */
export interface Release {
  readonly _tag: "Release"
}

/** The attempt has failed, and the next one comes after the delay. */
export interface Retry<E> {
  readonly _tag: "Retry"
  readonly attempt: number
  readonly delay: Duration.Duration
  readonly cause: Cause.Cause<E>
}

/** The job has failed for good. It goes to the dead-letter tube if there is one, and is buried if not. */
export interface GiveUp<E> {
  readonly _tag: "GiveUp"
  readonly cause: Cause.Cause<E>
}

/** The job has failed for good, and is buried even if there is a dead-letter tube. */
export interface Bury<E> {
  readonly _tag: "Bury"
  readonly cause: Cause.Cause<E | Errors.DecodeError>
}

/** What the worker does with a job. */
export type Verdict<E> = Delete | Release | Retry<E> | GiveUp<E> | Bury<E>

const DELETE: Delete = { _tag: "Delete" }

export const RELEASE: Release = { _tag: "Release" }

// ---------------------------------------------------------------------------------------------------------------------
// Before the handler runs
// ---------------------------------------------------------------------------------------------------------------------

/** The handler may run. */
export interface Run {
  readonly _tag: "Run"
}

const RUN: Run = { _tag: "Run" }

/**
 * Whether the handler may run. A job that ends its process is never judged after its handler, so its attempts have to be
 * counted before.
 */
export const admit = ({ id, kicks, reserves }: Counters, { maxAttempts }: PolicySettings): Run | GiveUp<never> => {
  if (reserves <= maxAttempts + kicks) return RUN
  const message = `job ${id} was reserved ${reserves} times and never settled: it may end its worker's process`
  return { _tag: "GiveUp", cause: Cause.die(new Error(message)) }
}

// ---------------------------------------------------------------------------------------------------------------------
// After the handler has ended
// ---------------------------------------------------------------------------------------------------------------------

/** The handler succeeded, with whatever value. */
export interface Succeeded {
  readonly _tag: "Succeeded"
}

/** How a handler ended, with its job still to be settled. */
export type Ending<E> =
  | Succeeded
  /** By the shutdown or otherwise. No attempt has failed. */
  | { readonly _tag: "Interrupted" }
  /** The handler never began, since the body does not decode. */
  | { readonly _tag: "Undecodable"; readonly error: Errors.DecodeError }
  /** The handler died of a defect. */
  | { readonly _tag: "Died"; readonly cause: Cause.Cause<E> }
  /** The handler failed with an error of its type. */
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<E>; readonly error: E }

export const SUCCEEDED: Succeeded = { _tag: "Succeeded" }

const INTERRUPTED = { _tag: "Interrupted" } as const

/** Tells the endings apart. It throws for an exit whose cause is no `Cause`, which a handler can bring about. */
export const endingOf = <E>(exit: Exit.Failure<unknown, E | DecodeFailure>): Exclude<Ending<E>, Succeeded> => {
  if (Cause.hasInterruptsOnly(exit.cause)) return INTERRUPTED
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  if (isDecodeFailure(error)) return { _tag: "Undecodable", error: error.error }
  const cause = exit.cause as Cause.Cause<E>
  return Cause.hasDies(cause) ? { _tag: "Died", cause } : { _tag: "Failed", cause, error: error as E }
}

/** Whether this ending is a failed attempt, and is counted as one. */
export const hasFailed = (ending: Exclude<Ending<unknown>, Succeeded>): boolean => ending._tag !== "Interrupted"

/** What has been found out about a job whose handler has ended. */
export interface Facts {
  readonly counters?: Counters
  /** What the retry policy gave: a delay, or none if there is no further attempt. */
  readonly delay?: Ran<Option.Option<Duration.Duration>>
}

export const NOTHING_KNOWN: Facts = {}

/** What has to be found out first. Each costs something: a round trip, or running user code. */
export type Question<E> =
  | { readonly _tag: "AskCounters" }
  /** Asks `retryIf` about the error, and the Schedule for its delay after this attempt. */
  | { readonly _tag: "AskDelay"; readonly attempt: number; readonly error: E }

const ASK_COUNTERS = { _tag: "AskCounters" } as const

/** The verdict on a job whose handler has ended, or what has to be found out to give one. */
export function decide(ending: Succeeded, facts: Facts, settings: PolicySettings): Delete
export function decide<E>(ending: Ending<E>, facts: Facts, settings: PolicySettings): Verdict<E> | Question<E>
export function decide<E>(ending: Ending<E>, facts: Facts, settings: PolicySettings): Verdict<E> | Question<E> {
  switch (ending._tag) {
    case "Succeeded":
      return DELETE
    case "Interrupted":
      return RELEASE
    case "Undecodable":
      return { _tag: "Bury", cause: Cause.fail(ending.error) }
    case "Died":
      return { _tag: "Bury", cause: ending.cause }
    case "Failed":
      return decideFailed(ending, facts, settings)
  }
}

const decideFailed = <E>(
  { cause, error }: Extract<Ending<E>, { _tag: "Failed" }>,
  { counters, delay }: Facts,
  { maxAttempts }: PolicySettings
): Retry<E> | GiveUp<E> | Question<E> => {
  if (counters === undefined) return ASK_COUNTERS
  const { kicks, reserves } = counters
  if (reserves >= maxAttempts + kicks) return { _tag: "GiveUp", cause }
  if (delay === undefined) return { _tag: "AskDelay", attempt: reserves, error }
  switch (delay._tag) {
    case "Returned":
      return Option.match(delay.value, {
        onNone: () => ({ _tag: "GiveUp", cause }),
        onSome: (delay) => ({ _tag: "Retry", attempt: reserves, delay, cause })
      })
    case "Died":
      return { _tag: "GiveUp", cause }
    // The policy did not say that there is no further attempt, and the shutdown must not wait until it does.
    case "OutOfTime":
      return { _tag: "Retry", attempt: reserves, delay: Duration.zero, cause }
  }
}
