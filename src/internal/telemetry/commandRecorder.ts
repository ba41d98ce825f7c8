/**
 * The metrics of commands and connections, and the recorder through which a pipeline updates them without an Effect per
 * command. `Metrics` publishes them.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type { Request } from "../protocol/command.ts"
import { CommandConventions, CurrentConventions, tagOf } from "./conventions.ts"
import { makeJobs } from "./jobRecorder.ts"

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
    attributes: { ...attributes, unit: "{command}" }
  })

/** How long the server took to answer. */
export const makeCommandDuration = (attributes: Attributes = {}): Metric.Histogram<number> =>
  Metric.histogram("beanstalkd_command_duration_seconds", {
    description: "How long the server took to answer, but for reserves that may wait, in seconds",
    boundaries: Metric.exponentialBoundaries({ start: 0.0001, factor: 2, count: 19 }),
    attributes: { ...attributes, unit: "s" }
  })

/** Commands that failed. */
export const errors: Metric.Counter<number> = Metric.counter("beanstalkd_errors_total", {
  description: "Commands that failed, other than reserves that met no job",
  incremental: true,
  attributes: { unit: "{error}" }
})

/** Open connections. */
export const connections: Metric.Gauge<number> = Metric.gauge("beanstalkd_connections", {
  description: "Open connections",
  attributes: { unit: "{connection}" }
})

/** Connections that were lost. */
export const connectionsLost: Metric.Counter<number> = Metric.counter("beanstalkd_connections_lost_total", {
  description: "Connections that ended otherwise than by their Scope, quit, or an interrupted reserve",
  incremental: true,
  attributes: { unit: "{connection}" }
})

// What a server says while there is nothing to do.
const NO_JOB: ReadonlySet<string> = new Set(["TimedOut", "DeadlineSoon"])

/** An answered command, as far as a recorder looks at it. */
export interface Answered {
  readonly command: { readonly name: string }
  readonly request: Request
  /** The job that the reply brought, and who waits for it. */
  readonly reserved: unknown
  readonly resume: unknown
}

/** The tubes of a connection. */
export interface Tubes {
  /** The tube that commands use which name none. */
  readonly chosenTube: string
  /** The tube that jobs come from, unless the connection watches several. */
  readonly onlyTube: string | undefined
}

/** A count that has not been committed. */
interface Tally {
  readonly counter: Metric.Counter<number>
  count: number
}

/** The answers to one command that have not been committed. */
interface CommandTally extends Tally {
  readonly command: string
  readonly duration: Metric.Histogram<number>
}

/** The jobs of one tube that have come and have not been committed. */
interface DeliveryTally extends Tally {
  readonly tube: string | undefined
}

/** The commands of one write that have not been answered. */
interface Departure {
  readonly at: number
  unanswered: number
  next: Departure | undefined
}

/**
 * How long the server of one connection takes to answer, on which replies come in the order of the commands. The clock is read
 * once per write and once per piece of replies, never per command.
 */
export class Latency {
  readonly #clock: Clock.Clock
  #oldest: Departure | undefined
  #newest: Departure | undefined
  /** When the replies came that are being read. */
  #now: number | undefined
  /** The server read no command before this: it waited in a reserve. */
  #heldUpUntil = 0

  constructor(context: Context.Context<never>) {
    this.#clock = Context.get(context, Clock.Clock)
  }

