/**
 * Listing jobs, for which the protocol has no command.
 *
 * The newest id comes from a job that is put into a scratch tube and deleted. From there the listing looks up every id,
 * downwards because most jobs are young, until it has found as many jobs as the statistics count. It reserves nothing, and
 * changes nothing else.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import { commands, type RawJob } from "../../Protocol.ts"
import type { JobStats } from "../../Stats.ts"
import { JobId, MAX_UINT32 } from "../../internal/protocol/scalars.ts"
import { batch, ifThere, values } from "./batch.ts"
import { BATCH, maxJobSizeOf, openPipeline } from "../connect.ts"
import { note } from "../terminal/output.ts"
import type { Progress } from "../terminal/progress.ts"

/** A job with its body and its statistics, both of one moment. */
export interface ListedJob {
  readonly stats: JobStats
  readonly job: RawJob
}

/** The name of a tube that no other client uses. */
export const scratchTube = Effect.map(
  Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER),
  (n) => `beanstalk-scratch-${n.toString(36)}`
)

// On a connection of its own, because the tube disappears when that closes. A draining server refuses this job too.
const newestId = Effect.gen(function*() {
  const pipeline = yield* openPipeline
  const tube = yield* scratchTube
  const id = yield* pipeline.run(commands.put, "", { delay: MAX_UINT32 * 1000 }, tube)
  yield* pipeline.run(commands.delete, id)
  return Option.some(id)
}).pipe(
  Effect.uninterruptible,
  Effect.scoped,
  Effect.catchTag("Draining", () => Effect.succeedNone)
)

/** The number of jobs of these tubes, or of all tubes if the set is empty. */
const countJobs = Effect.fnUntraced(function*(pipeline: Pipeline, tubes: ReadonlySet<string>) {
  const all = tubes.size === 0
    ? [yield* pipeline.run(commands.stats)]
    : yield* values(yield* batch(pipeline, ifThere.statsTube, [...tubes].map((tube) => [tube])))
  return all.reduce(
    (sum, stats) =>
      stats === undefined ? sum : sum + stats.currentJobsReady + stats.currentJobsReserved + stats.currentJobsDelayed +
        stats.currentJobsBuried,
    0
  )
})

const range = (from: number, to: number): ReadonlyArray<JobId> =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => JobId.make(from + i))

const findAmong = Effect.fnUntraced(function*(
  pipeline: Pipeline,
  tubes: ReadonlySet<string>,
  ids: ReadonlyArray<JobId>
) {
  const answers = yield* values(yield* batch(pipeline, ifThere.statsJob, ids.map((id) => [id])))
  return ids.filter((_, i) => {
    const stats = answers[i]
    return stats !== undefined && (tubes.size === 0 || tubes.has(stats.tube))
  })
})

const downwards = Effect.fnUntraced(function*(
  pipeline: Pipeline,
  tubes: ReadonlySet<string>,
  newest: number,
  progress: Progress
) {
  // Count after taking the newest id: once this many jobs are found, no other id below it can have one.
  const expected = yield* countJobs(pipeline, tubes)
  const found: Array<ReadonlyArray<JobId>> = []
  let count = 0
  for (let to = newest; to > 0 && count < expected; to -= BATCH) {
    const some = yield* findAmong(pipeline, tubes, range(Math.max(1, to - BATCH + 1), to))
    found.push(some)
    count += some.length
    progress.at(newest - to, (newest - to) / newest)
  }
  return found.toReversed().flat()
})

// A draining server gives no newest id, but also adds no job: the listing ends when the jobs that it has found, and that
// still exist, are as many as the statistics count.
const upwards = Effect.fnUntraced(function*(pipeline: Pipeline, tubes: ReadonlySet<string>, progress: Progress) {
  let found: ReadonlyArray<JobId> = []
  for (let from = 1;; from += BATCH) {
    const expected = yield* countJobs(pipeline, tubes)
    if (found.length >= expected) {
      found = yield* findAmong(pipeline, tubes, found)
      if (found.length >= expected) return found
    }
    found = [...found, ...yield* findAmong(pipeline, tubes, range(from, from + BATCH - 1))]
    progress.at(from)
  }
})

/** The ids of all jobs of these tubes, or of all tubes if none is named, in ascending order. */
export const findIds = Effect.fnUntraced(function*(
  pipeline: Pipeline,
  tubes: ReadonlyArray<string>,
  progress: Progress
) {
  const wanted = new Set(tubes)
  for (const tube of wanted) {
    if ((yield* pipeline.run(ifThere.statsTube, tube)) === undefined) {
      yield* note(`there is no tube ${tube} on ${pipeline.server}`)
    }
  }
  const newest = yield* newestId
  return Option.isNone(newest)
    ? yield* upwards(pipeline, wanted, progress)
    : yield* downwards(pipeline, wanted, newest.value, progress)
})

/** Whether a body contains this text. All contain the empty text. */
export const contains = (body: Uint8Array, text: Uint8Array): boolean =>
  text.length === 0 || Buffer.from(body.buffer, body.byteOffset, body.length).includes(text)

/** The size of the bodies in memory at once, if all are as long as the server allows. */
const MAX_BODY_BYTES = 32 * 1024 * 1024

/** How many bodies may be in memory at once. */
export const bodiesAtOnce = (pipeline: Pipeline) =>
  Effect.map(
    maxJobSizeOf(pipeline),
    (maxJobSize) => Math.min(256, Math.max(1, Math.floor(MAX_BODY_BYTES / maxJobSize)))
  )

/** Fetches these jobs, some at a time, in order, and leaves out jobs that no longer exist. */
export const forEachJobs = Effect.fnUntraced(function*<E, R>(
  pipeline: Pipeline,
  ids: ReadonlyArray<JobId>,
  f: (jobs: ReadonlyArray<ListedJob>) => Effect.Effect<unknown, E, R>
) {
  const many = yield* bodiesAtOnce(pipeline)
  for (let from = 0; from < ids.length; from += many) {
    const some = ids.slice(from, from + many).map((id) => [id] as const)
    const [stats, jobs] = yield* Effect.all([
      Effect.flatMap(batch(pipeline, ifThere.statsJob, some.map(([id]) => [id])), values),
      Effect.flatMap(batch(pipeline, ifThere.peek, some.map(([id]) => [id])), values)
    ], { concurrency: "unbounded" })
    yield* f(stats.flatMap((stats, i) => {
      const job = jobs[i]
      return stats === undefined || job === undefined ? [] : [{ stats, job }]
    }))
  }
})
