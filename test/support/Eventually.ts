/**
 * Waits for something that another process or a socket brings about, by asking again and again, so that a test
 * neither guesses how long it takes nor hangs when it never happens.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as RealTime from "./RealTime.ts"

export interface EventuallyOptions {
  /** How long to try. Default: 5 seconds. */
  readonly within?: Duration.Input | undefined
  /** The pause between two attempts. Default: 5 milliseconds. */
  readonly every?: Duration.Input | undefined
}

/**
 * Repeats `effect` until it succeeds and returns what it returned; a failed assertion (a defect) counts as a failure
 * like any other. When the time is up it ends as the last attempt did. Time is real, whatever the current clock.
 */
export const eventually = Effect.fnUntraced(function*<A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: EventuallyOptions
): Effect.fn.Return<A, E, R> {
  const within = Duration.fromInputUnsafe(options?.within ?? "5 seconds")
  const end = (yield* RealTime.now) + Duration.toMillis(within)
  const hung = new Error(`eventually: the first attempt was still running after ${Duration.format(within)}`)
  let last: Exit.Exit<A, E> = Exit.die(hung)
  while (true) {
    // An attempt that hangs must not outlive the time either. The attempt before it says more than a timeout.
    const before: Exit.Exit<A, E> = last
    last = yield* RealTime.timeoutOrElse(Effect.exit(effect), {
      duration: Math.max(1, end - (yield* RealTime.now)),
      orElse: () => Effect.succeed(before)
    })
    const over = (yield* RealTime.now) >= end
    if (Exit.isSuccess(last) || Cause.hasInterruptsOnly(last.cause) || over) return yield* last
    yield* RealTime.sleep(options?.every ?? "5 millis")
  }
})
