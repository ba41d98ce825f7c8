/**
 * What the options of streams and workers have in common.
 */
import * as Effect from "effect/Effect"
import * as Errors from "../../Errors.ts"
import { refused } from "../protocol/invalidOptions.ts"

/** Over how many connections a stream or a worker takes jobs unless it is told otherwise. */
export const DEFAULT_MAX_CONNECTIONS = 8

/** The value, or the failure with the reason `InvalidOptions` if it was refused. */
export const checked = <A>(
  client: { readonly server: string },
  value: A | Errors.InvalidArgument
): Effect.Effect<A, Errors.BeanstalkdError> =>
  value instanceof Errors.InvalidArgument ? Effect.fail(refused(client.server, value)) : Effect.succeed(value)
