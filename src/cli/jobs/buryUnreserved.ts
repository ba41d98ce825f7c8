/**
 * Burying jobs that nobody has reserved, which the protocol has no command for.
 */
import * as Effect from "effect/Effect"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import { commands } from "../../Protocol.ts"
import type { JobId } from "../../internal/protocol/scalars.ts"

/**
 * Buries a job with this priority. It has to be reserved for that, and whoever loses the connection in between makes it
 * ready: so the bury leaves in the same write, and the server carries out both or neither.
 */
export const buryJob = (pipeline: Pipeline, id: JobId, priority: number) =>
  Effect.all([
    pipeline.run(commands.reserveJob, id),
    // Of a job that could not be reserved this fails too, and says less.
    Effect.exit(pipeline.run(commands.bury, id, { priority }))
  ], { concurrency: "unbounded" }).pipe(
    Effect.flatMap(([, buried]) => buried),
    Effect.uninterruptible
  )
