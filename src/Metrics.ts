/**
 * The counts that the client keeps, as Effect `Metric`s. They are always on, and go wherever Effect's metrics go: to an
 * OpenTelemetry collector with `Otlp.layer`, to Prometheus with `PrometheusMetrics.layerHttp`. `docs/telemetry.md` says how.
 *
 * | metric | kind | unit | counts | attributes |
 * | --- | --- | --- | --- | --- |
 * | `beanstalkd_commands_total` | counter | `{command}` | commands that were answered, whatever the answer | `server`, `command` |
 * | `beanstalkd_command_duration_seconds` | histogram | s | how long the server took to answer; not of reserves that may wait | `server`, `command` |
 * | `beanstalkd_errors_total` | counter | `{error}` | commands that failed, other than reserves that met no job | `server`, `command`, `error` (the tag; of a `BeanstalkdError`, its reason's) |
 * | `beanstalkd_connections` | gauge | `{connection}` | open connections | `server` |
 * | `beanstalkd_connections_lost_total` | counter | `{connection}` | connections that ended although no one closed them, neither the Scope nor an interrupted reserve | `server` |
 * | `beanstalkd_jobs_total` | counter | `{job}` | deliveries, and the fates of the jobs of workers and typed streams | `server`, `tube`, `outcome` |
 * | `beanstalkd_jobs_in_flight` | gauge | `{job}` | jobs whose handlers run | `server`, `tube` |
 * | `beanstalkd_job_duration_seconds` | histogram | s | how long handlers ran | `server`, `tube` |
 * | `beanstalkd_job_wait_seconds` | histogram | s | how long jobs were ready before their handlers began for the first time | `server`, `tube` |
 * | `beanstalkd_tube_..._jobs` | gauge | `{job}` | jobs of a tube: `ready`, `urgent`, `delayed`, `reserved`, `buried` | `server`, `tube` |
 * | `beanstalkd_tube_..._connections` | gauge | `{connection}` | connections of a tube: `waiting`, `using`, `watching` | `server`, `tube` |
 * | `beanstalkd_tube_pause_seconds` | gauge | s | how long a tube stays paused | `server`, `tube` |
 * | `beanstalkd_up` | gauge | `{server}` | 1 if the server told the statistics of its tubes when it was asked last, else 0 | `server` |
 * | `beanstalkd_binlog_written_bytes_total` | counter | By | bytes that an embedded server wrote to its binlog | `directory` |
 * | `beanstalkd_binlog_files` | gauge | `{file}` | files of the binlog | `directory` |
 * | `beanstalkd_binlog_bytes` | gauge | By | bytes that these files take | `directory` |
 * | `beanstalkd_binlog_sync_seconds` | histogram | s | how long it took until the disk had a batch of records | `directory` |
 *
 * The unit is the attribute `unit` of the metric, which Effect's exporters take it from.
 *
 * The outcome `reserved` is a delivery: a reserve brought a job to somebody who waited for it, be it a worker, a stream,
 * `Consumer.take`, or `reserve` of a client or a connection. It is counted once per delivery. A reserve of several tubes does not
 * tell which one the job is of, nor does `reserveJob`: then there is no attribute `tube`.
 *
 * The outcomes of a worker's jobs are, after that, `succeeded`, or `failed` and one of `retried`, `buried` and
 * `deadLettered`, or `postponed`, `discarded`, `expired` or `lost`. Of typed streams only the jobs that they bury are counted.
 *
 * {@link layerTubes} has the gauges of tubes, {@link layerConventions} the names of OpenTelemetry.
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
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Metric from "effect/Metric"
import * as Client from "./Client.ts"
import * as Errors from "./Errors.ts"
import { refused } from "./internal/protocol/invalidOptions.ts"
import * as Validate from "./internal/protocol/validate.ts"
import * as BinlogRecorder from "./internal/telemetry/binlogRecorder.ts"
import * as CommandRecorder from "./internal/telemetry/commandRecorder.ts"
import * as Conventions from "./internal/telemetry/conventions.ts"
import { makeJobDuration, makeJobs, makeJobsInFlight, makeJobWait } from "./internal/telemetry/jobRecorder.ts"
import { makeTubeGauge, makeUp, poll } from "./internal/telemetry/tubeGauges.ts"

/**
 * Commands that were answered, whatever the answer. Attributes: `server`, and `command` with the protocol's name of it.
 *
 * @since 0.1.0
 * @category metrics
 */
