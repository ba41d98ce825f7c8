/**
 * How often an element was attempted. The server counts each reserve, and has no way to take one back, but an interruption
 * is no attempt: the priority of the job says how many of its reserves do not count.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { DEFAULT_PRIORITY, type Failure } from "../../Protocol.ts"
import type { JobCounters } from "../job/lease.ts"
import type { ReservedJob } from "../job/reservedJob.ts"

/** The priority of an element all of whose reserves count. It is the server's default, as foreign producers have it. */
export const PRIORITY = DEFAULT_PRIORITY

type Counters = Pick<JobCounters, "pri" | "reserves">

/** The attempts of a job that is reserved, this one included. */
export const attemptsOf = ({ pri, reserves }: Counters): number => {
  const uncounted = PRIORITY - pri
  // Any other priority was chosen by somebody else, or the job was copied to another server, which counts from the beginning.
  return uncounted >= 0 && uncounted < reserves ? reserves - uncounted : reserves
}

/** The priority with which a job is released that has been attempted so often. */
export const priorityAfter = ({ reserves }: Pick<Counters, "reserves">, attempts: number): number =>
  Math.max(0, PRIORITY - (reserves - attempts))

/** The counters of a reserved job. */
export const countersOf = (job: ReservedJob): Effect.Effect<JobCounters, Failure<"statsJob">> =>
  Effect.suspend(() =>
    job.known === undefined
      ? Effect.callback<JobCounters, Failure<"statsJob">>((resume) => job.inspect(resume))
      : Effect.succeed(job.known)
  )

/** Releases the job as if it had not been reserved. It comes before elements that have not been reserved yet. */
export const giveBack = (job: ReservedJob, delay?: Duration.Duration): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (job.isOver) return Effect.void
    const released = Effect.flatMap(
      countersOf(job),
      (counters) => job.release({ delay, priority: priorityAfter(counters, attemptsOf(counters) - 1) })
    )
    return Effect.catchCause(released, () => job.end)
  })
