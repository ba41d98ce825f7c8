/**
 * A refused argument as the reason of a `BeanstalkdError`, for what fails with nothing else: opening a connection, a
 * stream, a worker.
 */
import * as Errors from "../../Errors.ts"

/** The reason for an option that was refused. */
export const invalidOptions = (
  { argument, operation, rule, value }: Errors.InvalidArgument
): Errors.InvalidOptions => new Errors.InvalidOptions({ operation, argument, value, rule })

/** The error for an option that was refused; no server has heard of it. */
export const refused = (server: string, invalid: Errors.InvalidArgument): Errors.BeanstalkdError =>
  new Errors.BeanstalkdError({
    command: invalid.operation,
    server,
    sent: false,
    reason: invalidOptions(invalid)
  })
