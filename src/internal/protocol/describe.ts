/**
 * Values of any kind as words for an error message. No function here throws, not even for a Proxy that refuses to be
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

/** A time span, to be read by people: `350 ms`, `1.5 s`, `15 s`, `2 min 5 s`, `3 h 20 min`. */
export const describeMillis = (millis: number): string => {
  if (millis < 1000) return `${Math.round(millis)} ms`
  if (millis < 9_950) return `${Math.round(millis / 100) / 10} s`
  const seconds = Math.round(millis / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes >= 60) return both(Math.floor(minutes / 60), "h", minutes % 60, "min")
  return both(minutes, "min", seconds % 60, "s")
}

const both = (large: number, unit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smallUnit}`

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

/**
 * What something failed with: of an error its name and its message, or its members if it has no message; a string as it is; any
 * other value as it is formatted. Not shortened.
 */
export const describeFailure = (error: unknown): string => {
  if (typeof error === "string") return error
  try {
    if (!(error instanceof Error)) return Formatter.format(error)
    return error.message === ""
      ? `${error.name} ${Formatter.format(Object.fromEntries(Object.entries(error)))}`
      : `${error.name}: ${error.message}`
  } catch {
    return "an object that cannot be read"
  }
}
