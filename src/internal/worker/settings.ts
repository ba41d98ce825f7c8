/**
 * The options of a worker, checked, with their defaults.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Errors from "../../Errors.ts"
import type { Handler, Options } from "../../Worker.ts"
import { DEFAULT_MAX_CONNECTIONS } from "../consumer/options.ts"
import { refused } from "../protocol/invalidOptions.ts"
import * as Validate from "../protocol/validate.ts"
import type { PolicySettings } from "./policy.ts"

/** The options of a worker with nothing left out. Hooks that were not given are undefined. */
export interface Settings<in A, in E, out R>
  extends PolicySettings, Pick<Options<A, E, R>, "onFailure" | "onGiveUp" | "onLost">
{
  readonly concurrency: number
  readonly maxConnections: number
  readonly retrySchedule: Schedule.Schedule<unknown, E>
  readonly retryIf: NonNullable<Options<A, E, R>["retryIf"]>
  readonly crashGuard: boolean
  readonly deadLetter: string | undefined
  readonly shutdownTimeout: Duration.Duration
}

const DEFAULT_MAX_ATTEMPTS = 10
const DEFAULT_SHUTDOWN_TIMEOUT = Duration.seconds(30)
const DEFAULT_RETRY_SCHEDULE = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("5 minutes")])

const OPTIONS = Validate.optionNames<Options<never, never, never>>({
  concurrency: true,
  maxConnections: true,
  retrySchedule: true,
  maxAttempts: true,
  retryIf: true,
  crashGuard: true,
  deadLetter: true,
  shutdownTimeout: true,
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

/** Checks what was given to `operation`, and fails with the reason `InvalidOptions`. */
export const resolve = Effect.fnUntraced(function*<A, E, R>(
  operation: string,
  server: string,
  tube: string,
  handler: Handler<A, E, R>,
  given: Options<A, E, R>
): Effect.fn.Return<Settings<A, E, R>, Errors.BeanstalkdError> {
  const check = <B>(value: B | Errors.InvalidArgument): Effect.Effect<B, Errors.BeanstalkdError> =>
    value instanceof Errors.InvalidArgument ? Effect.fail(refused(server, value)) : Effect.succeed(value)
  const count = (argument: string, value: number) => check(Validate.wholeNumber(operation, argument, value, 1))
  const aFunction = <F>(argument: string, value: F) =>
    check(
      typeof value === "function"
        ? value
        : new Errors.InvalidArgument({ operation, argument, value, rule: "a function" })
    )
  const maybeAFunction = <F>(
    argument: string,
    value: F | undefined
  ): Effect.Effect<F | undefined, Errors.BeanstalkdError> =>
    value === undefined ? Effect.succeed(value) : aFunction(argument, value)
  yield* check(Validate.tube(operation, "tube", tube))
  yield* aFunction("handler", handler)
  const options = yield* check(Validate.snapshot(operation, given, OPTIONS))
  const { deadLetter, maxAttempts = DEFAULT_MAX_ATTEMPTS } = options
  return {
    concurrency: yield* count("concurrency", options.concurrency ?? 1),
    maxConnections: yield* count("maxConnections", options.maxConnections ?? DEFAULT_MAX_CONNECTIONS),
    maxAttempts: maxAttempts === Infinity ? maxAttempts : yield* count("maxAttempts", maxAttempts),
    crashGuard: yield* check(Validate.flag(operation, "crashGuard", options.crashGuard ?? maxAttempts !== Infinity)),
    retrySchedule: yield* check(
      Validate.schedule(operation, "retrySchedule", options.retrySchedule ?? DEFAULT_RETRY_SCHEDULE)
    ),
    retryIf: (yield* maybeAFunction("retryIf", options.retryIf)) ?? (() => true),
    deadLetter: deadLetter === undefined
      ? undefined
      : yield* check(Validate.tube(operation, "deadLetter", nameOf(deadLetter))),
    shutdownTimeout: yield* check(
      Validate.duration(operation, "shutdownTimeout", options.shutdownTimeout ?? DEFAULT_SHUTDOWN_TIMEOUT)
    ),
    onFailure: yield* maybeAFunction("onFailure", options.onFailure),
    onGiveUp: yield* maybeAFunction("onGiveUp", options.onGiveUp),
    onLost: yield* maybeAFunction("onLost", options.onLost)
  }
})
