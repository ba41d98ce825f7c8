/**
 * The command lines of the runners. Unknown options are refused, so that no runner does nothing and reports success.
 */

/** A command line that makes no sense. */
export class WrongUsage extends Error {}

const LONGEST = 15

/** A whole number from 0 on. */
export const whole = (name: string, text: string): number => {
  if (!/^[0-9]+$/.test(text) || text.length > LONGEST) throw new WrongUsage(`--${name} is not a whole number: ${text}`)
  return Number(text)
}

/** A whole number from 1 on. */
export const positive = (name: string, text: string): number => {
  const number = whole(name, text)
  if (number === 0) throw new WrongUsage(`--${name} must be at least 1`)
  return number
}

/** One of these. */
export const oneOf = <A extends string>(name: string, text: string, allowed: ReadonlyArray<A>): A => {
  const found = allowed.find((one) => one === text)
  if (found === undefined) throw new WrongUsage(`--${name} is not one of ${allowed.join(", ")}: ${text}`)
  return found
}

const isRefusal = (error: unknown): error is Error =>
  error instanceof WrongUsage ||
  (error instanceof TypeError && String((error as NodeJS.ErrnoException).code).startsWith("ERR_PARSE_ARGS_"))

/** Reads the command line. If it makes no sense, prints the usage and ends the process with code 2. */
export const read = <A>(usage: string, parse: () => A): A => {
  try {
    return parse()
  } catch (error) {
    if (!isRefusal(error)) throw error
    console.error(error.message)
    console.error(usage)
    return process.exit(2)
  }
}
