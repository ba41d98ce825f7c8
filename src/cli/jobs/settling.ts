/**
 * What becomes of a job that was printed: it is deleted, released or buried.
 */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type * as Errors from "../../Errors.ts"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import type { JobId } from "../../internal/protocol/scalars.ts"
import { commands } from "../../Protocol.ts"
import { batch } from "./batch.ts"

export const ACTIONS = ["delete", "release", "bury"] as const

/** What to do with jobs. Without a `priority` they keep their own. */
export interface Ending {
  readonly action: typeof ACTIONS[number]
  readonly priority: Option.Option<number>
  readonly delay: Duration.Duration
}

/** Whether the priority of each job has to be asked for, because the command sets it anew. */
export const needsPriority = ({ action, priority }: Ending): boolean => action !== "delete" && Option.isNone(priority)

export interface Settled {
  readonly id: JobId
  /** Its own priority, if that is known. */
  readonly priority: number | undefined
}

type Answer = Exit.Exit<void, Errors.NotFound | Errors.JobBuried | Errors.InvalidArgument | Errors.BeanstalkdError>

/** Settles reserved jobs, all at once. */
export const settleAll = (
  pipeline: Pipeline,
  jobs: ReadonlyArray<Settled>,
  { action, delay, priority }: Ending
): Effect.Effect<ReadonlyArray<Answer>> => {
  const priorityOf = (job: Settled) => Option.getOrElse(priority, () => job.priority)
  switch (action) {
    case "delete":
      return batch(pipeline, commands.delete, jobs.map(({ id }) => [id]))
    case "release":
      return batch(
        pipeline,
        commands.release,
        jobs.map((job) => [job.id, { priority: priorityOf(job), delay }] as const)
      )
    case "bury":
      return batch(pipeline, commands.bury, jobs.map((job) => [job.id, { priority: priorityOf(job) }] as const))
  }
}
