/**
 * What becomes of a job is judged here, and nowhere else, from data alone: nothing in this file talks to a server, runs
 * user code, or waits. `judge.ts` finds the data, and `settler.ts` carries out the verdict.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Errors from "../../Errors.ts"
import type { JobCounters } from "../job/lease.ts"
import { DecodeFailure } from "./decodeFailure.ts"
import { Discard, isA, Snooze } from "./directives.ts"
import { Expired } from "./expired.ts"
import type { Ran } from "./userCode.ts"

/** The settings that the judgement depends on. */
export interface PolicySettings {
  /** How many attempts a job has, not counting those that kicks add. */
  readonly maxAttempts: number
  /** How many crashes a job may be there at, not counting those that kicks allow. */
  readonly maxCrashes: number
  /** Whether a job that may have ended a process runs alone. */
  readonly isolateSuspects: boolean
  /** What becomes of a job whose handler dies of a defect. */
  readonly onDefect: "retry" | "bury"
  /** Whether a job whose body does not decode is tried again. */
  readonly retriesUndecodable: boolean
  /** What becomes of a job that has expired. */
  readonly onExpired: "discard" | "giveUp"
  /** Whether there is a `retryAfter` to be asked. */
  readonly hasRetryAfter: boolean
}

/** What the server has counted about a job. */
export type Counters = Pick<JobCounters, "id" | "reserves" | "timeouts" | "releases" | "buries" | "kicks">

// ---------------------------------------------------------------------------------------------------------------------
// Verdicts
// ---------------------------------------------------------------------------------------------------------------------

/** The job is ready again after the delay, with its own priority. No attempt has failed. */
export interface Release {
  readonly _tag: "Release"
  readonly delay: Duration.Duration
}

/** The attempt has failed, and the next one comes after the delay. */
export interface Retry<E> {
  readonly _tag: "Retry"
  readonly attempt: number
  readonly attempts: number
  readonly delay: Duration.Duration
  readonly cause: Cause.Cause<E | Errors.DecodeError>
}

/** The job comes again after the delay, as if it had not been reserved. The cause is empty if nothing has failed. */
export interface Postpone<E> {
  readonly _tag: "Postpone"
  readonly delay: Duration.Duration
  readonly cause: Cause.Cause<E>
}

/** Nobody needs the job any more. */
export interface Drop {
  readonly _tag: "Drop"
  readonly outcome: "discarded" | "expired"
  readonly reason: string
}

/** The job has failed for good. It goes to the dead-letter tube if there is one, and is buried if not. */
export interface GiveUp<E> {
  readonly _tag: "GiveUp"
  readonly cause: Cause.Cause<E | Errors.DecodeError>
}

/** The job has failed for good, and is buried even if there is a dead-letter tube. */
export interface Bury<E> {
  readonly _tag: "Bury"
  readonly cause: Cause.Cause<E>
}

/** What the worker does with a job. */
export type Verdict<E> = Release | Retry<E> | Postpone<E> | Drop | GiveUp<E> | Bury<E>

export const RELEASE: Release = { _tag: "Release", delay: Duration.zero }

// ---------------------------------------------------------------------------------------------------------------------
// Before the handler runs
// ---------------------------------------------------------------------------------------------------------------------

/** The handler may run. */
export interface Run {
  readonly _tag: "Run"
}

/** The handler may run while no other does; if another such job has its turn, this one is to come again after the delay. */
export interface Isolate {
  readonly _tag: "Isolate"
  readonly delay: Duration.Duration
}

const RUN: Run = { _tag: "Run" }

const MAX_ISOLATION_DELAY_SECONDS = 300

/**
 * How often the connection that had reserved the job was closed before anybody settled the job: beanstalkd counts how all
 * other reservations ended. A restart on the binlog can forget reserves.
 */
export const crashesOf = ({ buries, releases, reserves, timeouts }: Counters): number =>
  Math.max(0, reserves - 1 - releases - timeouts - buries)

