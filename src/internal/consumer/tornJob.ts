/**
 * A job of which the server has only the length: it was killed between two writes to its binlog. Its body is answered as
 * bytes that end elsewhere than they should, so every connection that reserves it must be closed, with all its jobs.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { commands } from "../../Protocol.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import type { JobId } from "../protocol/scalars.ts"

/** Deletes the torn job, since it would close the next connection as well. */
export const deleteTorn = (
  shared: Pick<Pipeline, "run">,
  tubes: ReadonlyArray<string>,
  id: JobId
): Effect.Effect<void> =>
  shared.run(commands.delete, id).pipe(
    // It is reserved, hence not found, until the server has noticed the end of the connection that reserved it.
    Effect.retry({ while: (error) => error._tag === "NotFound", schedule: Schedule.spaced("10 millis"), times: 10 }),
    Effect.andThen(Effect.logError("deleted: the server came back with nothing of it but its length")),
    Effect.annotateLogs({ tubes, job: id }),
    // Another consumer has met it by now and deletes it, or the next one that meets it does.
    Effect.ignore
  )
