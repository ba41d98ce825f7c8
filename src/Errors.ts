/**
 * The errors of commands.
 *
 * Each outcome that the protocol names, and that a program may want to act on, is a tag of its own: `NotFound`,
 * `TimedOut`, `Draining`, ... What can happen to any command is one {@link BeanstalkdError} whose `reason` says what it
 * was, so that a `put` is typed with its five outcomes and not with twenty.
 *
 * Other libraries have a `NotFound` too (Effect's HTTP modules among them). Where both meet in one program, catch by
 * tag close to the command, or tell them apart with `instanceof`.
 *
 * ```ts
 * import { Connection } from "effect-beanstalkd"
 * import type { JobId } from "effect-beanstalkd/Protocol"
 * import { Effect } from "effect"
 *
 * const deleteIfThere = Effect.fnUntraced(function*(id: JobId) {
 *   const connection = yield* Connection.Connection
 *   yield* connection.delete(id).pipe(
 *     Effect.catchTag("NotFound", () => Effect.void),
 *     Effect.retry({ times: 3, while: (error) => error._tag === "BeanstalkdError" && error.isRetryable })
 *   )
 * })
 * ```
 */
import * as Schema from "effect/Schema"
import { describe, describeCause } from "./internal/protocol/describe.ts"
import { JobRef } from "./internal/protocol/jobRef.ts"
import { JobId } from "./internal/protocol/scalars.ts"

const identifier = (tag: string) => `effect-beanstalkd/Errors/${tag}`

// ---------------------------------------------------------------------------------------------------------------------
// Outcomes
// ---------------------------------------------------------------------------------------------------------------------

/**
 * There is no such job or tube, or the job is not in a state in which the command applies: `release`, `bury` and
 * `touch` need a job that this very connection has reserved; `kick-job` one that is buried or delayed; `reserve-job`
 * one that is not reserved.
 *
 * `id` or `tube` is what was asked for; `peekReady` and its like carry the tube that they looked into, if it is known.
 */
export class NotFound extends Schema.TaggedError<NotFound>(identifier("NotFound"))("NotFound", {
  command: Schema.String,
  server: Schema.String,
  id: Schema.optionalKey(JobId),
  tube: Schema.optionalKey(Schema.String),
  detail: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    if (this.detail !== undefined) return `${this.command}: job ${this.id} on ${this.server}: ${this.detail}`
    const what = this.id !== undefined ? `job ${this.id}` : this.tube !== undefined ? `job in tube ${this.tube}` : "job"
    switch (this.command) {
      case "stats-tube":
      case "pause-tube":
        return `${this.command}: no tube ${this.tube} on ${this.server}`
      case "release":
      case "bury":
      case "touch":
        return `${this.command}: ${what} is not reserved by this connection to ${this.server}`
      case "peek-ready":
      case "peek-delayed":
      case "peek-buried":
        return `${this.command}: no ${this.command.slice("peek-".length)} ${what} on ${this.server}`
      case "kick-job":
        return `${this.command}: no buried or delayed ${what} on ${this.server}`
      case "reserve-job":
        return `${this.command}: no ${what} on ${this.server} that could be reserved`
      default:
        return `${this.command}: no ${what} on ${this.server}`
    }
  }
}

/**
 * No job became ready within the timeout of the reserve, in seconds as it was sent.
 */
export class TimedOut extends Schema.TaggedError<TimedOut>(identifier("TimedOut"))("TimedOut", {
  server: Schema.String,
  timeoutSeconds: Schema.Finite
}) {
  override get message(): string {
    return `no job became ready on ${this.server} within ${this.timeoutSeconds} s`
  }
}

/**
 * The connection holds a job with less than a second left of its ttr, and the server will not let it wait for another:
 * finish, touch or release what you hold, then reserve again. A loop that reserves again without doing so gets
 * thousands of these a second.
 */
