/**
 * What the options of streams and workers have in common.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Errors from "../../Errors.ts"
import { refused } from "../protocol/invalidOptions.ts"
import * as Validate from "../protocol/validate.ts"
import { DEFAULT_TOUCH_INTERVAL_MILLIS } from "./leaseKeeper.ts"

/** Over how many connections a stream or a worker takes jobs unless it is told otherwise. */
export const DEFAULT_MAX_CONNECTIONS = 8

/** The value, or the failure with the reason `InvalidOptions` if it was refused. */
export const checked = <A>(
  client: { readonly server: string },
  value: A | Errors.InvalidArgument
): Effect.Effect<A, Errors.BeanstalkdError> =>
  value instanceof Errors.InvalidArgument ? Effect.fail(refused(client.server, value)) : Effect.succeed(value)

const LEAST_TOUCH_INTERVAL_MILLIS = 250

/** The longest time between two touches of a job, in milliseconds. */
export const touchInterval = (
  operation: string,
  value: Duration.Input | undefined
): number | Errors.InvalidArgument => {
  if (value === undefined) return DEFAULT_TOUCH_INTERVAL_MILLIS
  const argument = "touchInterval"
  const rule = `a duration of at least ${LEAST_TOUCH_INTERVAL_MILLIS} milliseconds`
  const duration = Validate.duration(operation, argument, value, rule)
  if (duration instanceof Errors.InvalidArgument) return duration
  const millis = Duration.toMillis(duration)
  return millis >= LEAST_TOUCH_INTERVAL_MILLIS
    ? millis
    : new Errors.InvalidArgument({ operation, argument, value, rule })
}
