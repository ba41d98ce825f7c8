/**
 * Which lines of stdin did not become jobs, so that whoever resumes puts nothing twice and leaves nothing out.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Errors from "../../Errors.ts"
import { describe } from "../failures.ts"
import { countOfJobs, note } from "../terminal/output.ts"
import { isUnsure } from "./taking.ts"

/** Numbers as ranges: "3, 7-9". */
export const ranges = (lines: ReadonlyArray<number>): string => {
  const all: Array<[first: number, last: number]> = []
  for (const line of lines) {
    const last = all.at(-1)
    if (last !== undefined && line === last[1] + 1) last[1] = line
    else all.push([line, line])
  }
  return all.map(([first, last]) => first === last ? `${first}` : `${first}-${last}`).join(", ")
}

const named = (lines: ReadonlyArray<number>): string => `line${lines.length === 1 ? "" : "s"} ${ranges(lines)}`

const was = (lines: ReadonlyArray<number>): string => lines.length === 1 ? "was" : "were"

/** An answer to the put of a line, or what was wrong with the line. */
export type LineOutcome<A, E> = { readonly line: number; readonly answer: Exit.Exit<A, E> }

/** Keeps account of the lines of stdin. */
export class LineReport {
  /** As in "put into emails". */
  readonly #done: string
  /** How many lines have become jobs. */
  done = 0
  /** How many lines were passed over because something is wrong with them. */
  skipped = 0
  /** The first line that has not been looked at. */
  next = 1

  constructor(done: string) {
    this.#done = done
  }

  /** How far it has come, for somebody who resumes. */
  get summary(): string {
    return `nothing from line ${this.next} on was put; ${this.total}`
  }

  get total(): string {
    return `${countOfJobs(this.done)} ${this.#done}`
  }

  /**
   * Accounts for lines whose put was answered, and tells of each that has become no job. Fails if the next lines would fare no
   * better.
   */
  account<A, E>(outcomes: ReadonlyArray<LineOutcome<A, E>>): Effect.Effect<void, E> {
    return Effect.gen({ self: this }, function*() {
      const failed = outcomes.filter(({ answer }) => Exit.isFailure(answer))
      const unsure = failed.filter(({ answer }) => isUnsure(answer))
      this.done += outcomes.length - failed.length
      for (const { lines, why } of byReason(failed.filter(({ answer }) => !isUnsure(answer)))) {
        yield* note(`${named(lines)} ${was(lines)} not put: ${why}`)
        this.skipped += lines.length
      }
      if (unsure.length > 0) {
        yield* note(`${named(unsure.map(({ line }) => line))} may have been put: the answers were lost`)
      }
      const stopper = failed.find(({ answer }) => stops(answer))
      if (stopper !== undefined) yield* stopper.answer
    })
  }
}

// Only what is wrong with one line lets the others go on.
const stops = (answer: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(answer) && !(Cause.squash(answer.cause) instanceof Errors.JobTooBig) &&
  !(Cause.squash(answer.cause) instanceof BadLine)

/** Something is wrong with a line itself. */
export class BadLine extends Schema.TaggedError<BadLine>("effect-beanstalkd/cli/BadLine")("BadLine", {
  message: Schema.String
}) {}

interface Reason {
  readonly lines: Array<number>
  readonly why: string
}

const byReason = (failed: ReadonlyArray<LineOutcome<unknown, unknown>>): ReadonlyArray<Reason> => {
  const all: Array<Reason> = []
  for (const { answer, line } of failed) {
    const error = Exit.isFailure(answer) ? Cause.squash(answer.cause) : undefined
    const why = error instanceof BadLine ? error.message : describe(error)
    const last = all.at(-1)
    if (last?.why === why) last.lines.push(line)
    else all.push({ lines: [line], why })
  }
  return all
}
