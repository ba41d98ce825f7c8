/**
 * The counts that the client keeps, as Effect `Metric`s:
 *
 * | metric | counts | attributes |
 * | --- | --- | --- |
 * | `beanstalkd_commands_total` | commands that were answered, whatever the answer | `server`, `command` |
 * | `beanstalkd_errors_total` | commands that failed | `server`, `command`, `error` (the tag; of a `BeanstalkdError`, its reason's) |
 * | `beanstalkd_connections` | open connections | `server` |
 * | `beanstalkd_connections_lost_total` | connections that ended otherwise than by closing their Scope | `server` |
 * | `beanstalkd_jobs_total` | the fates of the jobs of workers and typed streams | `server`, `tube`, `outcome` |
 * | `beanstalkd_jobs_in_flight` | jobs whose handlers run | `server`, `tube` |
 * | `beanstalkd_job_duration_seconds` | how long handlers ran, in seconds | `server`, `tube` |
 *
 * The outcomes of a worker's jobs are `reserved`, and then `succeeded`, or `failed` and one of `retried` and `buried` (dead
 * letters included), or `lost`. Of typed streams only the jobs that they bury are counted.
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
import type * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as CommandRecorder from "./internal/telemetry/commandRecorder.ts"

type Attributes = CommandRecorder.Attributes

/**
 * Commands that were answered, whatever the answer. Attributes: `server`, and `command` with the protocol's name of it.
 *
 * @since 0.1.0
 * @category metrics
 */
export const commands: Metric.Counter<number> = CommandRecorder.makeCommands()

/**
 * Commands that failed. Attributes: `server`, `command`, and `error`, the tag of the error or of its reason.
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
 * Connections that ended otherwise than by closing their Scope, or by `quit`. Attribute: `server`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connectionsLost: Metric.Counter<number> = CommandRecorder.connectionsLost

const makeJobs = (attributes: Attributes = {}) =>
  Metric.counter("beanstalkd_jobs_total", { description: "Jobs, by their fates", incremental: true, attributes })

const makeJobsInFlight = (attributes: Attributes = {}) =>
  Metric.gauge("beanstalkd_jobs_in_flight", { description: "Jobs whose handlers run", attributes })

const makeJobDuration = (attributes: Attributes = {}) =>
  Metric.histogram("beanstalkd_job_duration_seconds", {
    description: "How long handlers ran, in seconds",
    boundaries: Metric.exponentialBoundaries({ start: 0.001, factor: 2, count: 20 }),
    attributes
  })

/**
 * Jobs, by their outcomes. Attributes: `server`, `tube`, `outcome`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const jobs = makeJobs()

/**
 * Jobs whose handlers run. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const jobsInFlight = makeJobsInFlight()

/**
 * How long handlers ran, in seconds. Attributes: `server`, `tube`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const jobDuration = makeJobDuration()

/**
 * The outcomes that are counted of a job.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome = "reserved" | "succeeded" | "failed" | "retried" | "buried" | "lost"

/** Where a job lies. */
export interface Place {
  readonly server: string
  readonly tube: string
}

/** Counts one job. */
export const countJob = (outcome: Outcome, { server, tube }: Place): Effect.Effect<void> =>
  Metric.update(Metric.withAttributes(jobs, { server, tube, outcome }), 1)

/** Updates the metrics of one worker, without going through an Effect for each job. */
export class JobRecorder {
  readonly #place: Attributes
  readonly #context: Context.Context<never>
  readonly #counters = new Map<Outcome, Metric.Counter<number>>()
  readonly #inFlight: Metric.Gauge<number>
  readonly #duration: Metric.Histogram<number>

  constructor({ server, tube }: Place, context: Context.Context<never>) {
    this.#place = { server, tube }
    this.#context = context
    this.#inFlight = makeJobsInFlight(this.#place)
    this.#duration = makeJobDuration(this.#place)
  }

  count(outcome: Outcome): void {
    let counter = this.#counters.get(outcome)
    if (counter === undefined) {
      counter = makeJobs({ ...this.#place, outcome })
      this.#counters.set(outcome, counter)
    }
    counter.updateUnsafe(1, this.#context)
  }

  started(): void {
    this.#inFlight.modifyUnsafe(1, this.#context)
  }

  ended(millis: number): void {
    this.#inFlight.modifyUnsafe(-1, this.#context)
    this.#duration.updateUnsafe(millis / 1000, this.#context)
  }
}
