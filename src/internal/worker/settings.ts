/**
 * The options of a worker, checked, with their defaults.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as LogLevel from "effect/LogLevel"
import type * as Schedule from "effect/Schedule"
import * as Errors from "../../Errors.ts"
import type { Handler, Options } from "../../Worker.ts"
import { DEFAULT_MAX_CONNECTIONS, touchInterval } from "../consumer/options.ts"
import { refused } from "../protocol/invalidOptions.ts"
import * as Validate from "../protocol/validate.ts"
import { bodiesOf, isTube, refusalOf } from "../tube/prototype.ts"
import type { PolicySettings } from "./policy.ts"
import { DEFAULT_RETRY_SCHEDULE } from "./retryDelay.ts"

/** The options of a worker with nothing left out. Hooks that were not given are undefined. */
export interface Settings<in A, in E, out R> extends PolicySettings, Hooks<A, E, R> {
  readonly concurrency: number
  readonly maxConnections: number
  readonly retrySchedule: Schedule.Schedule<unknown, E>
  readonly retryIf: NonNullable<Options<A, E, R>["retryIf"]>
  readonly crashGuard: boolean
  /** Runs in place of the handler when a body does not decode. */
  readonly handleUndecodable: Exclude<Options<A, E, R>["onUndecodable"], string | undefined> | undefined
  readonly logFailure: (error: E) => LogLevel.LogLevel
  readonly deadLetter: string | undefined
  readonly touchIntervalMillis: number
  readonly shutdownTimeout: Duration.Duration
  readonly forceAfter: Duration.Duration
}

type Hooks<A, E, R> = Pick<Options<A, E, R>, "onFailure" | "onGiveUp" | "onLost" | "retryAfter">

const DEFAULT_MAX_ATTEMPTS = 10
const DEFAULT_MAX_CRASHES = 3
const DEFAULT_SHUTDOWN_TIMEOUT = Duration.seconds(30)
const DEFAULT_FORCE_AFTER = Duration.seconds(10)

const OPTIONS = Validate.optionNames<Options<never, never, never>>({
  concurrency: true,
  maxConnections: true,
  retrySchedule: true,
  maxAttempts: true,
  retryIf: true,
  retryAfter: true,
  maxCrashes: true,
  isolateSuspects: true,
  crashGuard: true,
  onDefect: true,
  onUndecodable: true,
  onExpired: true,
  deadLetter: true,
  touchInterval: true,
  shutdownTimeout: true,
  forceAfter: true,
  logFailure: true,
  onFailure: true,
  onGiveUp: true,
  onLost: true
})

// An object that cannot be read is taken for the name itself, so that it is refused as one.
const nameOf = (tube: string | { readonly name: string }): unknown => {
  try {
    return typeof tube === "object" ? tube.name : tube
  } catch {
    return tube
  }
}

/** The worker's tube, or one like it: a tube that somebody else has made may have a name alone. */
type Place = { readonly name: string; readonly client?: unknown }

const serverOf = ({ client }: Place): unknown => (client as { readonly key?: unknown } | undefined)?.key

const readsEnvelopes = (tube: unknown): boolean => isTube(tube) && bodiesOf(tube).envelope !== undefined

// The worker puts dead letters with its own client, and those that it puts into its own tube would come back for ever.
const deadLetterOf = (
  operation: string,
  given: string | Place,
  own: Place
): string | Errors.InvalidArgument => {
  const name = Validate.tube(operation, "deadLetter", nameOf(given))
  if (name instanceof Errors.InvalidArgument) return name
  const invalid = refusalOf(given)
  if (invalid !== undefined) return invalid
  const refuse = (rule: string) => new Errors.InvalidArgument({ operation, argument: "deadLetter", value: name, rule })
  const server = typeof given === "object" ? serverOf(given) : undefined
  if (server !== undefined && server !== serverOf(own)) return refuse("a tube with the client of the worker's tube")
  if (name === own.name) return refuse("another tube than the worker's own")
  return readsEnvelopes(own) && isTube(given) && !readsEnvelopes(given)
    ? refuse("a tube that reads envelopes (its option envelope), as the worker's does")
    : name
}

type Checked<A> = Effect.Effect<A, Errors.BeanstalkdError>

/** Checks the options of one call. Each check fails with the reason `InvalidOptions`. */
class Checks {
  readonly #server: string
  readonly operation: string

  constructor(operation: string, server: string) {
    this.operation = operation
    this.#server = server
  }

