/**
 * The options of a client: those of its pool, and how long it waits for a server that is not there yet.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Options } from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import * as ConnectionOptions from "../connection/options.ts"
import * as PoolSettings from "../pool/settings.ts"
import { refused } from "../protocol/invalidOptions.ts"
import * as Validate from "../protocol/validate.ts"

const OPTIONS: ReadonlyArray<keyof Options> = [...PoolSettings.OPTIONS, "waitForServer"]

/** The options as they are now: what an object says when it is asked again does not matter. */
export const snapshot = (operation: string, options: Options): Effect.Effect<Options, Errors.BeanstalkdError> =>
  Effect.fromResult(ConnectionOptions.read(operation, options, OPTIONS))

/** How long to wait for the server, or undefined to dial once. */
export const waitOf = (
  operation: string,
  server: string,
  { waitForServer }: Options
): Effect.Effect<Duration.Duration | undefined, Errors.BeanstalkdError> => {
  if (waitForServer === undefined || waitForServer === false) return Effect.undefined
  if (waitForServer === true) return Effect.succeed(Duration.infinity)
  const wait = Validate.flagOrDuration(operation, "waitForServer", waitForServer)
  if (wait instanceof Errors.InvalidArgument) return Effect.fail(refused(server, wait))
  return Effect.succeed(Duration.isZero(wait) ? undefined : wait)
}
