/**
 * Working through the jobs of a tube that are selected, many at a time, as `drain`, `move` and `kick` do. A batch is not
 * interruptible, so the count that is printed at the end, or after an interruption, is exact.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Errors from "../../Errors.ts"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import type { JobId } from "../../internal/protocol/scalars.ts"
import type { TubeStats } from "../../Stats.ts"
import type { Failed } from "../failures.ts"
import { withServer } from "../connect.ts"
import { countOfJobs, note, result } from "../terminal/output.ts"
import * as Progress from "../terminal/progress.ts"
import { ifThere } from "./batch.ts"
import { Heads } from "./heads.ts"
import { isFiltered, selectedIds, type Selection, type State } from "./selection.ts"

/** What has become of the jobs so far. */
export interface Tally {
  done: number
  /** Jobs of which nobody knows, because the answer was lost with the connection. */
  unsure: number
}

/** The work on the jobs. */
export interface Work<E> {
  readonly pipeline: Pipeline
  readonly selection: Selection
  /** As in "42 jobs deleted". */
  readonly done: "deleted" | "moved" | "kicked"
  /** As in "42 more jobs may have been deleted". */
  readonly unsure: string
  /** The most jobs that `take` gets at a time. */
  readonly atOnce: number
  readonly inOrder: boolean
  /**
   * Does its work on some jobs, of which each may be gone by now, and counts each job in the tally as soon as its answer is
   * there.
   */
  readonly take: (ids: ReadonlyArray<JobId>, state: State | undefined, tally: Tally) => Effect.Effect<void, E>
  /** Says no, before anything is changed. */
  readonly confirm?: ((count: number) => Effect.Effect<void, Failed>) | undefined
  readonly isDry: boolean
}

const countIn = (stats: TubeStats, state: State): number =>
  ({ ready: stats.currentJobsReady, delayed: stats.currentJobsDelayed, buried: stats.currentJobsBuried })[state]

// Only the progress and the summary need it, so a server that has no such statistics is no reason to stop.
const countOfTube = Effect.fnUntraced(function*(pipeline: Pipeline, { count, states, tube }: Selection) {
  const stats = yield* pipeline.run(ifThere.statsTube, tube).pipe(
    Effect.catchReason("BeanstalkdError", "UnknownCommand", () => Effect.succeed("unknown" as const))
  )
  if (stats === "unknown") return undefined
  if (stats === undefined) yield* note(`there is no tube ${tube} on ${pipeline.server}`)
  return stats && Math.min(count, states.reduce((sum, state) => sum + countIn(stats, state), 0))
})

const takeIds = Effect.fnUntraced(function*<E>(
  { atOnce, selection, take }: Work<E>,
  ids: ReadonlyArray<JobId>,
  tally: Tally,
  step: (effect: Effect.Effect<void, E>) => Effect.Effect<void, E>
) {
  for (let from = 0; from < ids.length && tally.done < selection.count;) {
    const some = ids.slice(from, from + Math.min(atOnce, selection.count - tally.done))
    from += some.length
    yield* step(take(some, undefined, tally))
  }
})

const takeHeads = Effect.fnUntraced(function*<E>(
  { atOnce, inOrder, pipeline, selection, take }: Work<E>,
  tally: Tally,
  step: (effect: Effect.Effect<void, E>) => Effect.Effect<void, E>
) {
  for (const state of selection.states) {
    const heads = new Heads({ pipeline, tube: selection.tube, state, inOrder })
    while (tally.done < selection.count) {
      const some = yield* heads.next(Math.min(atOnce, selection.count - tally.done))
      if (some === undefined) break
      yield* step(take(some, state, tally))
    }
  }
})

const summary = ({ done, unsure }: Work<unknown>, tally: Tally, total: number | undefined): string => {
  const counted = total === undefined ? countOfJobs(tally.done) : `${tally.done} of ${countOfJobs(total)}`
  return `${counted} ${done}${tally.unsure === 0 ? "" : `; ${countOfJobs(tally.unsure)} more ${unsure}`}`
}

// With several servers each line says which one it is about.
const say = Effect.fnUntraced(function*(count: string, json: object) {
  const named = yield* withServer(json)
  yield* result("server" in named ? `${named.server}\t${count}` : count, named)
})

/** Does the work, shows a progress line, and prints how many jobs were done, and returns it. */
export const takeJobs = Effect.fnUntraced(function*<E>(task: Work<E>) {
  const { confirm, done, isDry, pipeline, selection } = task
  const chosen = isFiltered(selection) ? yield* selectedIds(pipeline, selection) : undefined
  const total = chosen === undefined
    ? yield* countOfTube(pipeline, selection)
    : Math.min(chosen.length, selection.count)
  const { tube } = selection
  if (isDry) {
    yield* note(`dry run: no job was ${done}`)
    yield* say(total === undefined ? "unknown" : String(total), { tube, [done]: 0, selected: total ?? null })
    return 0
  }
  if (confirm !== undefined && total !== 0) yield* confirm(total ?? Infinity)
  const tally: Tally = { done: 0, unsure: 0 }
  yield* Effect.gen(function*() {
    const progress = yield* Progress.make(`${done} from ${tube}`, { total })
    // The tally is right even if an interruption that waits for this step follows immediately.
    const step = (effect: Effect.Effect<void, E>) =>
      Effect.uninterruptible(Effect.ensuring(effect, Effect.sync(() => progress.at(tally.done))))
    yield* chosen === undefined ? takeHeads(task, tally, step) : takeIds(task, chosen, tally, step)
  }).pipe(
    Effect.scoped,
    Effect.onExit((exit) => {
      if (Exit.isSuccess(exit)) return tally.unsure === 0 ? Effect.void : note(summary(task, tally, total))
      const why = Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "stopped"
      return note(`${why}: ${summary(task, tally, total)}`)
    }),
    Effect.onExit(() => Effect.ignore(say(String(tally.done), { tube, [done]: tally.done })))
  )
  return tally.done
})

/** Whether a command may have been carried out although it failed: it had left, and its answer never came. */
export const isUnsure = (exit: Exit.Exit<unknown, unknown>): boolean => {
  if (Exit.isSuccess(exit)) return false
  const error = Cause.squash(exit.cause) as Partial<Errors.BeanstalkdError>
  return error._tag === "BeanstalkdError" && error.sent === true && !isAnswer(error.reason?._tag)
}

const ANSWERS = new Set(["InternalError", "BadFormat", "UnknownCommand", "ExpectedCrlf", "ServerOutOfMemory"])

const isAnswer = (reason: string | undefined): boolean => reason !== undefined && ANSWERS.has(reason)
