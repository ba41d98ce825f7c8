/**
 * A line on stderr that shows how far long work has come. Without a terminal on stderr there is no line.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** The shortest time between two drawings of the line. */
const REDRAW_MILLIS = 100
const BAR_WIDTH = 24
const CLEAR_LINE = "\r\u001B[K"

export interface Progress {
  /** Sets how many are done, and which part of the whole, from 0 to 1, if `total` does not tell. */
  readonly at: (done: number, part?: number) => void
  /** Clears the line before results are printed, which may go to the same terminal. */
  readonly hide: () => void
}

const quiet: Progress = { at: () => {}, hide: () => {} }

const duration = (seconds: number): string => {
  const s = Math.ceil(seconds)
  if (s < 60) return `${s} s`
  return s < 3600
    ? `${Math.floor(s / 60)} min ${s % 60} s`
    : `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`
}

/** The text of the line, without the codes that place it. */
export const draw = (label: string, done: number, part: number | undefined, millis: number): string => {
  const rate = millis > 0 ? Math.round(done * 1000 / millis) : 0
  if (part === undefined) return `${label}  ${done}  ${rate}/s`
  const filled = Math.round(part * BAR_WIDTH)
  const bar = "#".repeat(filled) + "-".repeat(BAR_WIDTH - filled)
  const left = part > 0 && part < 1 ? `  ${duration(millis / 1000 * (1 - part) / part)} left` : ""
  return `${label}  [${bar}] ${Math.floor(part * 100)}%  ${done}  ${rate}/s${left}`
}

/**
 * A progress line, which ends with the Scope. With a `total` it has a bar and shows the time left. With `vanishes` the line
 * is cleared at the end.
 */
export const make = Effect.fnUntraced(function*(
  label: string,
  { total, vanishes = false }: { readonly total?: number | undefined; readonly vanishes?: boolean | undefined } = {}
): Effect.fn.Return<Progress, never, Scope.Scope> {
  if (!process.stderr.isTTY) return quiet
  const clock = yield* Clock.Clock
  const began = clock.currentTimeMillisUnsafe()
  let drawnAt = began
  let isDrawn = false
  let last: [done: number, part: number | undefined] = [0, undefined]
  const show = () => {
    isDrawn = true
    const line = draw(label, ...last, clock.currentTimeMillisUnsafe() - began)
    process.stderr.write(CLEAR_LINE + line.slice(0, Math.max(1, (process.stderr.columns || 80) - 1)))
  }
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (!vanishes) {
        show()
        process.stderr.write("\n")
      } else if (isDrawn) process.stderr.write(CLEAR_LINE)
    })
  )
  return {
    at: (done, part = total === undefined ? undefined : total === 0 ? 1 : Math.min(1, done / total)) => {
      last = [done, part]
      const now = clock.currentTimeMillisUnsafe()
      if (now - drawnAt < REDRAW_MILLIS) return
      drawnAt = now
      show()
    },
    hide: () => {
      if (process.stdout.isTTY) process.stderr.write(CLEAR_LINE)
    }
  }
})
