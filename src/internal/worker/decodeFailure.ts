/**
 * How a body that does not decode travels through the same error channel as the errors of a handler, without being taken
 * for one of them.
 */
import type * as Errors from "../../Errors.ts"

/** The body did not decode. A handler may fail with a `DecodeError` of its own, so this wraps ours. */
export class DecodeFailure {
  readonly error: Errors.DecodeError
  constructor(error: Errors.DecodeError) {
    this.error = error
  }
}
