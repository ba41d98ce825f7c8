/**
 * Burying jobs that are not reserved, for which the protocol has no command.
 */
import * as Effect from "effect/Effect"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import { commands } from "../../Protocol.ts"
import type { JobId } from "../../internal/protocol/scalars.ts"

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
