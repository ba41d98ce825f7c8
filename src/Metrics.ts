/**
 * What the client counts, as Effect `Metric`s:
 *
 * | metric | counts | attributes |
 * | --- | --- | --- |
 * | `beanstalkd_commands` | commands that were answered, whatever the answer | `server`, `command` |
 * | `beanstalkd_errors` | commands that failed | `server`, `command`, `error` (the tag; of a `BeanstalkdError`, its reason's) |
 * | `beanstalkd_connections` | open connections | `server` |
 * | `beanstalkd_connections_lost` | connections that ended otherwise than by closing their Scope | `server` |
 * | `beanstalkd_jobs` | what became of the jobs of workers and typed streams | `server`, `tube`, `outcome` |
 * | `beanstalkd_jobs_in_flight` | jobs whose handlers run | `server`, `tube` |
 * | `beanstalkd_job_duration` | how long handlers ran, in milliseconds | `server`, `tube` |
 *
 * The outcomes of a worker's jobs are `reserved`, and then `succeeded`, or `failed` and one of `retried`, `buried` and
 * `deadLettered`, or `lost`. Of typed streams only the jobs that they bury are counted.
 *
 * ```ts
 * import { Metrics } from "effect-beanstalkd"
 * import { Metric } from "effect"
 *
 * const puts = Metric.withAttributes(Metrics.commands, { server: "127.0.0.1:11300", command: "put" })
 * const howMany = Metric.value(puts)
 * ```
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Predicate from "effect/Predicate"
import { makeJobDuration, makeJobs, makeJobsInFlight } from "./internal/telemetry/jobRecorder.ts"

type Attributes = Readonly<Record<string, string>>

// A metric keeps the key of the attributes that it had last, so whoever updates often has metrics of her own: those with the
// same name and the same attributes are one.
const makeCommands = (attributes: Attributes = {}) =>
  Metric.counter("beanstalkd_commands", {
    description: "Commands that the server has answered",
    incremental: true,
    attributes
  })

/** Commands that were answered. */
export const commands = makeCommands()

/** Commands that failed. */
export const errors = Metric.counter("beanstalkd_errors", {
  description: "Commands that failed",
  incremental: true
})

/** Open connections. */
export const connections = Metric.gauge("beanstalkd_connections", {
  description: "Open connections"
})

/** Connections that were lost. */
export const connectionsLost = Metric.counter("beanstalkd_connections_lost", {
  description: "Connections that ended otherwise than by closing their Scope",
  incremental: true
})

/** Jobs, by what became of them. */
export const jobs = makeJobs()

/** Jobs whose handlers run. */
export const jobsInFlight = makeJobsInFlight()

/** How long handlers ran. */
export const jobDuration = makeJobDuration()

/**
 * What can become of a job.
 *
 * @since 0.1.0
 * @category models
 */
export type JobOutcome = "reserved" | "succeeded" | "failed" | "retried" | "buried" | "deadLettered" | "lost"

const tagOf = (error: unknown): string => {
  const tagged = Predicate.hasProperty(error, "reason") ? error.reason : error
  return Predicate.hasProperty(tagged, "_tag") ? String(tagged._tag) : "defect"
}

/** The answers to one command that have not been handed over. */
interface Tally {
  readonly command: string
  readonly counter: Metric.Counter<number>
  count: number
}

/**
 * Updates the metrics for one connection, without going through an Effect for each command.
 */
export class Recorder {
  readonly #server: string
  readonly #context: Context.Context<never>
  readonly #commands = new Map<string, Tally>()
  readonly #connections: Metric.Gauge<number>
  #last: Tally | undefined
  /** Those with something to hand over. */
  readonly #open: Array<Tally> = []

  constructor(server: string, context: Context.Context<never>) {
    this.#server = server
    this.#context = context
    this.#connections = Metric.withAttributes(connections, { server })
  }

  opened(): void {
    this.#connections.modifyUnsafe(1, this.#context)
  }

  closed(wasLost: boolean): void {
    this.#connections.modifyUnsafe(-1, this.#context)
    if (!wasLost) return
    Metric.withAttributes(connectionsLost, { server: this.#server }).updateUnsafe(1, this.#context)
  }

  /** Counts an answered command; `commit` hands the counts over, one update for all answers to the same command. */
  answered(command: string): void {
    const tally = this.#last?.command === command ? this.#last : this.#tallyOf(command)
    this.#last = tally
    if (tally.count === 0) this.#open.push(tally)
    tally.count++
  }

  commit(): void {
    for (const tally of this.#open) {
      tally.counter.updateUnsafe(tally.count, this.#context)
      tally.count = 0
    }
    this.#open.length = 0
  }

  #tallyOf(command: string): Tally {
    let tally = this.#commands.get(command)
    if (tally === undefined) {
      tally = { command, counter: makeCommands({ server: this.#server, command }), count: 0 }
      this.#commands.set(command, tally)
    }
    return tally
  }

  failed(command: string, exit: Exit.Failure<unknown, unknown>): void {
    const error = tagOf(Cause.squash(exit.cause))
    Metric.withAttributes(errors, { server: this.#server, command, error }).updateUnsafe(1, this.#context)
  }
}
