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
 * | `beanstalkd_binlog_written_bytes_total` | bytes that an embedded server wrote to its binlog | `directory` |
 * | `beanstalkd_binlog_files` | files of the binlog | `directory` |
 * | `beanstalkd_binlog_bytes` | bytes that these files take | `directory` |
 * | `beanstalkd_binlog_sync_seconds` | how long it took until the disk had a batch of records, in seconds | `directory` |
 *
 * The outcomes of a worker's jobs are `reserved`, and then `succeeded`, or `failed` and one of `retried`, `buried` and
 * `deadLettered`, or `postponed`, `discarded`, `expired` or `lost`. Of typed streams only the jobs that they bury are counted.
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
import * as BinlogRecorder from "./internal/telemetry/binlogRecorder.ts"
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
  | "expired"
  | "buried"
  | "deadLettered"
  | "lost"

/**
 * Bytes that an embedded server wrote to its binlog. Attribute: `directory`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const binlogWrittenBytes: Metric.Counter<number> = BinlogRecorder.makeWrittenBytes()

/**
 * Files of the binlog of an embedded server, spare ones included. Attribute: `directory`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const binlogFiles: Metric.Gauge<number> = BinlogRecorder.makeFiles()

/**
 * Bytes that the files of the binlog of an embedded server take. Attribute: `directory`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const binlogBytes: Metric.Gauge<number> = BinlogRecorder.makeBytes()

/**
 * How long it took, in seconds, until the disk had a batch of records of an embedded server. Attribute: `directory`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const binlogSyncDuration: Metric.Histogram<number> = BinlogRecorder.makeSyncDuration()
