/**
 * The seam between those who work on jobs, a stream or a worker, and those who reserve jobs for them, from one server or
 * from several.
 */
import type * as Errors from "../../Errors.ts"
import type { ReservedJob } from "../job/reservedJob.ts"

/** What a stream or a worker tells whoever reserves for it. */
export interface IntakeSettings {
  readonly tubes: ReadonlyArray<string>
  readonly maxConnections: number
  /** How many more jobs may be asked for now. `taken` of the intake is what is in use already. */
  readonly room: () => number
  /** A job has come. */
  readonly onJob: (job: ReservedJob) => void
  /** The job is settled, or lost. */
  readonly onOver: (job: ReservedJob) => void
  /** Whether the room that this job leaves may be used as soon as the command that settles it is on its way. */
  readonly mayReuse: (job: ReservedJob) => boolean
  /** Whether to touch this job when the server says that time runs out. */
  readonly isKept: (job: ReservedJob) => boolean
  /** There is no server, and the `reconnect` Schedule says not to dial again. */
  readonly onFailure: (error: Errors.BeanstalkdError) => void
}

/** Reserves for a stream or a worker. */
export interface Intake {
  /** How many jobs are in hand or asked for. */
  readonly taken: number
  /** How many reserves await their answer. */
  readonly asked: number
  /** Reserves as many jobs as there is room for. To be called whenever there may be more room. */
  readonly fill: () => void
  /** Reserves no more. Connections without a job are closed at once, the others when their jobs are settled. */
  readonly stop: () => void
}
