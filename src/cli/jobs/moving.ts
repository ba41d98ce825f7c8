/**
 * Moving jobs: each is copied first and deleted second, many side by side.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import type { JobId } from "../../internal/protocol/scalars.ts"
import { commands, type RawJob } from "../../Protocol.ts"
import type { JobStats } from "../../Stats.ts"
import { batch, firstFailure, ifThere, isNotFound, values } from "./batch.ts"
import { type Copy, putCopies } from "./copy.ts"
import type { ListedJob } from "./listing.ts"
import { delayLeft } from "./record.ts"
import { needsReserveJob, releaseAll, reserveSome } from "./reserving.ts"
import type { State } from "./selection.ts"
import { isUnsure, type Tally } from "./taking.ts"

export interface Moving {
  readonly pipeline: Pipeline
  readonly target: Pipeline
  readonly from: string
  readonly to: string
  readonly states: ReadonlyArray<State>
  readonly asReady: boolean
  /** How jobs that are ready are kept from workers while they are copied. */
  readonly holdReady: "by id" | "by reserving any" | "not at all"
  /** Whether the target can bury a copy. */
  readonly canBury: boolean
}

interface Held extends ListedJob {
  readonly isReserved: boolean
}

const statsOf = (pipeline: Pipeline, ids: ReadonlyArray<JobId>) =>
  Effect.flatMap(batch(pipeline, ifThere.statsJob, ids.map((id) => [id])), values)

const pair = (
  stats: ReadonlyArray<JobStats | undefined>,
  jobs: ReadonlyArray<RawJob | undefined>,
  isReserved: boolean
): ReadonlyArray<Held> =>
  stats.flatMap((stats, i) => {
    const job = jobs[i]
    return stats === undefined || job === undefined ? [] : [{ stats, job, isReserved }]
  })

const holdAny = Effect.fnUntraced(function*(pipeline: Pipeline, most: number) {
  const jobs = yield* reserveSome(pipeline, most)
  const stats = yield* statsOf(pipeline, jobs.map(({ id }) => id))
  return pair(stats, jobs, true)
})

// Reserving a ready job keeps workers away while it is copied, and if this process dies the job is ready again. Delayed
// and buried jobs would come back in the wrong state, so a worker may take them first.
const hold = Effect.fnUntraced(function*(moving: Moving, ids: ReadonlyArray<JobId>, state: State | undefined) {
  const { from, holdReady, pipeline, states } = moving
  if (state === "ready" && holdReady === "by reserving any") {
    const held = yield* holdAny(pipeline, ids.length)
    // The tube is paused, or workers were faster.
    if (held.length > 0) return held
  }
  const isWanted = (stats: JobStats | undefined): stats is JobStats =>
    stats?.tube === from && states.some((state) => state === stats.state)
  const wanted = (yield* statsOf(pipeline, ids)).filter(isWanted)
  const isHeld = ({ state }: JobStats) => state === "ready" && holdReady === "by id"
  const reserved = wanted.filter(isHeld)
  const looked = wanted.filter((stats) => !isHeld(stats))
  const [taken, seen] = yield* Effect.all([
    Effect.flatMap(batch(pipeline, ifThere.reserveJob, reserved.map(({ id }) => [id])), values),
    Effect.flatMap(batch(pipeline, ifThere.peek, looked.map(({ id }) => [id])), values)
  ], { concurrency: "unbounded" })
  return [...pair(reserved, taken, true), ...pair(looked, seen, false)]
})

const copyOf = ({ asReady, to }: Moving, { job, stats }: Held): Copy => ({
  tube: to,
  state: asReady ? "ready" : stats.state,
  priority: stats.pri,
  delay: asReady ? 0 : delayLeft(stats),
  ttr: stats.ttr,
  body: job.body
})

interface Copied {
  readonly original: Held
  readonly copy: JobId
}

// A worker took the original before it was deleted, so the copy must go. One that cannot be deleted is a second job.
const takeBack = Effect.fnUntraced(function*(target: Pipeline, copied: ReadonlyArray<Copied>) {
  const answers = yield* batch(target, commands.delete, copied.map(({ copy }) => [copy]))
  return answers.filter(Exit.isFailure).length
})

/** Moves these jobs, but for those that are gone or reserved by now. Jobs that could not be copied stay as they were. */
export const moveSome = Effect.fnUntraced(function*(
  moving: Moving,
  ids: ReadonlyArray<JobId>,
  state: State | undefined,
  tally: Tally
) {
  const { asReady, canBury, pipeline, target } = moving
  const held = yield* hold(moving, ids, state)
  if (!canBury && !asReady && held.some(({ stats }) => stats.state === "buried")) {
    return yield* needsReserveJob("a copy that is buried", target.server, "; --ready moves buried jobs as ready ones")
  }
  const puts = yield* putCopies(target, held.map((job) => copyOf(moving, job)))
  tally.unsure += puts.filter(isUnsure).length
  const copied = held.flatMap((original, i): ReadonlyArray<Copied> => {
    const put = puts[i]!
    return Exit.isSuccess(put) ? [{ original, copy: put.value }] : []
  })
  const deletes = yield* batch(pipeline, commands.delete, copied.map(({ original }) => [original.job.id]))
  tally.done += deletes.filter(Exit.isSuccess).length
  tally.unsure += deletes.filter((exit) => Exit.isFailure(exit) && !isNotFound(exit)).length
  tally.unsure += yield* takeBack(target, copied.filter((_, i) => isNotFound(deletes[i]!)))
  const left = held.filter(({ isReserved }, i) => isReserved && Exit.isFailure(puts[i]!)).map(({ job }) => job.id)
  if (left.length > 0) yield* Effect.ignore(releaseAll(pipeline, left))
  yield* firstFailure(puts)
  yield* firstFailure(deletes)
})
