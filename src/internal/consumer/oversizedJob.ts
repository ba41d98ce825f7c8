/**
 * A job that is larger than `maxReplySize`. Its body was skipped, so no handler can have it, and as long as it is ready it
 * comes again to whoever reserves next: it is buried, where somebody can look at it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Errors from "../../Errors.ts"
import { commands, DEFAULT_PRIORITY, type Failure } from "../../Protocol.ts"
import type { ReservedJob } from "../job/reservedJob.ts"

// Without `stats-job` nobody can tell the priority that the job is to keep.
const buryAnyhow = (job: ReservedJob): Effect.Effect<void, Failure<"bury">> =>
  Effect.catchIf(
    job.bury(),
    (error) => error._tag === "BeanstalkdError" && error.command === commands.statsJob.name && !job.isOver,
    () => job.bury({ priority: DEFAULT_PRIORITY })
  )

/** Buries the job, and says so. A server that refuses that is asked again for as long as the job is in hand. */
export const buryOversized = (
  job: ReservedJob,
  { limit, size }: Errors.ReplyTooLarge,
  tubes: ReadonlyArray<string>
): Effect.Effect<void> => {
  const what = `job ${job.id} has ${size} bytes, and maxReplySize allows ${limit}`
  return buryAnyhow(job).pipe(
    Effect.retry({ while: () => !job.isOver, schedule: Schedule.spaced("1 second") }),
    Effect.matchCauseEffect({
      onSuccess: () => Effect.logError(`${what}: it was buried`),
      onFailure: (cause) => Effect.logError(`${what}, and it could not be buried`, Cause.squash(cause))
    }),
    Effect.annotateLogs({ server: job.server, tubes, job: job.id, size, maxReplySize: limit }),
    // Loggers are written by others.
    Effect.ignoreCause
  )
}
