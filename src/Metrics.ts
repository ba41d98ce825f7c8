/**
 * The counts that the client keeps, as Effect `Metric`s:
 *
 * | metric | counts | attributes |
 * | --- | --- | --- |
 * | `beanstalkd_commands_total` | commands that were answered, whatever the answer | `server`, `command` |
 * | `beanstalkd_errors_total` | commands that failed, other than reserves that met no job | `server`, `command`, `error` (the tag; of a `BeanstalkdError`, its reason's) |
 * | `beanstalkd_connections` | open connections | `server` |
 * | `beanstalkd_connections_lost_total` | connections that ended although no one closed them, neither the Scope nor an interrupted reserve | `server` |
 * | `beanstalkd_jobs_total` | the fates of the jobs of workers and typed streams | `server`, `tube`, `outcome` |
 * | `beanstalkd_jobs_in_flight` | jobs whose handlers run | `server`, `tube` |
 * | `beanstalkd_job_duration_seconds` | how long handlers ran, in seconds | `server`, `tube` |
 *
 * The outcomes of a worker's jobs are `reserved`, and then `succeeded`, or `failed` and one of `retried`, `buried` and
 * `deadLettered`, or `postponed`, `discarded` or `lost`. Of typed streams only the jobs that they bury are counted.
 *
 * ```ts
 * import { Metrics } from "effect-beanstalkd"
 * import { Metric } from "effect"
 *
 * const puts = Metric.withAttributes(Metrics.commands, { server: "127.0.0.1:11300", command: "put" })
 * const howMany = Metric.value(puts)
 * ```
 *
 * @since 0.1.0
 */
import type * as Metric from "effect/Metric"
import * as CommandRecorder from "./internal/telemetry/commandRecorder.ts"
import { makeJobDuration, makeJobs, makeJobsInFlight } from "./internal/telemetry/jobRecorder.ts"

/**
 * Commands that were answered, whatever the answer. Attributes: `server`, and `command` with the protocol's name of it.
 *
 * @since 0.1.0
 * @category metrics
 */
export const commands: Metric.Counter<number> = CommandRecorder.makeCommands()

/**
 * Commands that failed. A reserve that met no job, `TimedOut` or `DeadlineSoon`, is none of them. Attributes: `server`,
 * `command`, and `error`, the tag of the error or of its reason.
 *
 * @since 0.1.0
 * @category metrics
 */
export const errors: Metric.Counter<number> = CommandRecorder.errors

/**
 * Open connections. Attribute: `server`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connections: Metric.Gauge<number> = CommandRecorder.connections

/**
 * Connections that ended otherwise than by their Scope, `quit`, or the interruption of a waiting reserve. Attribute: `server`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connectionsLost: Metric.Counter<number> = CommandRecorder.connectionsLost

/**
 * Jobs, by their outcomes. Attributes: `server`, `tube`, `outcome`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const jobs: Metric.Counter<number> = makeJobs()

/**
 * Jobs whose handlers run. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const jobsInFlight: Metric.Gauge<number> = makeJobsInFlight()

/**
 * How long handlers ran, in seconds. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const jobDuration: Metric.Histogram<number> = makeJobDuration()

/**
 * The outcomes that are counted of a job.
 *
 * @since 0.1.0
 * @category models
 */
export type JobOutcome =
  | "reserved"
  | "succeeded"
  | "failed"
  | "retried"
  | "postponed"
  | "discarded"
  | "buried"
  | "deadLettered"
  | "lost"
