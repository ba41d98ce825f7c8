/**
 * The metrics of commands and connections, and the recorder through which a pipeline updates them without an Effect per
 * command. `Metrics` publishes them.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Predicate from "effect/Predicate"

/** The attributes of a metric. */
export type Attributes = Readonly<Record<string, string>>

/**
 * Commands that were answered. A metric caches only its last set of attributes, so a caller that updates often keeps
 * one instance per set: instances of the same name and attributes are one metric.
 */
export const makeCommands = (attributes: Attributes = {}): Metric.Counter<number> =>
  Metric.counter("beanstalkd_commands_total", {
    description: "Commands that the server has answered",
    incremental: true,
    attributes
  })

/** Commands that failed. */
export const errors: Metric.Counter<number> = Metric.counter("beanstalkd_errors_total", {
  description: "Commands that failed, other than reserves that met no job",
  incremental: true
})

/** Open connections. */
export const connections: Metric.Gauge<number> = Metric.gauge("beanstalkd_connections", {
  description: "Open connections"
})

/** Connections that were lost. */
export const connectionsLost: Metric.Counter<number> = Metric.counter("beanstalkd_connections_lost_total", {
  description: "Connections that ended otherwise than by their Scope, quit, or an interrupted reserve",
  incremental: true
})

const tagOf = (error: unknown): string => {
  const tagged = Predicate.hasProperty(error, "reason") ? error.reason : error
  return Predicate.hasProperty(tagged, "_tag") ? String(tagged._tag) : "defect"
}

// What a server says while there is nothing to do.
const NO_JOB: ReadonlySet<string> = new Set(["TimedOut", "DeadlineSoon"])

/** The answers to one command that have not been committed. */
interface Tally {
  readonly command: string
  readonly counter: Metric.Counter<number>
  count: number
}

/** Updates the metrics for one connection. */
export class CommandRecorder {
  readonly #server: string
  readonly #context: Context.Context<never>
  readonly #tallies = new Map<string, Tally>()
  readonly #connections: Metric.Gauge<number>
  #last: Tally | undefined
  readonly #uncommitted: Array<Tally> = []

  constructor(server: string, context: Context.Context<never>) {
    this.#server = server
    this.#context = context
    this.#connections = Metric.withAttributes(connections, { server })
  }

  /** The connection is open. */
  opened(): void {
    this.#connections.modifyUnsafe(1, this.#context)
  }

  /** The connection has ended. */
  closed(wasLost: boolean): void {
    this.#connections.modifyUnsafe(-1, this.#context)
    if (!wasLost) return
    Metric.withAttributes(connectionsLost, { server: this.#server }).updateUnsafe(1, this.#context)
  }

  /** Counts an answered command. The count reaches the metric with the next `commit`. */
  answered(command: string): void {
    const tally = this.#last?.command === command ? this.#last : this.#tallyOf(command)
    this.#last = tally
    if (tally.count === 0) this.#uncommitted.push(tally)
    tally.count++
  }

  /** Updates the metrics, once per command name however many answers came together. */
  commit(): void {
    for (const tally of this.#uncommitted) {
      tally.counter.updateUnsafe(tally.count, this.#context)
      tally.count = 0
    }
    this.#uncommitted.length = 0
  }

  #tallyOf(command: string): Tally {
    let tally = this.#tallies.get(command)
    if (tally === undefined) {
      tally = { command, counter: makeCommands({ server: this.#server, command }), count: 0 }
      this.#tallies.set(command, tally)
    }
    return tally
  }

  /** Counts a command that failed, unless it is a reserve that met no job: an idle worker is no error. */
  failed(command: string, exit: Exit.Failure<unknown, unknown>): void {
    const error = tagOf(Cause.squash(exit.cause))
    if (NO_JOB.has(error)) return
    Metric.withAttributes(errors, { server: this.#server, command, error }).updateUnsafe(1, this.#context)
  }
}
