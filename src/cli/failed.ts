/**
 * The error of a command itself, as opposed to one of the server or of the library.
 */
import * as Schema from "effect/Schema"

/** `message` is the whole line that is printed. */
export class Failed extends Schema.TaggedError<Failed>("effect-beanstalkd/cli/Failed")("Failed", {
  message: Schema.String
}) {}
