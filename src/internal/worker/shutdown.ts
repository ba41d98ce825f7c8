/**
 * The end of a worker, in order: it takes no more jobs, lets what runs end for the grace period, interrupts the rest, and
 * waits no longer for what cannot be interrupted than it was told.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Intake } from "../consumer/intake.ts"
import type { InFlight } from "./inFlight.ts"
import { describeMillis } from "../protocol/describe.ts"
import type { Settings } from "./settings.ts"
import { log, type UserCode } from "./userCode.ts"

/** What a shutdown ends. */
export interface Parts {
  readonly tube: string
  readonly settings: Pick<Settings<never, never, never>, "shutdownTimeout" | "forceAfter">
  readonly lifecycle: { readonly stop: () => void }
  readonly intake: Intake
  readonly inFlight: InFlight
  readonly userCode: UserCode
}

type Signal = "SIGINT" | "SIGTERM"

interface Signals {
  readonly listenerCount: (signal: Signal) => number
  readonly on: (signal: Signal, listener: () => void) => unknown
  readonly off: (signal: Signal, listener: () => void) => unknown
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const

/** The signals of this process, where there are any. */
const signals = (): Signals | undefined => {
  const { process } = globalThis as { readonly process?: Partial<Signals> }
  return typeof process?.on === "function" && typeof process.listenerCount === "function"
    ? process as Signals
    : undefined
}

// `npm`, `npx` and `timeout` pass on the signal that the terminal has sent already: one of the same moment is no other.
const SAME_SIGNAL = "500 millis"

// Whoever sends another signal does not want to wait. Only signals that the program listens to by itself: they end a
// process that does not.
const nextSignal: Effect.Effect<void> = Effect.callback((resume) => {
  const process = signals()
  if (process === undefined) return
  const hear = () => resume(Effect.void)
  const heard = SIGNALS.filter((signal) => process.listenerCount(signal) > 0)
  for (const signal of heard) process.on(signal, hear)
  return Effect.sync(() => {
    for (const signal of heard) process.off(signal, hear)
  })
})

const anotherSignal = Effect.andThen(Effect.sleep(SAME_SIGNAL), nextSignal)

/** Ends a worker. */
export const shutdown = ({ inFlight, intake, lifecycle, settings, tube, userCode }: Parts): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { forceAfter, shutdownTimeout } = settings
    lifecycle.stop()
    intake.stop()
    yield* Effect.raceFirst(inFlight.quiescence, anotherSignal).pipe(
      Effect.interruptible,
      Effect.timeoutOption(shutdownTimeout)
    )
    userCode.interruptAll()
    inFlight.interruptAll()
    const ended = yield* Effect.timeoutOption(Effect.interruptible(inFlight.quiescence), forceAfter)
    if (Option.isSome(ended)) return
    const { jobs } = inFlight
    const ids = jobs.map(({ id }) => id).join(", ")
    const message = `the shutdown ends although ${jobs.length} handlers cannot be interrupted within ` +
      `${describeMillis(Duration.toMillis(forceAfter))} (jobs ${ids}): their jobs are given back`
    yield* Effect.annotateLogs(log("Error", message, Cause.empty), { tube })
    yield* Effect.forEach(jobs, (job) => job.end, { discard: true, concurrency: "unbounded" })
  })
