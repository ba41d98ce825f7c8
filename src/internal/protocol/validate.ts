/**
 * Checks of arguments and options. They run before anything is converted and before a byte is sent, so that the server
 * can read nothing that a caller passes as a command. Each returns the value as the wire needs it, or the
 * `InvalidArgument` that says what is allowed. They do not throw, whatever they are given.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { PutOptions as ClientPutOptions } from "../../Client.ts"
import { InvalidArgument } from "../../Errors.ts"
import type { PutOptions } from "../../Protocol.ts"
import { DEFAULT_PRIORITY, DEFAULT_TTR_SECONDS, type JobId, MAX_UINT32, TUBE_NAME_PATTERN } from "./scalars.ts"

const TUBE_RULE = "1 to 200 characters of A-Z a-z 0-9 - + / ; . $ _ ( ), not beginning with -"
const UINT32_RULE = `an integer from 0 to ${MAX_UINT32}`
const JOB_ID_RULE = `an integer from 0 to ${Number.MAX_SAFE_INTEGER}`
const DURATION_RULE = "a duration: milliseconds, a text like \"5 seconds\", or another Duration.Input, not negative"
const WHOLE_SECONDS_RULE = `${DURATION_RULE}, up to ${MAX_UINT32} seconds`
const TTR_RULE =
  `a duration of 1 to ${MAX_UINT32} seconds, such as "1 minute" or 60000 (plain numbers are milliseconds)`

const READABLE_RULE = "an object whose properties can be read"

/** The error that says what is allowed. */
export const refuse = (operation: string, argument: string, value: unknown, rule: string): InvalidArgument =>
  new InvalidArgument({ operation, argument, value, rule })

/**
 * A tube's name, as it is.
 */
export const tube = (operation: string, argument: string, value: unknown): string | InvalidArgument =>
  typeof value === "string" && TUBE_NAME_PATTERN.test(value) ? value : refuse(operation, argument, value, TUBE_RULE)

/**
 * A tube's name, or `undefined` for the one that the connection uses.
 */
export const optionalTube = (operation: string, value: unknown): string | undefined | InvalidArgument =>
  value === undefined ? undefined : tube(operation, "tube", value)

const isUint32 = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_UINT32

/**
 * A priority; 2^31 if none was given.
 */
export const priority = (operation: string, value: unknown): number | InvalidArgument =>
  value === undefined ? DEFAULT_PRIORITY : isUint32(value) ? value : refuse(operation, "priority", value, UINT32_RULE)

/**
 * An unsigned integer of 32 bits.
 */
export const uint32 = (operation: string, argument: string, value: unknown): number | InvalidArgument =>
  isUint32(value) ? value : refuse(operation, argument, value, UINT32_RULE)

/**
 * The options of an operation: an object, or undefined.
 */
export const options = (operation: string, value: unknown): InvalidArgument | undefined =>
  value === undefined || (typeof value === "object" && value !== null)
    ? undefined
    : refuse(operation, "options", value, "an object")

/**
 * A Schedule, as it is.
 */
export const schedule = <S>(operation: string, argument: string, value: S): S | InvalidArgument => {
  try {
    if (Schedule.isSchedule(value)) return value
  } catch {
    // A Proxy can refuse even to be looked at.
  }
  return refuse(operation, argument, value, "a Schedule")
}

/**
 * The tag of a service, as it is.
 */
export const tag = <T>(operation: string, argument: string, value: T, rule: string): T | InvalidArgument => {
  try {
    if (Context.isKey(value)) return value
  } catch {
    // A Proxy can refuse even to be looked at.
  }
  return refuse(operation, argument, value, rule)
}

/**
 * The names of all options of a type. The compiler holds the list complete.
 */
export const optionNames = <O extends object>(names: Readonly<Record<keyof O, true>>): ReadonlyArray<keyof O> =>
  Object.keys(names) as Array<keyof O>

/** The names of all options of a client's put. */
export const PUT_OPTIONS = optionNames<ClientPutOptions>({ priority: true, delay: true, ttr: true, key: true })

/**
 * A copy of the options of these names that are not undefined. Each is read once, since a getter may give another value
 * the second time, after the check.
 */
