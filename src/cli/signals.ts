/**
 * Signals that a command answers to in its own way.
 */
import * as Effect from "effect/Effect"

/** Calls `listener` for each signal of this kind, as long as the Scope lives. */
export const listenTo = (signal: NodeJS.Signals, listener: () => void) =>
  Effect.acquireRelease(
    // Before the listeners that interrupt, which can end the process on the spot.
    Effect.sync(() => process.prependListener(signal, listener)),
    () => Effect.sync(() => process.removeListener(signal, listener))
  )

const exitAtOnce = (): void => process.exit(130)

let onSecondSignal = exitAtOnce

/** A second signal: exits at once, unless a command has jobs to give back. */
export const secondSignal = (): void => onSecondSignal()

// The server cannot tell a job whose connection is closed from one that has crashed its worker.
const TIME_TO_GIVE_BACK = "1 second"

/** Has a second signal call the listener, and leave a moment for the end that it brings about. A third one exits at once. */
export const givesBackOnSecondSignal = (listener: () => void) =>
  Effect.sync(() => {
    onSecondSignal = () => {
      onSecondSignal = exitAtOnce
      process.exitCode = 130
      listener()
      Effect.runFork(Effect.andThen(Effect.sleep(TIME_TO_GIVE_BACK), Effect.sync(exitAtOnce)))
    }
  })

/** Any signal interrupts, but SIGTERM is the normal end of what runs until it is told to stop. */
export const endsWellOnSigterm = listenTo("SIGTERM", () => {
  process.exitCode = 0
})