export class DeadlineSoon extends Schema.TaggedError<DeadlineSoon>(identifier("DeadlineSoon"))("DeadlineSoon", {
  server: Schema.String
}) {
  override get message(): string {
    return `a job reserved from ${this.server} has less than a second left: delete, release, bury or touch it`
  }
}

/**
 * The server is in drain mode (it got SIGUSR1) and takes no more jobs. It stays so until it is restarted; put
 * elsewhere.
 */
export class Draining extends Schema.TaggedError<Draining>(identifier("Draining"))("Draining", {
  server: Schema.String
}) {
  override get message(): string {
    return `${this.server} is draining and accepts no new jobs`
  }
}

/**
 * The body is larger than the server takes: 65535 bytes unless it was started with another `-z`; `stats` tells it as
 * `maxJobSize`.
 */
export class JobTooBig extends Schema.TaggedError<JobTooBig>(identifier("JobTooBig"))("JobTooBig", {
  server: Schema.String,
  size: Schema.Finite
}) {
  override get message(): string {
    return `a body of ${this.size} bytes is more than ${this.server} accepts (its maxJobSize)`
  }
}

/**
 * The server ran out of memory while it queued the job and buried it instead: the job exists, and can be kicked once
 * there is room. An answer to `put`, where `id` is the new job, and to `release`.
 */
export class JobBuried extends Schema.TaggedError<JobBuried>(identifier("JobBuried"))("JobBuried", {
  command: Schema.String,
  server: Schema.String,
  id: JobId
}) {
  override get message(): string {
    return `${this.command}: ${this.server} had no memory to queue job ${this.id} and buried it`
  }
}

/**
 * The server had no memory for the job: it was not put.
 */
export class OutOfMemory extends Schema.TaggedError<OutOfMemory>(identifier("OutOfMemory"))("OutOfMemory", {
  server: Schema.String
}) {
  override get message(): string {
    return `${this.server} has no memory for another job`
  }
}

/**
 * A connection must watch at least one tube: `ignore` of the last one does nothing.
 */
export class NotIgnored extends Schema.TaggedError<NotIgnored>(identifier("NotIgnored"))("NotIgnored", {
  server: Schema.String,
  tube: Schema.String
}) {
  override get message(): string {
    return `${this.tube} is the only tube that this connection to ${this.server} watches`
  }
}

/**
 * An argument was refused before a byte was sent: `argument` names it, `value` is what was passed, `rule` what is
 * allowed.
 */
export class InvalidArgument extends Schema.TaggedError<InvalidArgument>(identifier("InvalidArgument"))(
  "InvalidArgument",
  {
    operation: Schema.String,
    argument: Schema.String,
    value: Schema.Defect(),
    rule: Schema.String
  }
) {
  override get message(): string {
    return `${this.operation}: ${this.argument} must be ${this.rule}, got ${describe(this.value)}`
  }
}

/**
 * The body of job `id` of `tube` is not what the tube's Schema says.
 */
export class DecodeError extends Schema.TaggedError<DecodeError>(identifier("DecodeError"))("DecodeError", {
  tube: Schema.String,
  id: JobId,
  body: Schema.Uint8Array,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `the body of job ${this.id} in tube ${this.tube} does not decode: ${describeCause(this.cause)}`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// What can happen to any command
// ---------------------------------------------------------------------------------------------------------------------

const Cause = { cause: Schema.optionalKey(Schema.Defect()) }

/**
 * The connection could not be opened: nobody listens there, no such host, or a TLS handshake that failed.
 */
export class OpenError extends Schema.TaggedError<OpenError>(identifier("OpenError"))("OpenError", {
  cause: Schema.Defect()
}) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    return `cannot connect: ${describeCause(this.cause)}`
  }
}

/**
 * An option was refused before anything was dialed: `operation` is what was called (`Client.make`, `Worker.run`, ...),
 * `argument` names the option, `value` is what was passed, `rule` what is allowed.
 */