export const snapshot = <O extends object>(
  operation: string,
  value: O | undefined,
  names: ReadonlyArray<keyof O>
): Partial<O> | InvalidArgument => {
  const wrong = options(operation, value)
  if (wrong !== undefined) return wrong
  const all: Partial<O> = {}
  if (value === undefined) return all
  try {
    for (const name of names) {
      const option = value[name]
      if (option !== undefined) all[name] = option
    }
    return all
  } catch {
    return refuse(operation, "options", undefined, READABLE_RULE)
  }
}

/**
 * A copy of a list, read once; any other value as it is. A list that cannot be read becomes a list of itself: no valid
 * name, so the check of the names refuses it.
 */
export const toArray = (value: unknown): unknown => {
  try {
    return Array.isArray(value) ? [...(value as ReadonlyArray<unknown>)] : value
  } catch {
    return [value]
  }
}

/**
 * One tube or several, as a list.
 */
export const tubes = (operation: string, value: unknown): ReadonlyArray<string> | InvalidArgument => {
  const names = typeof value === "string" ? [value] : toArray(value)
  if (!Array.isArray(names) || names.length === 0) return refuse(operation, "tubes", value, "at least one tube")
  const wrong = names.map((name) => tube(operation, "tubes", name)).find((checked) =>
    checked instanceof InvalidArgument
  )
  return wrong ?? (names as ReadonlyArray<string>)
}

/**
 * One of these, as it is.
 */
export const oneOf = <A>(
  operation: string,
  argument: string,
  value: unknown,
  allowed: ReadonlyArray<A>
): A | InvalidArgument =>
  allowed.find((one) => one === value) ??
    refuse(operation, argument, value, `one of ${allowed.map((one) => JSON.stringify(one)).join(", ")}`)

/**
 * True or false; false if it was absent.
 */
export const flag = (operation: string, argument: string, value: unknown): boolean | InvalidArgument =>
  value === undefined
    ? false
    : typeof value === "boolean"
    ? value
    : refuse(operation, argument, value, "true or false")

/**
 * A whole number, at least `least`.
 */
export const wholeNumber = (
  operation: string,
  argument: string,
  value: unknown,
  least: number
): number | InvalidArgument =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= least
    ? value
    : refuse(operation, argument, value, `a whole number, at least ${least}`)

/**
 * A job's id.
 */
export const jobId = (operation: string, value: unknown): JobId | InvalidArgument =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0
    ? value as JobId
    : refuse(operation, "id", value, JOB_ID_RULE)

const UNITS = ["weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"]

const isNumber = (value: unknown): boolean => typeof value === "number" && !Number.isNaN(value)

// At least one unit, all of them numbers, and no other key, which could be a misspelled unit. The units of a
// Temporal.Duration are getters and hence no keys, so its months and years are asked for.
const isDurationObject = (value: object): boolean => {
  const amounts = UNITS.map((unit) => Reflect.get(value, unit)).filter((amount) => amount !== undefined)
  return amounts.length > 0 &&
    amounts.every((amount) => isNumber(amount) && amount !== -Infinity) &&
    Object.keys(value).every((key) => UNITS.includes(key)) &&
    !Reflect.get(value, "months") && !Reflect.get(value, "years")
}

// Duration's own conversion reads NaN, `{}` and misspelled units as zero, so the shape is checked first.
const hasDurationShape = (value: unknown): value is Duration.Input => {
  switch (typeof value) {
    case "bigint":
    case "string":
      return true
    case "number":
      return isNumber(value)
    case "object":
      if (value === null) return false
      if (Array.isArray(value)) return value.length === 2 && isNumber(value[0]) && isNumber(value[1])
      return Duration.isDuration(value) || isDurationObject(value)
    default:
      return false
  }
}

const NANOS_PER_SECOND = 1_000_000_000n

const toWholeSeconds = (duration: Duration.Duration): number =>
  Duration.match(duration, {
    onMillis: (millis) => Math.ceil(millis / 1000),
    onNanos: (nanos) => Number((nanos + NANOS_PER_SECOND - 1n) / NANOS_PER_SECOND),
    onInfinity: () => Infinity,
    onNegativeInfinity: () => -Infinity
  })

/**
 * A duration that is not negative; it may be infinite.
 */
