/**
 * Emptying a tube from its heads, job by job, as `drain` and `move` do. A step is not interruptible, so the count that is
 * printed at the end, or after an interruption, is exact.
 */
import * as Cause from "effect/Cause"
import type * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Errors from "../../Errors.ts"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import { commands, type RawJob } from "../../Protocol.ts"
import type { JobId } from "../../internal/protocol/scalars.ts"
import { ifThere } from "./batch.ts"
import * as flags from "../flags.ts"
import { countOfJobs, note, result } from "../terminal/output.ts"
import * as Progress from "../terminal/progress.ts"

/** States whose jobs can be taken without a reserve. Delayed jobs come first, because they become ready with time. */
const STATES = ["delayed", "ready", "buried"] as const
export type State = typeof STATES[number]

/** `--state STATE`. Default: all three. */
export const states: Flag.Flag<ReadonlyArray<State>> = flags.states(
  STATES,
  "Only jobs in this state; may be repeated; by default all jobs except reserved ones"
)

const peeks = { ready: ifThere.peekReady, delayed: ifThere.peekDelayed, buried: ifThere.peekBuried }

/** The next job of a tube in this state, if there is one. */
export const peekHead = (
  pipeline: Pipeline,
  tube: string,
  state: State
): Effect.Effect<RawJob | undefined, Errors.InvalidArgument | Errors.BeanstalkdError> =>
  pipeline.run(peeks[state], tube)

/** The outcome of a step. `isDone` is true if the job was deleted or moved, `next` is the next job of the tube. */
export interface Step {
  readonly isDone: boolean
  readonly next: RawJob | undefined
}

/**
 * Deletes a job and looks at the next one, in one round trip. `isDone` is false if the job was gone, or reserved by a
 * worker.
 */
export const deleteAndPeek = (
  pipeline: Pipeline,
  id: JobId,
  tube: string,
  state: State
): Effect.Effect<Step, Errors.InvalidArgument | Errors.BeanstalkdError> => {
  const isDone = pipeline.run(commands.delete, id).pipe(
    Effect.as(true),
    Effect.catchTag("NotFound", () => Effect.succeed(false))
  )
  return Effect.all({ isDone, next: peekHead(pipeline, tube, state) }, { concurrency: "unbounded" })
}

export interface Emptying<E> {
  readonly pipeline: Pipeline
  readonly tube: string
  readonly states: ReadonlyArray<State>
  /** As in "42 jobs deleted". */
  readonly done: "deleted" | "moved"
  readonly step: (job: RawJob, state: State) => Effect.Effect<Step, E>
}

/** Takes steps until no job is left, shows a progress line, and prints how many jobs were deleted or moved. */
export const emptyTube = Effect.fnUntraced(function*<E>({ done, pipeline, step, tube, ...options }: Emptying<E>) {
  const states = options.states.length === 0 ? STATES : options.states
  const stats = yield* pipeline.run(ifThere.statsTube, tube)
  if (stats === undefined) yield* note(`there is no tube ${tube} on ${pipeline.server}`)
  const counts = {
    ready: stats?.currentJobsReady ?? 0,
    delayed: stats?.currentJobsDelayed ?? 0,
    buried: stats?.currentJobsBuried ?? 0
  }
  const total = states.reduce((sum, state) => sum + counts[state], 0)
  let count = 0

  yield* Effect.gen(function*() {
    const progress = yield* Progress.make(`${done} from ${tube}`, { total })
    // The step counts its job itself: an interruption that waits for the step follows immediately.
    const takeOne = (job: RawJob, state: State) =>
      Effect.uninterruptible(Effect.map(step(job, state), ({ isDone, next }) => {
        if (isDone) progress.at(++count)
        return next
      }))
    for (const state of states) {
      let job = yield* peekHead(pipeline, tube, state)
      while (job !== undefined) job = yield* takeOne(job, state)
    }
  }).pipe(
    Effect.scoped,
    Effect.onExit((exit) => {
      if (Exit.isSuccess(exit)) return Effect.void
      const why = Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "stopped"
      return note(`${why}: ${count} of ${countOfJobs(total)} ${done}`)
    }),
    Effect.onExit(() => Effect.ignore(result(String(count), { tube, [done]: count })))
  )
})
