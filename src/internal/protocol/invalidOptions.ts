/**
 * A refused option as a `BeanstalkdError`, which is the only error that opening a connection, a stream or a worker has.
 */
import * as Errors from "../../Errors.ts"

/** The reason for an option that was refused. */
export const invalidOptions = (
  { argument, operation, rule, value }: Errors.InvalidArgument
): Errors.InvalidOptions => new Errors.InvalidOptions({ operation, argument, value, rule })

/** The error for an option that was refused. Nothing was sent to `server`. */
export const refused = (server: string, invalid: Errors.InvalidArgument): Errors.BeanstalkdError =>
  new Errors.BeanstalkdError({
    command: invalid.operation,
    server,
    sent: false,
    reason: invalidOptions(invalid)
  })
