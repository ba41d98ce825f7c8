/**
 * Signals that a command answers to in its own way, and the exit code of a command that a signal has interrupted.
 */
import * as Effect from "effect/Effect"

/** Calls `listener` for each signal of this kind, as long as the Scope lives. */
export const listenTo = (signal: NodeJS.Signals, listener: () => void) =>
  Effect.acquireRelease(
    Effect.sync(() => process.on(signal, listener)),
    () => Effect.sync(() => process.removeListener(signal, listener))
  )

const INTERRUPTED = 130

let codeOnSigterm = INTERRUPTED
let code: number | undefined

/**
 * A signal is about to interrupt the command. The code is decided here, and not by a listener of its own: Deno calls
 * listeners in the order in which they were added, `prependListener` or not, and the interruption can end the process.
 */
export const interruptedBy = (signal: NodeJS.Signals): void => {
  code ??= signal === "SIGTERM" ? codeOnSigterm : INTERRUPTED
}

/** The exit code of a command that was interrupted. */
export const exitCode = (): number => code ?? INTERRUPTED

const exitAtOnce = (): void => process.exit(INTERRUPTED)

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
      code = INTERRUPTED
      listener()
      Effect.runFork(Effect.andThen(Effect.sleep(TIME_TO_GIVE_BACK), Effect.sync(exitAtOnce)))
    }
  })

/** Any signal interrupts, but SIGTERM is the normal end of what runs until it is told to stop. */
export const endsWellOnSigterm = Effect.sync(() => {
  codeOnSigterm = 0
})