export class InvalidOptions extends Schema.TaggedError<InvalidOptions>(identifier("InvalidOptions"))("InvalidOptions", {
  operation: Schema.String,
  argument: Schema.String,
  value: Schema.Defect(),
  rule: Schema.String
}) {
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return `${this.operation}: ${this.argument} must be ${this.rule}, got ${describe(this.value)}`
  }
}

/**
 * The connection was not open within the connect timeout.
 */
export class OpenTimeout extends Schema.TaggedError<OpenTimeout>(identifier("OpenTimeout"))("OpenTimeout", {
  timeoutMillis: Schema.Finite
}) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    return `cannot connect: no answer within ${this.timeoutMillis} ms`
  }
}

/**
 * The connection has ended: the server closed it, its Scope was closed, it was told to `quit`, or another command
 * brought it down (`cause` is then the reason that it had).
 */
export class ConnectionClosed extends Schema.TaggedError<ConnectionClosed>(identifier("ConnectionClosed"))(
  "ConnectionClosed",
  { detail: Schema.String, ...Cause }
) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    return `the connection is closed: ${this.detail}`
  }
}

/**
 * Reading from the connection failed.
 */
export class ReadError extends Schema.TaggedError<ReadError>(identifier("ReadError"))("ReadError", {
  cause: Schema.Defect()
}) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    return `reading failed: ${describeCause(this.cause)}`
  }
}

/**
 * Writing to the connection failed.
 */
export class WriteError extends Schema.TaggedError<WriteError>(identifier("WriteError"))("WriteError", {
  cause: Schema.Defect()
}) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    return `writing failed: ${describeCause(this.cause)}`
  }
}

/**
 * The server was silent for too long.
 */
export class CommandTimeout extends Schema.TaggedError<CommandTimeout>(identifier("CommandTimeout"))(
  "CommandTimeout",
  { timeoutMillis: Schema.Finite }
) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    return `no answer within ${this.timeoutMillis} ms`
  }
}

/**
 * No connection of the pool became free in time.
 */
export class AcquireTimeout extends Schema.TaggedError<AcquireTimeout>(identifier("AcquireTimeout"))(
  "AcquireTimeout",
  { timeoutMillis: Schema.Finite }
) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    return `no connection became free within ${this.timeoutMillis} ms`
  }
}

/**
 * The server answered what the protocol does not allow here. `reply` begins with what it said. The bytes that follow
 * cannot be trusted, so the connection is closed.
 *
 * `tornJob` is there if the reply was a job of nothing but zeros, its end included. beanstalkd can come back from a SIGKILL
 * with such a job, of which only the length was written to its binlog: mostly the last one, whose put it has not
 * acknowledged. Its body is gone, and it can only be deleted, which streams and workers do.
 */
export class UnexpectedReply extends Schema.TaggedError<UnexpectedReply>(identifier("UnexpectedReply"))(
  "UnexpectedReply",
  { reply: Schema.String, detail: Schema.String, tornJob: Schema.optionalKey(JobId), ...Cause }
) {
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return `unexpected reply ${JSON.stringify(this.reply)}: ${this.detail}`
  }
}

/**
 * `INTERNAL_ERROR`: a bug in the server.
 */
export class InternalError extends Schema.TaggedError<InternalError>(identifier("InternalError"))("InternalError", {}) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    return "INTERNAL_ERROR: the server says that it has a bug"
  }
}

/**
 * `BAD_FORMAT`: the server could not read the command.
 */
export class BadFormat extends Schema.TaggedError<BadFormat>(identifier("BadFormat"))("BadFormat", {}) {
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return "BAD_FORMAT: the server could not read the command"
  }
}

/**
 * `UNKNOWN_COMMAND`: the server does not have this command. `reserve-job` came with beanstalkd 1.12.
 */
