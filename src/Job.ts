/**
 * A reserved job, bound to the connection that reserved it. No other connection can settle it.
 *
 * A job is settled once: deleted, released or buried. Its connection is then free for other jobs at once. A handle whose
 * job is settled, or whose ttr has run out, says `NotFound` to every command and sends nothing to the server, so that it
 * cannot do anything to the next lease of the same job.
 *
 * Settling is not interruptible, since the caller must learn whether the job was settled. It takes a round trip, or the
 * command timeout if the server is gone.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Errors from "./Errors.ts"
import * as ReservedJob from "./internal/job/reservedJob.ts"
import type { JobRef } from "./internal/protocol/jobRef.ts"
import type { JobId } from "./internal/protocol/scalars.ts"
import type * as Protocol from "./Protocol.ts"
import type { JobStats } from "./Stats.ts"

/**
 * The type of {@link TypeId}.
 *
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-beanstalkd/Job"

/**
 * What marks a reserved job.
 *
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = ReservedJob.TypeId

/**
 * Options of `release`: without a `priority` the job keeps its own, without a `delay` it is ready at once.
 *
 * @category models
 * @since 0.1.0
 */
export type ReleaseOptions = Protocol.ReleaseOptions

/**
 * Options of `bury`: without a `priority` the job keeps its own.
 *
 * @category models
 * @since 0.1.0
 */
export type BuryOptions = Protocol.BuryOptions

/**
 * A reserved job. When its Scope is closed before the job was settled, the job is released with its own priority.
 *
 * ```ts
 * import { Client } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const handleOne = Effect.gen(function*() {
 *   const beanstalkd = yield* Client.Beanstalkd
 *   const job = yield* beanstalkd.reserve("emails")
 *   if ((yield* job.attempt) > 3) return yield* job.bury()
 *   yield* Effect.log(job.text)
 *   yield* job.delete
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Job {
  readonly [TypeId]: TypeId

  /** The address of the server that the job lies on, as errors show it. */
  readonly server: string

  /** The id, which is unique on its server only. */
  readonly id: JobId

  /** The server and the id, for what must name the job elsewhere. */
  readonly ref: JobRef

  /** The body, every byte as it was put. */
  readonly body: Uint8Array

  /** The body read as UTF-8. */
  readonly text: string

  /** Deletes the job: the work is done. (protocol: `delete`) */
  readonly delete: Effect.Effect<void, Protocol.Failure<"delete">>

  /** Makes the job ready again, at once or after a delay. (protocol: `release`) */
  readonly release: (options?: ReleaseOptions) => Effect.Effect<void, Protocol.Failure<"release">>

  /** Buries the job: nobody gets it until somebody kicks it. (protocol: `bury`) */
  readonly bury: (options?: BuryOptions) => Effect.Effect<void, Protocol.Failure<"bury">>

  /** Renews the lease: the job has its whole ttr again. (protocol: `touch`) */
  readonly touch: Effect.Effect<void, Protocol.Failure<"touch">>

  /**
   * Fails with `NotFound` when the lease is lost, because the ttr ran out or the connection was lost, before anybody
   * settled the job. Otherwise it never returns. Race work against it to end the work when another consumer may have
   * the job: `Effect.raceFirst(work, job.lost)`.
   *
   * The end of the connection is noticed at once. The end of the ttr is noticed by the next `touch`, so of a job that a
   * worker, `Consumer.take` or a stream with `keepLeases` touches by itself, within half of the ttr.
   */
  readonly lost: Effect.Effect<never, Errors.NotFound>

  /** The statistics of the job. (protocol: `stats-job`) */
  readonly stats: Effect.Effect<JobStats, Protocol.Failure<"statsJob">>

  /**
   * The tube that the job lies in. A job that came from one tube knows it; of a job that came from one of several, it is
   * asked from the server, once.
   */
  readonly tube: Effect.Effect<string, Protocol.Failure<"statsJob">>

  /** How often the job has been reserved, this time included. It is asked from the server, once. */
  readonly attempt: Effect.Effect<number, Protocol.Failure<"statsJob">>
}

/**
 * Whether a value is a reserved job.
 *
 * @category guards
 * @since 0.1.0
 */
export const isJob = (value: unknown): value is Job => Predicate.hasProperty(value, TypeId)

/**
 * A job that was only looked at: `id`, `body` and `text`.
 *
 * @category models
 * @since 0.1.0
 */
export type PeekedJob = Protocol.RawJob

export { JobRef, JobRefFromString } from "./internal/protocol/jobRef.ts"
