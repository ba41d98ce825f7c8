/**
 * The seam between those who take jobs, streams and workers, and whoever reserves for them: one server or several.
 */
import type * as Effect from "effect/Effect"
import type * as Errors from "../../Errors.ts"
import type { ReservedJob } from "../job/reservedJob.ts"

/**
 * What a stream or a worker tells whoever reserves for it.
 *
 * @since 0.1.0
 * @category services
 */
export interface IntakeSettings {
  readonly tubes: ReadonlyArray<string>
  readonly maxConnections: number
  /**
   * How many more jobs may be asked for now; `taken` of the intake is what is in use already. `-Infinity` while none may be
   * asked for, however many reserves that wait are given up.
   */
  readonly room: () => number
  readonly onJob: (job: ReservedJob) => void
  /** The job is settled, or lost. */
  readonly onOver: (job: ReservedJob) => void
  /** Whether the room that this job leaves may be used as soon as the command that settles it is on its way. */
  readonly mayReuse: (job: ReservedJob) => boolean
  /** Whether somebody works on the job: it is in hand, or its handler has not ended although it is settled. */
  readonly isInUse: (job: ReservedJob) => boolean
  /** Whether the job is touched when the server says that its time runs out. */
  readonly isKept: (job: ReservedJob) => boolean
  /**
   * Releases a job that nobody is to have: it came too late, or without room for it, or is in hand at the end. Default: it
   * keeps its own priority.
   */
  readonly giveBack?: ((job: ReservedJob) => Effect.Effect<void>) | undefined
  /** There is no server, and the schedule says not to dial again. */
  readonly onFailure: (error: Errors.BeanstalkdError) => void
}

/**
 * Reserves for a stream or a worker.
 *
 * @since 0.1.0
 * @category services
 */
export interface Intake {
  /** How many jobs are in hand or asked for. */
  readonly taken: number
  /** How many reserves are on their way. */
  readonly asked: number
  /** Reserves as many as there is room for. To be called whenever there may be more. */
  readonly fill: () => void
  /** Takes no more jobs. */
  readonly stop: () => void
}
