/**
 * Values of any kind as words for an error message. Neither function throws, not even for a Proxy that refuses to be
 * read.
 */
import * as Formatter from "effect/Formatter"

const LONGEST = 80

/** A value, shortened to 80 characters. */
export const describe = (value: unknown): string => {
  try {
    const text = Formatter.format(value)
    return text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text
  } catch {
    return "an object that cannot be read"
  }
}

/** The message of an error, a string as it is, any other value as `describe` has it. */
export const describeCause = (cause: unknown): string => {
  if (typeof cause === "string") return cause
  try {
    if (cause instanceof Error) return cause.message
  } catch {
    // Even `instanceof` can throw.
  }
  return describe(cause)
}
