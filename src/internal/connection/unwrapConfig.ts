/**
 * Options that come from the configuration, for the `layerConfig` of a module.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Errors from "../../Errors.ts"
import { refused } from "../protocol/invalidOptions.ts"
import { DEFAULT_SERVER } from "./options.ts"

const isPlain = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

// `Config.Wrap` also allows nested records of Configs, such as `tls`.
const isWrapped = (value: unknown): boolean =>
  Config.isConfig(value) || (isPlain(value) && Object.values(value).every(isWrapped))

/**
 * The options that a Config, or an object of Configs, gives. `Config.unwrap` dies where an option is not a Config; here
 * the error names the option. `operation` is the function that was called with them.
 */
export const unwrapConfig = <O extends object>(
  operation: string,
  options: Config.Wrap<O>
): Effect.Effect<O, Errors.BeanstalkdError | Config.ConfigError> => {
  const refuse = (argument: string, value: unknown, rule: string) =>
    Effect.fail(refused(DEFAULT_SERVER, new Errors.InvalidArgument({ operation, argument, value, rule })))
  try {
    if (Config.isConfig(options)) return Config.unwrap(options)
    if (isPlain(options)) {
      const all = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
      const wrong = Object.entries(all).find(([, value]) => !isWrapped(value))
      return wrong === undefined
        ? Config.unwrap<O>(all as never)
        : refuse(wrong[0], wrong[1], "a Config")
    }
  } catch {
    // An object that cannot be read.
  }
  return refuse("options", options, "a Config, or an object of Configs")
}
