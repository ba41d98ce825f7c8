/**
 * Naming one job to a client of one server.
 */
import { InvalidArgument } from "../../Errors.ts"
import type { JobRef } from "../protocol/jobRef.ts"
import type { JobId } from "../protocol/scalars.ts"

/**
 * One job: its {@link JobRef}, the job itself (reserved or peeked), or, with a client of one server, its id alone. A
 * client of several servers refuses an id alone, since each server has a job of that number.
 *
 * @category models
 * @since 0.1.0
 */
export type JobIdentifier = JobId | Pick<JobRef, "server" | "id">

/** The id of a job of this server. Any other value that is no id is left for the command to refuse. */
export const idOf = (operation: string, server: string, job: JobIdentifier): JobId | InvalidArgument => {
  if (typeof job !== "object" || job === null) return job
  try {
    if (job.server === server) return job.id
  } catch {
    // Members that throw name no job.
  }
  return new InvalidArgument({
    operation,
    argument: "id",
    value: job,
    rule: `a job of ${server}: a JobRef, a job that it has given, or an id`
  })
}
