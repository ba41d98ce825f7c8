/**
 * Burying jobs that are not reserved, for which the protocol has no command.
 */
import * as Effect from "effect/Effect"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import type { JobId } from "../../internal/protocol/scalars.ts"
import { commands } from "../../Protocol.ts"
import type { JobStats } from "../../Stats.ts"
import { Failed } from "../failures.ts"
import { needsReserveJob, releaseAll, reserveSome, watchInstead } from "./reserving.ts"

/**
 * Reserves a job and buries it with this priority. A connection lost in between would make the job ready, so both commands
 * leave in one write, and the server carries out both or neither.
 */
export const buryJob = (pipeline: Pipeline, id: JobId, priority: number) =>
  Effect.all([
    pipeline.run(commands.reserveJob, id),
    // If the reserve fails this fails too, with a message that says less.
    Effect.exit(pipeline.run(commands.bury, id, { priority }))
  ], { concurrency: "unbounded" }).pipe(
    Effect.flatMap(([, buried]) => buried),
    Effect.uninterruptible
  )

/** The most jobs before the wanted one that are reserved and released for it. */
const MOST_BEFORE = 4096
const AT_ONCE = 64

/**
 * Buries a ready job on a server that has no `reserve-job`: reserves from its tube until the job comes, and releases the
 * others as they were.
 */
export const buryByReserving = Effect.fnUntraced(function*(
  pipeline: Pipeline,
  { id, state, tube }: JobStats,
  priority: number
) {
  if (state === "reserved") return yield* pipeline.run(commands.bury, id, { priority })
  if (state !== "ready") return yield* needsReserveJob(`to bury job ${id}, which is ${state},`, pipeline.server)
  yield* watchInstead(pipeline, tube)
  const others: Array<JobId> = []
  let isFound = false
  while (!isFound && others.length < MOST_BEFORE) {
    const jobs = yield* reserveSome(pipeline, AT_ONCE)
    if (jobs.length === 0) break
    isFound = jobs.some((job) => job.id === id)
    if (isFound) yield* pipeline.run(commands.bury, id, { priority })
    others.push(...jobs.map((job) => job.id).filter((other) => other !== id))
  }
  yield* releaseAll(pipeline, others)
  yield* watchInstead(pipeline, "default", tube)
  if (isFound) return
  const { pauseTimeLeft = 0 } = yield* pipeline.run(commands.statsTube, tube)
  if (pauseTimeLeft > 0) return yield* needsReserveJob(`to bury job ${id} of the paused tube ${tube}`, pipeline.server)
  if (others.length >= MOST_BEFORE) {
    return yield* needsReserveJob(`to bury job ${id}, which is not among the next ${MOST_BEFORE},`, pipeline.server)
  }
  return yield* new Failed({ message: `NOT_FOUND: job ${id} on ${pipeline.server} has just been taken by a worker` })
}, Effect.uninterruptible)
