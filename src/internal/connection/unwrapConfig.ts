/**
 * The options of connections, pools and clients as Configs. A refused one is a `BeanstalkdError`, as anything else that
 * is wrong with their options.
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Errors from "../../Errors.ts"
import { refused } from "../protocol/invalidOptions.ts"
import * as Protocol from "../protocol/unwrapConfig.ts"
import { DEFAULT_SERVER } from "./options.ts"

/** The options that these Configs give. `operation` is the function that was called with them. */
export const unwrapConfig = <O extends object>(
  operation: string,
  options: Config.Wrap<O>
): Effect.Effect<O, Errors.BeanstalkdError | Config.ConfigError> =>
  Effect.catchTag(
    Protocol.unwrapConfig(operation, options),
    "InvalidArgument",
    (invalid) => Effect.fail(refused(DEFAULT_SERVER, invalid))
  )