export const commands: Metric.Counter<number> = CommandRecorder.makeCommands()

/**
 * How long the server took to answer a command, in seconds: from the write that it left with until its reply was read, so
 * that no wait for a connection is part of it. A reserve that may wait is not in it, since it lasts as long as there is no
 * job; a reserve with timeout 0 is. For commands on the same connection behind one that waits, the time counts from its end.
 * Buckets from 0.1 milliseconds to 13 seconds, in steps that double. Attributes: `server`, `command`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const commandDuration: Metric.Histogram<number> = CommandRecorder.makeCommandDuration()

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
 * Jobs, by their outcomes. `reserved` is every delivery; the others are those of workers and typed streams. Attributes:
 * `server`, `tube`, `outcome`; no `tube` where the reserve does not tell it.
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
 * How long jobs were ready before their handlers began, in seconds: the time since the put, less its delay. Only the first
 * run of a job counts, since nothing tells when a released job became ready. The envelope of a job tells it, or else the
 * counters that the server keeps, in whole seconds; a worker without `crashGuard` does not ask for them. Buckets from 1 millisecond to 19 hours, in
 * steps of four. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const jobWait: Metric.Histogram<number> = makeJobWait()

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

/**
 * Jobs of a tube that are ready, as of the last poll of {@link layerTubes}. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const tubeReady: Metric.Gauge<number> = makeTubeGauge("ready")

/**
 * Jobs of a tube that are ready and have a priority below 1024, as of the last poll of {@link layerTubes}. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const tubeUrgent: Metric.Gauge<number> = makeTubeGauge("urgent")

/**
 * Jobs of a tube that are delayed, as of the last poll of {@link layerTubes}. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const tubeDelayed: Metric.Gauge<number> = makeTubeGauge("delayed")

/**
 * Jobs of a tube that are reserved, as of the last poll of {@link layerTubes}. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const tubeReserved: Metric.Gauge<number> = makeTubeGauge("reserved")

/**
 * Jobs of a tube that are buried, as of the last poll of {@link layerTubes}. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const tubeBuried: Metric.Gauge<number> = makeTubeGauge("buried")

/**
 * Connections that wait for a job of a tube, as of the last poll of {@link layerTubes}. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const tubeWaiting: Metric.Gauge<number> = makeTubeGauge("waiting")

/**
 * Connections that use a tube, as of the last poll of {@link layerTubes}. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const tubeUsing: Metric.Gauge<number> = makeTubeGauge("using")

/**
 * Connections that watch a tube, as of the last poll of {@link layerTubes}. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const tubeWatching: Metric.Gauge<number> = makeTubeGauge("watching")

/**
 * How long a tube stays paused, in seconds, as of the last poll of {@link layerTubes}. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const tubePause: Metric.Gauge<number> = makeTubeGauge("pause")

/**
 * 1 if the server told the statistics of its tubes when {@link layerTubes} asked it last, 0 if not. Attribute: `server`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const up: Metric.Gauge<number> = makeUp()

/**
 * Options of {@link layerTubes}.
 *
 * @since 0.1.0
 * @category models
 */
export interface TubesOptions<C> {
  /** The time between two polls, longer than 0. A server that does not answer within it counts as away. Default: 10 seconds. */
  readonly interval?: Duration.Input | undefined
  /** The service tag of the client that asks. Default: `Client.Beanstalkd`. */
  readonly client?: Context.Key<C, Client.Service> | undefined
}

const DEFAULT_INTERVAL: Duration.Input = "10 seconds"

const OPERATION = "Metrics.layerTubes"

const OPTIONS = Validate.optionNames<TubesOptions<never>>({ interval: true, client: true })

// The option that names the server is wrong itself.
const NO_SERVER = "no server"

const checked = <A>(server: string, value: A | Errors.InvalidArgument): Effect.Effect<A, Errors.BeanstalkdError> =>
  value instanceof Errors.InvalidArgument ? Effect.fail(refused(server, value)) : Effect.succeed(value)