export const duration = (
  operation: string,
  argument: string,
  value: unknown,
  rule = DURATION_RULE
): Duration.Duration | InvalidArgument => {
  try {
    const converted = hasDurationShape(value) ? Duration.fromInput(value) : Option.none()
    if (Option.isSome(converted) && toWholeSeconds(converted.value) >= 0 && !Duration.isNegative(converted.value)) {
      return converted.value
    }
  } catch {
    // An object whose properties cannot be read.
  }
  return refuse(operation, argument, value, rule)
}

/**
 * The duration in an option that can be true or false as well.
 */
export const flagOrDuration = (
  operation: string,
  argument: string,
  value: unknown
): Duration.Duration | InvalidArgument => duration(operation, argument, value, `true, false, or ${DURATION_RULE}`)

/**
 * A duration longer than zero.
 */
export const positiveDuration = (
  operation: string,
  argument: string,
  value: unknown
): Duration.Duration | InvalidArgument => {
  const rule = `${DURATION_RULE}, and longer than 0`
  const converted = duration(operation, argument, value, rule)
  return converted instanceof InvalidArgument || !Duration.isZero(converted)
    ? converted
    : refuse(operation, argument, value, rule)
}

// The two forms that a busy producer passes with every put skip the general conversion.
const plainMillis = (value: unknown): number | undefined => {
  if (typeof value === "number") return value
  try {
    return Duration.isDuration(value) && value.value._tag === "Millis" ? value.value.millis : undefined
  } catch {
    return undefined
  }
}

const wholeSeconds = (
  operation: string,
  argument: string,
  value: unknown,
  rule: string,
  leastMillis: number
): number | InvalidArgument => {
  const millis = plainMillis(value)
  if (millis !== undefined && millis >= leastMillis && millis <= MAX_UINT32 * 1000) return Math.ceil(millis / 1000)
  const converted = duration(operation, argument, value, rule)
  if (converted instanceof InvalidArgument) return converted
  const seconds = toWholeSeconds(converted)
  return seconds <= MAX_UINT32 && Duration.toMillis(converted) >= leastMillis
    ? seconds
    : refuse(operation, argument, value, rule)
}

/**
 * A delay in whole seconds, rounded up.
 */
export const delay = (operation: string, value: unknown): number | InvalidArgument =>
  wholeSeconds(operation, "delay", value, WHOLE_SECONDS_RULE, 0)

/**
 * A delay in whole seconds, rounded up; 0 if none was given.
 */
export const optionalDelay = (operation: string, value: unknown): number | InvalidArgument =>
  value === undefined ? 0 : delay(operation, value)

/**
 * A time to run in whole seconds, rounded up; 120 if none was given. Less than a second is refused: it comes from a
 * `ttr: 60` that was meant as a minute.
 */
export const ttr = (operation: string, value: unknown): number | InvalidArgument =>
  value === undefined ? DEFAULT_TTR_SECONDS : wholeSeconds(operation, "ttr", value, TTR_RULE, 1000)

/**
 * The options of a put as they stand in its line: the priority, the delay and the time to run.
 */
export const putOptions = (given: PutOptions | undefined): string | InvalidArgument => {
  const wrong = options("put", given)
  if (wrong !== undefined) return wrong
  const pri = priority("put", given?.priority)
  if (pri instanceof InvalidArgument) return pri
  const delaySeconds = optionalDelay("put", given?.delay)
  if (delaySeconds instanceof InvalidArgument) return delaySeconds
  const ttrSeconds = ttr("put", given?.ttr)
  return ttrSeconds instanceof InvalidArgument ? ttrSeconds : `${pri} ${delaySeconds} ${ttrSeconds}`
}

/** Text, or nothing. */
export const optionalText = (
  operation: string,
  argument: string,
  value: unknown
): string | undefined | InvalidArgument =>
  value === undefined || typeof value === "string" ? value : refuse(operation, argument, value, "text")

/**
 * A timeout in whole seconds, rounded up; infinite if it was absent or infinite.
 */
export const timeout = (operation: string, value: unknown): number | InvalidArgument => {
  if (value === undefined) return Infinity
  const converted = duration(operation, "timeout", value)
  return converted instanceof InvalidArgument ? converted : toWholeSeconds(converted)
}
