/**
 * A job that is larger than `maxReplySize`. Its body was skipped, so no handler can have it, and as long as it is ready it
 * comes again to whoever reserves next: it is buried, where somebody can look at it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Errors from "../../Errors.ts"
import type { ReservedJob } from "../job/reservedJob.ts"

/**
 * Buries the job, and says so. If the server refuses that, the job is released for a while; if it refuses that too, the
 * connection is closed, since the job must not stay with it.
 */
export const buryOversized = (
  job: ReservedJob,
  { limit, size }: Errors.ReplyTooLarge,
  tubes: ReadonlyArray<string>
): Effect.Effect<void> => {
  const what = `job ${job.id} has ${size} bytes, and maxReplySize allows ${limit}`
  return job.bury().pipe(
    Effect.matchCauseEffect({
      onSuccess: () => Effect.logError(`${what}: it was buried`),
      onFailure: (cause) =>
        Effect.andThen(
          job.isOver ? Effect.void : Effect.exit(job.release({ delay: "1 minute" })),
          Effect.suspend(() => {
            if (!job.isOver) job.abandon(new Errors.ConnectionClosed({ detail: `${what}, and it could not be buried` }))
            return Effect.logError(`${what}, and it could not be buried`, Cause.squash(cause))
          })
        )
    }),
    Effect.annotateLogs({ server: job.server, tubes, job: job.id, size, maxReplySize: limit }),
    // Loggers are written by others.
    Effect.ignoreCause
  )
}
