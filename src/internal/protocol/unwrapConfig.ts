/**
 * Options as Configs, in the shapes that `Config.Wrap` allows.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { InvalidArgument } from "../../Errors.ts"

const isPlain = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

// `Config.Wrap` also allows nested records of Configs, such as `tls`.
const isWrapped = (value: unknown): boolean =>
  Config.isConfig(value) || (isPlain(value) && Object.values(value).every(isWrapped))

/** The options that these Configs give. What is no Config is refused: `Config.unwrap` would take it for an empty record. */
export const unwrapConfig = <O extends object>(
  operation: string,
  options: Config.Wrap<O>
): Effect.Effect<O, InvalidArgument | Config.ConfigError> => {
  const refuse = (argument: string, value: unknown, rule: string) =>
    Effect.fail(new InvalidArgument({ operation, argument, value, rule }))
  try {
    if (Config.isConfig(options)) return Config.unwrap(options)
    if (isPlain(options)) {
      const all = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
      const wrong = Object.entries(all).find(([, value]) => !isWrapped(value))
      return wrong === undefined
        ? Config.unwrap<O>(all as unknown as Config.Wrap<O>)
        : refuse(wrong[0], wrong[1], "a Config")
    }
  } catch {
    // An object that cannot be read.
  }
  return refuse("options", options, "a Config, or an object of Configs")
}
