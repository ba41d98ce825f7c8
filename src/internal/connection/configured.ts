/**
 * Options that come from the configuration: `Config.Wrap` of them, read once.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Errors from "../../Errors.ts"
import { refused } from "../protocol/invalidOptions.ts"
import { serverOf } from "./connect.ts"

const isPlain = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

// Config.Wrap also allows nested records of Configs, such as `tls`.
const isWrapped = (value: unknown): boolean =>
  Config.isConfig(value) || (isPlain(value) && Object.values(value).every(isWrapped))

/**
 * Reads the options of the function `operation`. What is neither a Config nor an object of Configs is refused here:
 * Effect would take it for the value itself, or for no configuration at all.
 */
export const configured = <Options extends object>(
  operation: string,
  options: Config.Wrap<Options>
): Effect.Effect<Options, Errors.BeanstalkdError | Config.ConfigError> => {
  const refuse = (argument: string, value: unknown, rule: string) =>
    Effect.fail(refused(serverOf({}), new Errors.InvalidArgument({ operation, argument, value, rule })))
  try {
    if (Config.isConfig(options)) return Config.unwrap<Options>(options)
    if (isPlain(options)) {
      const all = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
      const wrong = Object.entries(all).find(([, value]) => !isWrapped(value))
      return wrong === undefined
        ? Config.unwrap<Options>(all as never)
        : refuse(wrong[0], wrong[1], "a Config")
    }
  } catch {
    // An object that cannot be read.
  }
  return refuse("options", options, "a Config, or an object of Configs")
}
