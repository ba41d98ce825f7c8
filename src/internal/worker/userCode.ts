/**
 * Runs what users wrote and the worker has to wait for: hooks and retry policies. They may fail, die, never end, or give no
 * Effect at all. Whatever they do, the worker goes on.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"

/** How user code ended. */
export type Ran<A> =
  | { readonly _tag: "Returned"; readonly value: A }
  /** It failed, died, or was interrupted otherwise than by the worker. */
  | { readonly _tag: "Died"; readonly cause: Cause.Cause<unknown> }
  /** The grace period of the shutdown ended first. */
  | { readonly _tag: "OutOfTime"; readonly cause: Cause.Cause<unknown> }

/**
 * Logs a cause. Loggers are user code too, and so are the values inside the cause: neither may keep the worker from what
 * comes after the log line.
 */
export const log = (level: LogLevel.LogLevel, message: string, cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (level === "None") return Effect.void
  const severity = level === "All" ? "Trace" : level
  return Effect.logWithLevel(severity)(message, cause).pipe(
    Effect.catchCause(() => Effect.logWithLevel(severity)(`${message} (a logger died of the cause)`)),
    Effect.ignoreCause
  )
}

/** The level at which a failure is logged, as the user says. It is a warning if that goes wrong, or if it is no failure. */
export const levelOf = <E>(
  logFailure: (error: E) => LogLevel.LogLevel,
  cause: Cause.Cause<unknown>
): LogLevel.LogLevel => {
  const error = Cause.findErrorOption(cause)
  if (Option.isNone(error)) return "Warn"
  try {
    const level = logFailure(error.value as E)
    return LogLevel.values.includes(level) ? level : "Warn"
  } catch {
    return "Warn"
  }
}

/** The user code of one worker. */
export class UserCode {
  readonly #userFibers = new Set<Fiber.Fiber<unknown, unknown>>()
  #graceIsOver = false

  /**
   * Runs an Effect in a fiber of its own. Yielding what is no Effect ends a fiber on the spot, whatever was to follow, so
   * user code must not run in the fiber that settles the job.
   */
  run<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Ran<A>, never, R> {
    return Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), (fiber) => {
      this.#userFibers.add(fiber)
      if (this.#graceIsOver) fiber.interruptUnsafe()
      return Effect.map(Fiber.await(fiber), (exit) => {
        this.#userFibers.delete(fiber)
        return this.#ranOf(exit)
      })
    })
  }

  /** Runs a hook, in a Scope of its own. What goes wrong in it is logged, and nothing else comes of it. */
  hook<R>(call: () => Effect.Effect<unknown, never, R>): Effect.Effect<void, never, Exclude<R, Scope.Scope>> {
    const called = Effect.suspend(() => {
      const effect = call()
      return Effect.isEffect(effect) ? effect : Effect.die(new TypeError("a hook of the worker gave no effect"))
    })
    return Effect.flatMap(this.run(Effect.scoped(called)), (ran) => {
      switch (ran._tag) {
        case "Returned":
          return Effect.void
        case "Died":
          return log("Error", "a hook of the worker died", ran.cause)
        case "OutOfTime":
          return log("Warn", "a hook of the worker was interrupted by its shutdown", ran.cause)
      }
    })
  }

  /** The grace period is over: interrupts all that runs, and all that is still to come. */
  interruptAll(): void {
    this.#graceIsOver = true
    for (const fiber of this.#userFibers) fiber.interruptUnsafe()
  }

  #ranOf<A>(exit: Exit.Exit<A, unknown>): Ran<A> {
    if (Exit.isSuccess(exit)) return { _tag: "Returned", value: exit.value }
    const { cause } = exit
    return { _tag: this.#graceIsOver && Cause.hasInterruptsOnly(cause) ? "OutOfTime" : "Died", cause }
  }
}
