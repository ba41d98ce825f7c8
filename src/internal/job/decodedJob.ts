/**
 * A reserved job together with what its body means: a view of the job that adds nothing but the value.
 */
import type * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import type { Head } from "../../Envelope.ts"
import type * as Errors from "../../Errors.ts"
import type { BuryOptions, Job, ReleaseOptions } from "../../Job.ts"
import type { Failure } from "../../Protocol.ts"
import type { JobStats } from "../../Stats.ts"
import type { TypedJob } from "../../Tube.ts"
import type { JobRef } from "../protocol/jobRef.ts"
import type { JobId } from "../protocol/scalars.ts"
import { nameOf, ReservedJob, TypeId } from "./reservedJob.ts"

class DecodedJob<out A> extends Inspectable.Class implements TypedJob<A> {
  readonly job: Job
  readonly value: A
  readonly envelope: Head | undefined

  constructor(job: Job, value: A, envelope: Head | undefined) {
    super()
    this.job = job
    this.value = value
    this.envelope = envelope
  }

  get [TypeId](): typeof TypeId {
    return TypeId
  }

  get server(): string {
    return this.job.server
  }

  get id(): JobId {
    return this.job.id
  }

  get ref(): JobRef {
    return this.job.ref
  }

  get body(): Uint8Array {
    return this.job.body
  }

  get text(): string {
    return this.job.text
  }

  get delete(): Effect.Effect<void, Failure<"delete">> {
    return this.job.delete
  }

  release(options?: ReleaseOptions): Effect.Effect<void, Failure<"release">> {
    return this.job.release(options)
  }

  bury(options?: BuryOptions): Effect.Effect<void, Failure<"bury">> {
    return this.job.bury(options)
  }

  get touch(): Effect.Effect<void, Failure<"touch">> {
    return this.job.touch
  }

  get lost(): Effect.Effect<never, Errors.NotFound> {
    return this.job.lost
  }

  get stats(): Effect.Effect<JobStats, Failure<"statsJob">> {
    return this.job.stats
  }

  get tube(): Effect.Effect<string, Failure<"statsJob">> {
    return this.job.tube
  }

  get attempt(): Effect.Effect<number, Failure<"statsJob">> {
    return this.job.attempt
  }

  override toString(): string {
    return nameOf(this)
  }

  override toJSON(): unknown {
    const { id, server, value } = this
    return { _id: "Job", server, id, value }
  }
}

/** The job with what its body means. */
export const decoded = <A>(job: Job, value: A, envelope?: Head): TypedJob<A> => new DecodedJob(job, value, envelope)

/** The job as this client has reserved it, whatever view of it this is; none if it is no job of this client. */
export const reservedOf = (job: Job): ReservedJob | undefined => {
  if (job instanceof ReservedJob) return job
  return job instanceof DecodedJob ? reservedOf(job.job) : undefined
}