/**
 * Polls the statistics of these tubes into the gauges `beanstalkd_tube_...`, for as long as the layer lives. The first poll is
 * at once. Of a fleet each server is asked, also those that join later. (protocol: `stats-tube`)
 *
 * A tube that does not exist has zeros. While a server does not answer, its tubes have no gauges, rather than old ones, and
 * `beanstalkd_up` is 0; the log says so once, and once more when it answers again. The end of the layer removes all of them,
 * but for those that another layer of the program polls as well. Options that are not allowed fail with the reason
 * `InvalidOptions`.
 *
 * ```ts
 * import { Client, Metrics } from "effect-beanstalkd"
 * import { Layer } from "effect"
 *
 * const Backlog = Metrics.layerTubes(["emails", "thumbnails"], { interval: "15 seconds" }).pipe(
 *   Layer.provideMerge(Client.layer())
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerTubes = <C = Client.Beanstalkd>(
  tubes: Client.Tubes,
  options: TubesOptions<C> = {}
): Layer.Layer<never, Errors.BeanstalkdError, C> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const given = yield* checked(NO_SERVER, Validate.snapshot(OPERATION, options, OPTIONS))
    const { client: key = Client.Beanstalkd, interval = DEFAULT_INTERVAL } = given
    const tag = yield* checked(NO_SERVER, Validate.tag(OPERATION, "client", key, "the tag of a client"))
    const client = yield* tag as Context.Key<C, Client.Service>
    yield* poll(client, {
      tubes: new Set(yield* checked(client.server, Validate.tubes(OPERATION, tubes))),
      interval: yield* checked(client.server, Validate.positiveDuration(OPERATION, "interval", interval))
    })
  }))

/**
 * The duration of the commands that were answered, by OpenTelemetry's name: `messaging.client.operation.duration`, in seconds.
 * Only with {@link layerConventions}.
 *
 * @since 0.1.0
 * @category conventions
 */
export const operationDuration: Metric.Histogram<number> = Conventions.makeOperationDuration()

/**
 * Puts that were answered, by OpenTelemetry's name: `messaging.client.sent.messages`. Only with {@link layerConventions}.
 *
 * @since 0.1.0
 * @category conventions
 */
export const sentMessages: Metric.Counter<number> = Conventions.makeSentMessages()

/**
 * Deliveries, by OpenTelemetry's name: `messaging.client.consumed.messages`. Only with {@link layerConventions}.
 *
 * @since 0.1.0
 * @category conventions
 */
export const consumedMessages: Metric.Counter<number> = Conventions.makeConsumedMessages()

/**
 * How long handlers ran, by OpenTelemetry's name: `messaging.process.duration`, in seconds. Only with {@link layerConventions}.
 *
 * @since 0.1.0
 * @category conventions
 */
export const processDuration: Metric.Histogram<number> = Conventions.makeProcessDuration()

/**
 * Records the metrics of OpenTelemetry's conventions for messaging (1.44, in development) beside those of this library, for
 * the connections and workers that begin below this layer: provide it to the layers of clients and workers. Without it they
 * cost nothing.
 *
 * | metric | kind | unit | operation | further attributes |
 * | --- | --- | --- | --- | --- |
 * | `messaging.client.operation.duration` | histogram | s | any command but a reserve that may wait; `reserve-with-timeout` is `reserve` | `error.type` |
 * | `messaging.client.sent.messages` | counter | `{message}` | `put` | `error.type` |
 * | `messaging.client.consumed.messages` | counter | `{message}` | `reserve`, `reserve-job` | |
 * | `messaging.process.duration` | histogram | s | `process` | `error.type` |
 *
 * All have `messaging.system` (`beanstalkd`), `messaging.operation.name`, `messaging.operation.type` where there is one
 * (`send`, `receive`, `settle`, `process`), `messaging.destination.name` where the command tells the tube, `server.address`
 * and `server.port`. `error.type` is the tag of the error, of a `BeanstalkdError` its reason's; of a handler the `_tag` of
 * its error, `defect` or `interrupted`. A command whose connection was lost before it was answered is in none of them.
 *
 * ```ts
 * import { Client, Metrics } from "effect-beanstalkd"
 * import { Layer } from "effect"
 *
 * const Live = Client.layer().pipe(Layer.provide(Metrics.layerConventions))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConventions: Layer.Layer<never> = Layer.succeed(Conventions.CurrentConventions, "messaging")
