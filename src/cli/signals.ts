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

/** Any signal interrupts, but SIGTERM is the normal end of what runs until it is told to stop. */
export const endsWellOnSigterm = listenTo("SIGTERM", () => {
  process.exitCode = 0
})
