/**
 * Metrics by the names of OpenTelemetry's conventions for messaging, beside those of this library: only where the layer that
 * turns them on was there when a connection or a worker began.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Predicate from "effect/Predicate"

type Attributes = Readonly<Record<string, string>>

/** Which conventions are followed beside the library's own names. Read once by each connection and each worker. */
export const CurrentConventions = Context.Reference<"none" | "messaging">(
  "effect-beanstalkd/Metrics/CurrentConventions",
  {
    defaultValue: () => "none"
  }
)

// As the conventions say for both of their histograms.
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

export const makeOperationDuration = (attributes: Attributes = {}): Metric.Histogram<number> =>
  Metric.histogram("messaging.client.operation.duration", {
    description: "Duration of messaging operation initiated by a producer or consumer client.",
    boundaries: BOUNDARIES,
    attributes: { ...attributes, unit: "s" }
  })

export const makeSentMessages = (attributes: Attributes = {}): Metric.Counter<number> =>
  Metric.counter("messaging.client.sent.messages", {
    description: "Number of messages producer attempted to send to the broker.",
    incremental: true,
    attributes: { ...attributes, unit: "{message}" }
  })

export const makeConsumedMessages = (attributes: Attributes = {}): Metric.Counter<number> =>
  Metric.counter("messaging.client.consumed.messages", {
    description: "Number of messages that were delivered to the application.",
    incremental: true,
    attributes: { ...attributes, unit: "{message}" }
  })

export const makeProcessDuration = (attributes: Attributes = {}): Metric.Histogram<number> =>
  Metric.histogram("messaging.process.duration", {
    description: "Duration of processing operation.",
    boundaries: BOUNDARIES,
    attributes: { ...attributes, unit: "s" }
  })

/** The tag of an error, or of the reason of a `BeanstalkdError`; `defect` for anything else. */
export const tagOf = (error: unknown): string => {
  const tagged = Predicate.hasProperty(error, "reason") && Predicate.hasProperty(error.reason, "_tag")
    ? error.reason
    : error
  return Predicate.hasProperty(tagged, "_tag") ? String(tagged._tag) : "defect"
}

/**
 * `error.type` of what ended a handler: the `_tag` of its error, or else the name of its class, `interrupted`, or `defect`.
 * `_OTHER` is the conventions' word for an error without either.
 */
export const errorTypeOf = (cause: Cause.Cause<unknown>): string => {
  if (!Cause.hasFails(cause)) return Cause.hasInterruptsOnly(cause) ? "interrupted" : "defect"
  const error = Cause.squash(cause)
  if (Predicate.hasProperty(error, "_tag") && typeof error._tag === "string") return error._tag
  return error instanceof Error ? error.name : "_OTHER"
}

const HOST_AND_PORT = /^(.*):(\d+)$/

/** `server.address` and `server.port` of a server, by its name in errors. A unix socket has its path and no port. */
export const serverAttributes = (server: string): Attributes => {
  const [, host, port] = HOST_AND_PORT.exec(server) ?? []
  if (host === undefined || port === undefined) return { "server.address": server.replace(/^unix:/, "") }
  return { "server.address": host.replace(/^\[(.*)\]$/, "$1"), "server.port": port }
}

const TYPES: Readonly<Record<string, string>> = {
  "put": "send",
  "reserve": "receive",
  "reserve-job": "receive",
  "delete": "settle",
  "release": "settle",
  "bury": "settle"
}

// Which of the two forms the client uses is a matter of its own.
const operationOf = (command: string): string => command === "reserve-with-timeout" ? "reserve" : command

/** What the metrics of one server have in common. */
const systemAttributes = (server: string): Attributes => ({
  "messaging.system": "beanstalkd",
  ...serverAttributes(server)
})

interface Member<M> {
  readonly tube: string | undefined
  readonly error: string | undefined
  readonly metric: M
}

/** A metric for each set of attributes, since a Metric caches only the attributes that it had last. */
class Family<M> {
  readonly #common: Attributes
  readonly #make: (attributes: Attributes) => M
  readonly #members = new Map<string, Member<M>>()
  /** The one that each operation had last: most often it is the next one too, and has been found without a key. */
  readonly #last = new Map<string, Member<M>>()

  constructor(common: Attributes, make: (attributes: Attributes) => M) {
    this.#common = common
    this.#make = make
  }

  of(operation: string, tube: string | undefined, error: string | undefined): M {
    const last = this.#last.get(operation)
    if (last !== undefined && last.tube === tube && last.error === error) return last.metric
    const key = `${operation} ${tube ?? ""} ${error ?? ""}`
    const member = this.#members.get(key) ??
      { tube, error, metric: this.#make(this.#attributes(operation, tube, error)) }
    this.#members.set(key, member)
    this.#last.set(operation, member)
    return member.metric
  }

  #attributes(operation: string, tube: string | undefined, error: string | undefined): Attributes {
    const type = TYPES[operation]
    return {
      ...this.#common,
      "messaging.operation.name": operation,
      ...(type === undefined ? {} : { "messaging.operation.type": type }),
      ...(tube === undefined ? {} : { "messaging.destination.name": tube }),
      ...(error === undefined ? {} : { "error.type": error })
    }
  }
}

/** The metrics of the commands of one connection, by the conventions. */
export class CommandConventions {
  readonly #context: Context.Context<never>
  readonly #durations: Family<Metric.Histogram<number>>
  readonly #sent: Family<Metric.Counter<number>>
  readonly #consumed: Family<Metric.Counter<number>>

  constructor(server: string, context: Context.Context<never>) {
    const common = systemAttributes(server)
    this.#context = context
    this.#durations = new Family(common, makeOperationDuration)
    this.#sent = new Family(common, makeSentMessages)
    this.#consumed = new Family(common, makeConsumedMessages)
  }

  /** A command on this tube, if it has one, is answered after so many seconds, or an unknown time. */
  answered(command: string, tube: string | undefined, seconds: number | undefined, error: string | undefined): void {
    const operation = operationOf(command)
    if (seconds !== undefined) this.#durations.of(operation, tube, error).updateUnsafe(seconds, this.#context)
    if (operation === "put") this.#sent.of(operation, tube, error).updateUnsafe(1, this.#context)
  }

  /** The command brought a job, of this tube if it is known. */
  delivered(command: string, tube: string | undefined): void {
    this.#consumed.of(operationOf(command), tube, undefined).updateUnsafe(1, this.#context)
  }
}

/** The metrics of the handlers of one worker, by the conventions. */
export class HandlerConventions {
  readonly #context: Context.Context<never>
  readonly #tube: string
  readonly #durations: Family<Metric.Histogram<number>>

  constructor(server: string, tube: string, context: Context.Context<never>) {
    this.#context = context
    this.#tube = tube
    this.#durations = new Family(
      { ...systemAttributes(server), "messaging.operation.type": "process" },
      makeProcessDuration
    )
  }

  ended(seconds: number, exit: Exit.Exit<unknown, unknown>): void {
    const error = Exit.isFailure(exit) ? errorTypeOf(exit.cause) : undefined
    this.#durations.of("process", this.#tube, error).updateUnsafe(seconds, this.#context)
  }
}
