/**
 * The log of a worker as lines on stderr, which the commands share that it runs.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { oneLine } from "./table.ts"

const reasonOf = (cause: Cause.Cause<unknown>): string => {
  if (cause.reasons.length === 0) return ""
  const error = Cause.squash(cause)
  return `: ${error instanceof Error ? error.message : String(error)}`
}

const toStderr = Logger.make(({ cause, fiber, message }) => {
  const text = (Array.isArray(message) ? message : [message]).map(String).join(" ")
  const annotations = Object.entries(fiber.getRef(References.CurrentLogAnnotations))
  const about = annotations.length === 0
    ? ""
    : ` (${annotations.map(([key, value]) => `${key} ${String(value)}`).join(", ")})`
  process.stderr.write(`${oneLine(`${text}${reasonOf(cause)}${about}`)}\n`)
})

/** Logs to stderr while `isOn`, one line per entry, whatever other commands log. */
export const logToStderr = (isOn: () => boolean) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  effect.pipe(
    Effect.provideService(
      Logger.CurrentLoggers,
      new Set([Logger.make((entry) => isOn() ? toStderr.log(entry) : undefined)])
    ),
    Effect.provideService(References.MinimumLogLevel, "Info")
  )