  that<A>(value: A | Errors.InvalidArgument): Checked<A> {
    return value instanceof Errors.InvalidArgument ? Effect.fail(refused(this.#server, value)) : Effect.succeed(value)
  }

  count(argument: string, value: number): Checked<number> {
    return this.that(Validate.wholeNumber(this.operation, argument, value, 1))
  }

  countOrInfinity(argument: string, value: number): Checked<number> {
    return value === Infinity ? Effect.succeed(value) : this.count(argument, value)
  }

  duration(argument: string, value: Duration.Input): Checked<Duration.Duration> {
    return this.that(Validate.duration(this.operation, argument, value))
  }

  oneOf<A extends string>(argument: string, value: A, allowed: ReadonlyArray<A>): Checked<A> {
    return this.that(Validate.oneOf<A>(this.operation, argument, value, allowed))
  }

  aFunction<F>(argument: string, value: F): Checked<F> {
    if (typeof value === "function") return Effect.succeed(value)
    return this.that<F>(
      new Errors.InvalidArgument({ operation: this.operation, argument, value, rule: "a function" })
    )
  }

  maybeAFunction<F>(argument: string, value: F | undefined): Checked<F | undefined> {
    return value === undefined ? Effect.succeed(value) : this.aFunction(argument, value)
  }
}

const policyOf = Effect.fnUntraced(function*<A, E, R>(
  checks: Checks,
  options: Options<A, E, R>
): Effect.fn.Return<PolicySettings & Pick<Settings<A, E, R>, "handleUndecodable">, Errors.BeanstalkdError> {
  const { onDefect = "retry", onExpired = "discard", onUndecodable = "giveUp" } = options
  const isFunction = typeof onUndecodable === "function"
  if (!isFunction) yield* checks.oneOf<"giveUp" | "retry">("onUndecodable", onUndecodable, ["giveUp", "retry"])
  return {
    maxAttempts: yield* checks.countOrInfinity("maxAttempts", options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS),
    maxCrashes: yield* checks.countOrInfinity("maxCrashes", options.maxCrashes ?? DEFAULT_MAX_CRASHES),
    isolateSuspects: yield* checks.that(
      Validate.flag(checks.operation, "isolateSuspects", options.isolateSuspects ?? true)
    ),
    onExpired: yield* checks.oneOf<"discard" | "giveUp">("onExpired", onExpired, ["discard", "giveUp"]),
    onDefect: yield* checks.oneOf<"retry" | "bury">("onDefect", onDefect, ["retry", "bury"]),
    retriesUndecodable: onUndecodable === "retry",
    handleUndecodable: isFunction ? onUndecodable : undefined,
    hasRetryAfter: options.retryAfter !== undefined
  }
})

const hooksOf = Effect.fnUntraced(function*<A, E, R>(
  checks: Checks,
  options: Options<A, E, R>
): Effect.fn.Return<Hooks<A, E, R>, Errors.BeanstalkdError> {
  return {
    retryAfter: yield* checks.maybeAFunction("retryAfter", options.retryAfter),
    onFailure: yield* checks.maybeAFunction("onFailure", options.onFailure),
    onGiveUp: yield* checks.maybeAFunction("onGiveUp", options.onGiveUp),
    onLost: yield* checks.maybeAFunction("onLost", options.onLost)
  }
})

/** Checks what was given to `operation`, and fails with the reason `InvalidOptions`. */
export const resolve = Effect.fnUntraced(function*<A, E, R>(
  operation: string,
  server: string,
  tube: Place,
  handler: Handler<A, E, R>,
  given: Options<A, E, R>
): Effect.fn.Return<Settings<A, E, R>, Errors.BeanstalkdError> {
  const checks = new Checks(operation, server)
  yield* checks.that(Validate.tube(operation, "tube", tube.name))
  yield* checks.aFunction("handler", handler)
  const options = yield* checks.that(Validate.snapshot(operation, given, OPTIONS))
  const { deadLetter, maxAttempts, maxCrashes } = options
  const { crashGuard = maxAttempts !== Infinity || maxCrashes !== undefined } = options
  return {
    concurrency: yield* checks.count("concurrency", options.concurrency ?? 1),
    maxConnections: yield* checks.count("maxConnections", options.maxConnections ?? DEFAULT_MAX_CONNECTIONS),
    ...yield* policyOf(checks, options),
    crashGuard: yield* checks.that(Validate.flag(operation, "crashGuard", crashGuard)),
    retrySchedule: yield* checks.that(
      Validate.schedule(operation, "retrySchedule", options.retrySchedule ?? DEFAULT_RETRY_SCHEDULE)
    ),
    retryIf: (yield* checks.maybeAFunction("retryIf", options.retryIf)) ?? (() => true),
    logFailure: (yield* checks.maybeAFunction("logFailure", options.logFailure)) ?? (() => "Warn"),
    deadLetter: deadLetter === undefined
      ? undefined
      : yield* checks.that(deadLetterOf(operation, deadLetter, tube)),
    touchIntervalMillis: yield* checks.that(touchInterval(operation, options.touchInterval)),
    shutdownTimeout: yield* checks.duration("shutdownTimeout", options.shutdownTimeout ?? DEFAULT_SHUTDOWN_TIMEOUT),
    forceAfter: yield* checks.duration("forceAfter", options.forceAfter ?? DEFAULT_FORCE_AFTER),
    ...yield* hooksOf(checks, options)
  }
})
