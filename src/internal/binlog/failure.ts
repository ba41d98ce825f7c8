/**
 * Why a binlog cannot be used.
 */

import * as Effect from "effect/Effect"

/** What was tried with which file or directory, and what the system or the contents said to it. */
export interface Failure {
  readonly path: string
  readonly operation: "lock" | "read" | "write" | "sync" | "remove"
  /** The place in the file, in bytes, if the trouble is there. */
  readonly offset?: number | undefined
  readonly cause: unknown
}

/** A failure that is thrown. */
export class BinlogFailure extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.operation)
    this.failure = failure
  }
}

/** Runs a step; what it throws becomes the cause of a failure. */
export const attempt = <A>(path: string, operation: Failure["operation"], step: () => A): A => {
  try {
    return step()
  } catch (cause) {
    throw cause instanceof BinlogFailure ? cause : new BinlogFailure({ path, operation, cause })
  }
}

/** Makes a failure that was thrown the error of an effect. */
export const catchFailure = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Failure, R> =>
  Effect.catchDefect(
    effect,
    (defect) => defect instanceof BinlogFailure ? Effect.fail(defect.failure) : Effect.die(defect)
  )

// What a disk says that is full, or that has no more for this user, or for one file. Anything else is no reason to go on.
const FULL: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"])

/** Whether a disk has no more room. */
export const isFull = (cause: unknown): boolean => cause instanceof Error && "code" in cause && FULL.has(cause.code)