export class UnknownCommand extends Schema.TaggedError<UnknownCommand>(identifier("UnknownCommand"))(
  "UnknownCommand",
  {}
) {
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return "UNKNOWN_COMMAND: the server does not have this command"
  }
}

/**
 * `EXPECTED_CRLF`: the server did not find the end of the body where it should be.
 */
export class ExpectedCrlf extends Schema.TaggedError<ExpectedCrlf>(identifier("ExpectedCrlf"))("ExpectedCrlf", {}) {
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return "EXPECTED_CRLF: the server did not find the end of the body"
  }
}

/**
 * `OUT_OF_MEMORY` as an answer to anything but a put, which has {@link OutOfMemory}.
 */
export class ServerOutOfMemory extends Schema.TaggedError<ServerOutOfMemory>(identifier("ServerOutOfMemory"))(
  "ServerOutOfMemory",
  {}
) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    return "OUT_OF_MEMORY: the server has no memory to carry out the command"
  }
}

/**
 * Everything that can be the reason of a {@link BeanstalkdError}.
 */
export const BeanstalkdErrorReason = Schema.Union([
  InvalidOptions,
  OpenError,
  OpenTimeout,
  ConnectionClosed,
  ReadError,
  WriteError,
  CommandTimeout,
  AcquireTimeout,
  UnexpectedReply,
  InternalError,
  BadFormat,
  UnknownCommand,
  ExpectedCrlf,
  ServerOutOfMemory
])

/**
 * Everything that can be the reason of a {@link BeanstalkdError}.
 */
export type BeanstalkdErrorReason = typeof BeanstalkdErrorReason.Type

/**
 * What can happen to any command. `command` is the protocol's name of it (`connect` while there is no connection yet),
 * `server` the address, `reason` the tagged cause.
 *
 * `sent: false` means that no byte of the command was handed to the socket: it has had no effect, and it is safe to
 * issue it again. With `sent: true` the server may have carried it out, unless the reason is one of its own refusals.
 *
 * ```ts
 * import { Errors } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * // Reasons can be caught like errors.
 * const patient = <A, E>(command: Effect.Effect<A, E | Errors.BeanstalkdError>, fallback: A) =>
 *   command.pipe(
 *     Effect.catchIf(
 *       (error): error is Errors.BeanstalkdError =>
 *         error instanceof Errors.BeanstalkdError && error.reason._tag === "CommandTimeout",
 *       () => Effect.succeed(fallback)
 *     )
 *   )
 * ```
 */
export class BeanstalkdError extends Schema.TaggedError<BeanstalkdError>(identifier("BeanstalkdError"))(
  "BeanstalkdError",
  {
    command: Schema.String,
    server: Schema.String,
    sent: Schema.Boolean,
    reason: BeanstalkdErrorReason
  }
) {
  /** The reason once more, where error reporters look for it. */
  override readonly cause = this.reason

  /** Whether another attempt may succeed. It says nothing of whether the first took effect: that is `sent`. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }

  override get message(): string {
    // Options that were refused concern no server, and their message names what was called.
    return this.reason._tag === "InvalidOptions"
      ? this.reason.message
      : `${this.command} on ${this.server}: ${this.reason.message}`
  }
}

/**
 * Whether a value is a {@link BeanstalkdError}.
 */
export const isBeanstalkdError: (value: unknown) => value is BeanstalkdError = Schema.is(BeanstalkdError)

/**
 * A `putAll` that did not put all: `inserted` has the references of those that a server acknowledged, `cause` is what
 * stopped it.
 */
export class PutAllError extends Schema.TaggedError<PutAllError>(identifier("PutAllError"))("PutAllError", {
  inserted: Schema.Array(JobRef),
  cause: Schema.Union([InvalidArgument, JobTooBig, JobBuried, OutOfMemory, Draining, BeanstalkdError])
}) {
  override get message(): string {
    return `put stopped after ${this.inserted.length} jobs: ${this.cause.message}`
  }
}