/**
 * Whether the handler may run. A job that ends its process is never judged after its handler, so crashes have to be counted
 * before.
 */
export const admit = (
  counters: Counters,
  { isolateSuspects, maxCrashes }: Pick<PolicySettings, "isolateSuspects" | "maxCrashes">
): Run | Isolate | GiveUp<never> => {
  const { id, kicks, timeouts } = counters
  const crashes = crashesOf(counters)
  if (crashes >= maxCrashes + kicks) {
    const message =
      `job ${id} is not tried again: ${crashes} times the connection that had it reserved was closed before ` +
      "it was settled, as when its worker's process dies"
    return { _tag: "GiveUp", cause: Cause.die(new Error(message)) }
  }
  if (!isolateSuspects || crashes + timeouts === 0) return RUN
  return { _tag: "Isolate", delay: Duration.seconds(Math.min(2 ** crashes, MAX_ISOLATION_DELAY_SECONDS)) }
}

// ---------------------------------------------------------------------------------------------------------------------
// After the handler has ended
// ---------------------------------------------------------------------------------------------------------------------

/** How a handler ended that has not succeeded, with its job still to be settled. */
export type Ending<E> =
  /** The worker has interrupted it. No attempt has failed. */
  | { readonly _tag: "Stopped" }
  /** Something else than the worker has interrupted it: it joined a fiber that was interrupted, for instance. */
  | { readonly _tag: "Interrupted"; readonly cause: Cause.Cause<E> }
  /** The handler never began, since the body does not decode. */
  | { readonly _tag: "Undecodable"; readonly error: Errors.DecodeError }
  /** The handler died of a defect. */
  | { readonly _tag: "Died"; readonly cause: Cause.Cause<E> }
  /** The handler failed with an error of its type. */
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<E>; readonly error: E }
  /** The handler postpones its job. */
  | { readonly _tag: "Snoozed"; readonly delay: Duration.Duration }
  /** The handler discards its job. */
  | { readonly _tag: "Discarded"; readonly reason: string }
  /** The handler never began, since nobody needs the job any more. */
  | { readonly _tag: "Expired"; readonly reason: string }

const STOPPED = { _tag: "Stopped" } as const

/** What a handler can end with, beside success. */
export type HandlerFailure<E> = E | Snooze | Discard | Expired | DecodeFailure

/** Tells the endings apart. It throws for an exit whose cause is no `Cause`, which a handler can bring about. */
export const endingOf = <E>(
  exit: Exit.Failure<unknown, HandlerFailure<E>>,
  wasStopped: boolean
): Ending<E> => {
  const cause = exit.cause as Cause.Cause<E>
  if (Cause.hasInterruptsOnly(cause)) return wasStopped ? STOPPED : { _tag: "Interrupted", cause }
  const error: unknown = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (isA(error, DecodeFailure)) return { _tag: "Undecodable", error: error.error }
  if (Cause.hasDies(cause)) return { _tag: "Died", cause }
  if (isA(error, Snooze)) return { _tag: "Snoozed", delay: error.delay }
  if (isA(error, Expired)) return { _tag: "Expired", reason: error.reason }
  if (isA(error, Discard)) return { _tag: "Discarded", reason: error.reason }
  return { _tag: "Failed", cause, error: error as E }
}

/** Whether this ending is a failed attempt, unless the error says that it is none. */
export const hasFailed = (ending: Ending<unknown>): boolean => "cause" in ending || ending._tag === "Undecodable"

/** What has been found out about a job whose handler has ended. */
export interface Facts {
  readonly counters?: Pick<Counters, "reserves" | "kicks">
  /** What `retryAfter` gave: a delay, or none if the error is one like any other. */
  readonly retryAfter?: Ran<Option.Option<Duration.Duration>>
  /** What the retry policy gave: a delay, or none if there is no further attempt. */
  readonly delay?: Ran<Option.Option<Duration.Duration>>
}

