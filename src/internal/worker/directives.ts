/**
 * What a handler can fail with to say what becomes of its job, beside the errors of its own.
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"

/** See `Worker.snooze`. */
export class Snooze extends Data.TaggedError("Snooze")<{
  /** How long the job waits, in whole seconds. */
  readonly delay: Duration.Duration
}> {
  override get message(): string {
    return "the handler postpones its job"
  }
}

/** See `Worker.discard`. */
export class Discard extends Data.TaggedError("Discard")<{
  /** Why nobody needs the job any more. */
  readonly reason: string
}> {
  override get message(): string {
    return `the handler discards its job: ${this.reason}`
  }
}

/** Whether an error is an instance of a class. A handler can fail with a Proxy on which `instanceof` throws. */
export const isA = <A>(error: unknown, type: abstract new(...args: never) => A): error is A => {
  try {
    return error instanceof type
  } catch {
    return false
  }
}
