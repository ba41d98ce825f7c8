/**
 * How a job that nobody needs any more travels through the same error channel as the errors of a handler, which does not run
 * for it.
 */
import * as DateTime from "effect/DateTime"

/** The job has expired, at this time in milliseconds since 1970. */
export class Expired {
  readonly at: number
  constructor(at: number) {
    this.at = at
  }

  /** Why no handler ran. */
  get reason(): string {
    return `it has expired at ${DateTime.formatIso(DateTime.makeUnsafe(this.at))}`
  }
}