  /** So many commands leave together. */
  sent(commands: number): void {
    const departure: Departure = { at: this.#read(), unanswered: commands, next: undefined }
    if (this.#newest === undefined) this.#oldest = departure
    else this.#newest.next = departure
    this.#newest = departure
  }

  /**
   * The oldest command is answered: for how many seconds the server had it. Undefined for a reserve that may wait, since it
   * lasts as long as there is no job; for commands behind it the time counts from its end.
   */
  answered(mayWait: boolean): number | undefined {
    const departure = this.#oldest
    if (departure === undefined) return undefined
    if (--departure.unanswered === 0) {
      this.#oldest = departure.next
      if (this.#oldest === undefined) this.#newest = undefined
    }
    const now = this.#now ??= this.#read()
    if (!mayWait) return Math.max(0, now - Math.max(departure.at, this.#heldUpUntil))
    this.#heldUpUntil = now
    return undefined
  }

  /** All replies that came together have been read. */
  read(): void {
    this.#now = undefined
  }

  // In seconds, from some moment.
  #read(): number {
    return Number(this.#clock.monotonicTimeNanosUnsafe()) / 1e9
  }
}

/** Updates the metrics for one connection. */
export class CommandRecorder {
  readonly #server: string
  readonly #context: Context.Context<never>
  readonly #commands = new Map<string, CommandTally>()
  readonly #deliveries = new Map<string | undefined, DeliveryTally>()
  readonly #connections: Metric.Gauge<number>
  readonly #latency: Latency
  readonly #conventions: CommandConventions | undefined
  #lastCommand: CommandTally | undefined
  #lastDelivery: DeliveryTally | undefined
  readonly #uncommitted: Array<Tally> = []

  constructor(server: string, context: Context.Context<never>) {
    this.#server = server
    this.#context = context
    this.#connections = Metric.withAttributes(connections, { server })
    this.#latency = new Latency(context)
    if (Context.get(context, CurrentConventions) === "messaging") {
      this.#conventions = new CommandConventions(server, context)
    }
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

  /** So many commands leave in one write. */
  sent(commands: number): void {
    this.#latency.sent(commands)
  }

  /** Counts the oldest command, which is answered. The counts reach the metrics with the next `commit`. */
  answered(answered: Answered, exit: Exit.Exit<unknown, unknown>, tubes: Tubes): void {
    const { command: { name }, request, reserved, resume } = answered
    const tally = this.#lastCommand?.command === name ? this.#lastCommand : this.#commandTally(name)
    this.#lastCommand = tally
    this.#add(tally)
    const seconds = this.#latency.answered((request.seconds ?? 0) > 0)
    if (seconds !== undefined) tally.duration.updateUnsafe(seconds, this.#context)
    if (Exit.isFailure(exit)) this.failed(name, exit)
    // A job that nobody waits for any more is given back.
    const isDelivered = reserved !== undefined && resume !== undefined && Exit.isSuccess(exit)
    const source = isDelivered && request.id === undefined ? tubes.onlyTube : undefined
    if (isDelivered) this.#delivered(source)
    if (this.#conventions === undefined) return
    const tube = request.tube ?? (request.usesTube === true ? tubes.chosenTube : source)
    this.#conventions.answered(name, tube, seconds, errorOf(exit))
    if (isDelivered) this.#conventions.delivered(name, source)
  }

  /** Updates the metrics, once per command name however many answers came together. */
  commit(): void {
    this.#latency.read()
    for (const tally of this.#uncommitted) {
      tally.counter.updateUnsafe(tally.count, this.#context)
      tally.count = 0
    }
    this.#uncommitted.length = 0
  }

  #add(tally: Tally): void {
    if (tally.count === 0) this.#uncommitted.push(tally)
    tally.count++
  }

  #delivered(tube: string | undefined): void {
    const last = this.#lastDelivery
    const tally = last !== undefined && last.tube === tube ? last : this.#deliveryTally(tube)
    this.#lastDelivery = tally
    this.#add(tally)
  }

  #commandTally(command: string): CommandTally {
    let tally = this.#commands.get(command)
    if (tally === undefined) {
      const attributes = { server: this.#server, command }
      tally = { command, counter: makeCommands(attributes), duration: makeCommandDuration(attributes), count: 0 }
      this.#commands.set(command, tally)
    }
    return tally
  }

  #deliveryTally(tube: string | undefined): DeliveryTally {
    let tally = this.#deliveries.get(tube)
    if (tally === undefined) {
      const place = { server: this.#server, outcome: "reserved", ...(tube === undefined ? {} : { tube }) }
      tally = { tube, counter: makeJobs(place), count: 0 }
      this.#deliveries.set(tube, tally)
    }
    return tally
  }

  /** Counts a command that failed, unless it is a reserve that met no job: an idle worker is no error. */
  failed(command: string, exit: Exit.Failure<unknown, unknown>): void {
    const error = errorOf(exit)
    if (error === undefined) return
    Metric.withAttributes(errors, { server: this.#server, command, error }).updateUnsafe(1, this.#context)
  }
}

const errorOf = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const error = tagOf(Cause.squash(exit.cause))
  return NO_JOB.has(error) ? undefined : error
}