export const NOTHING_KNOWN: Facts = {}

/** What has to be found out first. Each costs something: a round trip, or running user code. */
export type Question<E> =
  | { readonly _tag: "AskCounters" }
  /** Asks `retryAfter` about the error. */
  | { readonly _tag: "AskRetryAfter"; readonly error: E }
  /** Asks `retryIf` about the error, if it is one of the handler's type, and the Schedule for its delay after this attempt. */
  | { readonly _tag: "AskDelay"; readonly attempt: number; readonly error: Option.Option<E> }

const ASK_COUNTERS = { _tag: "AskCounters" } as const

/** The verdict on a job whose handler has ended, or what has to be found out to give one. */
export const decide = <E>(
  ending: Ending<E>,
  facts: Facts,
  settings: PolicySettings
): Verdict<E> | Question<E> => {
  switch (ending._tag) {
    case "Stopped":
      return RELEASE
    case "Snoozed":
      return { _tag: "Postpone", delay: ending.delay, cause: Cause.empty }
    case "Discarded":
      return { _tag: "Drop", outcome: "discarded", reason: ending.reason }
    case "Expired":
      return settings.onExpired === "discard"
        ? { _tag: "Drop", outcome: "expired", reason: ending.reason }
        : { _tag: "GiveUp", cause: Cause.die(new Error(ending.reason)) }
    case "Undecodable": {
      const cause = Cause.fail(ending.error)
      return settings.retriesUndecodable
        ? decideRetry<E>(cause, Option.none(), facts, settings)
        : { _tag: "GiveUp", cause }
    }
    case "Died":
      return settings.onDefect === "bury"
        ? { _tag: "Bury", cause: ending.cause }
        : decideRetry(ending.cause, Option.none(), facts, settings)
    case "Interrupted":
      return decideRetry(ending.cause, Option.none(), facts, settings)
    case "Failed":
      return decideFailed(ending, facts, settings)
  }
}

const decideFailed = <E>(
  { cause, error }: Extract<Ending<E>, { _tag: "Failed" }>,
  facts: Facts,
  settings: PolicySettings
): Verdict<E> | Question<E> => {
  const { retryAfter } = facts
  if (settings.hasRetryAfter && retryAfter === undefined) return { _tag: "AskRetryAfter", error }
  if (retryAfter?._tag === "Returned" && Option.isSome(retryAfter.value)) {
    return { _tag: "Postpone", delay: retryAfter.value.value, cause }
  }
  // It did not say that the attempt has failed, and the shutdown must not wait until it does.
  if (retryAfter?._tag === "OutOfTime") return RELEASE
  return decideRetry(cause, Option.some(error), facts, settings)
}

const decideRetry = <E>(
  cause: Cause.Cause<E | Errors.DecodeError>,
  error: Option.Option<E>,
  { counters, delay }: Facts,
  { maxAttempts }: PolicySettings
): Retry<E> | GiveUp<E> | Question<E> => {
  if (counters === undefined) return ASK_COUNTERS
  const { kicks, reserves } = counters
  const attempts = maxAttempts + kicks
  if (reserves >= attempts) return { _tag: "GiveUp", cause }
  if (delay === undefined) return { _tag: "AskDelay", attempt: reserves, error }
  const retry = (delay: Duration.Duration): Retry<E> => ({ _tag: "Retry", attempt: reserves, attempts, delay, cause })
  switch (delay._tag) {
    case "Returned":
      return Option.match(delay.value, { onNone: (): GiveUp<E> => ({ _tag: "GiveUp", cause }), onSome: retry })
    case "Died":
      return { _tag: "GiveUp", cause }
    // The policy did not say that there is no further attempt, and the shutdown must not wait until it does.
    case "OutOfTime":
      return retry(Duration.zero)
  }
}
