/**
 * The errors of commands.
 *
 * Each outcome that the protocol names, and that a program may want to act on, is a tag of its own: `NotFound`,
 * `TimedOut`, `Draining`, ... Everything that can happen to any command is one {@link BeanstalkdError} with a tagged
 * `reason`, so the type of a `put` lists its five outcomes and not twenty.
 *
 * `Effect.catchTag` catches an outcome, `Effect.catchReason` a reason, and `Effect.unwrapReason` turns reasons into
 * errors of their own:
 *
 * ```ts
 * import { Connection, type Protocol } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const deleteIfThere = Effect.fnUntraced(function*(id: Protocol.JobId) {
 *   const connection = yield* Connection.Connection
 *   yield* connection.delete(id).pipe(
 *     Effect.catchTag("NotFound", () => Effect.void),
 *     Effect.catchReason("BeanstalkdError", "ConnectionClosed", ({ detail }) => Effect.logWarning(detail))
 *   )
 * })
 * ```
 *
 * Other libraries have a `NotFound` too, Effect's HTTP modules among them. Where both meet in one program, catch by tag
 * close to the command, or tell them apart with `instanceof`.
 *
 * @since 0.1.0
 */
import type { YieldableError } from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe, describeCause } from "./internal/protocol/describe.ts"
import { NoServer, PartlyDone, ServerStatus } from "./internal/protocol/fleetReasons.ts"
import { JobRef } from "./internal/protocol/jobRef.ts"
import { JobId } from "./internal/protocol/scalars.ts"

export { NoServer, PartlyDone, ServerStatus }

const identifier = (tag: string) => `effect-beanstalkd/Errors/${tag}`

// ---------------------------------------------------------------------------------------------------------------------
// Outcomes
// ---------------------------------------------------------------------------------------------------------------------

/**
 * There is no such job or tube, or the job is not in a state in which the command applies: `release`, `bury` and
 * `touch` need a job that this very connection has reserved, `kick-job` one that is buried or delayed, `reserve-job`
 * one that is not reserved.
 *
 * `id` or `tube` is what was asked for. The peeks carry the tube that they looked into, if it is known.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotFound extends Schema.TaggedError<NotFound>(identifier("NotFound"))("NotFound", {
  command: Schema.String,
  server: Schema.String,
  id: Schema.optionalKey(JobId),
  tube: Schema.optionalKey(Schema.String),
  detail: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    if (this.detail !== undefined && this.id === undefined) return `${this.command}: ${this.server} is ${this.detail}`
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
 * No job became ready within the timeout of the reserve: `timeoutSeconds`, as it was sent.
 *
 * @since 0.1.0
 * @category errors
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
 * The connection holds a job with less than a second left of its ttr, and the server does not let it wait for another:
 * delete, touch, release or bury the job, then reserve again. A loop that reserves again without doing so gets
 * thousands of these per second.
 *
 * @since 0.1.0
 * @category errors
 */
export class DeadlineSoon extends Schema.TaggedError<DeadlineSoon>(identifier("DeadlineSoon"))("DeadlineSoon", {
  server: Schema.String
}) {
  override get message(): string {
    return `a job reserved on this connection to ${this.server} times out within a second: ` +
      "delete, release, bury or touch it"
  }
}

/**
 * The server is in drain mode, since it got SIGUSR1, and takes no more jobs until it is restarted. Put elsewhere.
 *
 * @since 0.1.0
 * @category errors
 */
export class Draining extends Schema.TaggedError<Draining>(identifier("Draining"))("Draining", {
  server: Schema.String
}) {
  override get message(): string {
    return `${this.server} is draining and accepts no new jobs`
  }
}

/**
 * The body is larger than the server accepts: 65535 bytes unless it was started with another `-z`. `stats` has its
 * limit as `maxJobSize`.
 *
 * @since 0.1.0
 * @category errors
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
 * The job is larger than this client accepts: its body has `size` bytes, and the option `maxReplySize` allows `limit`. The
 * body was dropped as it came, so it took no memory, and the connection goes on.
 *
 * The reserves of a client have released the job again. On a `Connection` it is still reserved: bury, release or delete it
 * by its `id`. Streams and workers bury such a job and log it.
 *
 * @since 0.1.0
 * @category errors
 */
export class ReplyTooLarge extends Schema.TaggedError<ReplyTooLarge>(identifier("ReplyTooLarge"))("ReplyTooLarge", {
  command: Schema.String,
  server: Schema.String,
  id: JobId,
  size: Schema.Finite,
  limit: Schema.Finite
}) {
  override get message(): string {
    return `${this.command}: job ${this.id} on ${this.server} has ${this.size} bytes, ` +
      `and maxReplySize allows ${this.limit}`
  }
}

/**
 * The server ran out of memory while it queued the job and buried it instead: the job exists, and can be kicked once
 * there is room. A reply to `put`, where `id` is the new job, and to `release`.
 *
 * @since 0.1.0
 * @category errors
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
 *
 * @since 0.1.0
 * @category errors
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
 *
 * @since 0.1.0
 * @category errors
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
 * An argument was refused before a byte was sent: `operation` is the command or function that was called, `argument`
 * names the argument, `value` is what was passed, `rule` what is allowed.
 *
 * @since 0.1.0
 * @category errors
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
 * The body of job `id` of `tube` does not match the tube's Schema.
 *
 * @since 0.1.0
 * @category errors
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
// Reasons, of which any command can fail
// ---------------------------------------------------------------------------------------------------------------------

const Cause = { cause: Schema.optionalKey(Schema.Defect()) }

/**
 * The connection could not be opened: no server listens there, there is no such host, or the TLS handshake failed.
 *
 * @since 0.1.0
 * @category errors
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
 * An option was refused before anything was dialed: `operation` is the function that was called (`Client.make`,
 * `Worker.run`, ...), `argument` names the option, `value` is what was passed, `rule` what is allowed.
 *
 * @since 0.1.0
 * @category errors
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
 *
 * @since 0.1.0
 * @category errors
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
 * brought it down, whose reason is then the `cause`.
 *
 * @since 0.1.0
 * @category errors
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
 *
 * @since 0.1.0
 * @category errors
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
 *
 * @since 0.1.0
 * @category errors
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
 * The server was silent for longer than the command timeout.
 *
 * @since 0.1.0
 * @category errors
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
 *
 * @since 0.1.0
 * @category errors
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
 * The server answered with a reply that the protocol does not allow here. `reply` is the beginning of it. The bytes
 * that follow cannot be trusted, so the connection is closed.
 *
 * `tornJob` is the id if the reply was a job of nothing but zeros, its end included. beanstalkd can come back from a
 * SIGKILL with such a job, of which only the length was written to its binlog: mostly the last one, whose put it has
 * not acknowledged. Its body is gone, and it can only be deleted. Streams and workers do that.
 *
 * @since 0.1.0
 * @category errors
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

// The five replies by which a server refuses any command: the reasons for them have no fields.
const refusal = <Self>() => <const Tag extends string>(tag: Tag, isRetryable: boolean, message: string) => {
  const Base = Schema.TaggedError(identifier(tag))(tag, {}) as unknown as Schema.Class<
    Self,
    Schema.TaggedStruct<Tag, {}>,
    YieldableError & { readonly isRetryable: boolean }
  >
  Object.defineProperties(Base.prototype, {
    isRetryable: { get: () => isRetryable, configurable: true },
    message: { get: () => message, configurable: true }
  })
  return Base
}

/**
 * `INTERNAL_ERROR`: a bug in the server.
 *
 * @since 0.1.0
 * @category errors
 */
export class InternalError
  extends refusal<InternalError>()("InternalError", true, "INTERNAL_ERROR: the server says that it has a bug")
{}

/**
 * `BAD_FORMAT`: the server could not read the command.
 *
 * @since 0.1.0
 * @category errors
 */
export class BadFormat
  extends refusal<BadFormat>()("BadFormat", false, "BAD_FORMAT: the server could not read the command")
{}

/**
 * `UNKNOWN_COMMAND`: the server does not have this command. `reserve-job` came with beanstalkd 1.12.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownCommand
  extends refusal<UnknownCommand>()("UnknownCommand", false, "UNKNOWN_COMMAND: the server does not have this command")
{}

/**
 * `EXPECTED_CRLF`: the server did not find the end of the body where it should be.
 *
 * @since 0.1.0
 * @category errors
 */
export class ExpectedCrlf
  extends refusal<ExpectedCrlf>()("ExpectedCrlf", false, "EXPECTED_CRLF: the server did not find the end of the body")
{}

/**
 * `OUT_OF_MEMORY` as a reply to any command but `put`, which has {@link OutOfMemory}.
 *
 * @since 0.1.0
 * @category errors
 */
export class ServerOutOfMemory extends refusal<ServerOutOfMemory>()(
  "ServerOutOfMemory",
  true,
  "OUT_OF_MEMORY: the server has no memory to carry out the command"
) {}

/**
 * The reasons of a {@link BeanstalkdError}.
 *
 * @since 0.1.0
 * @category schemas
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
  NoServer,
  PartlyDone,
  UnexpectedReply,
  InternalError,
  BadFormat,
  UnknownCommand,
  ExpectedCrlf,
  ServerOutOfMemory
])

/**
 * A reason of a {@link BeanstalkdError}.
 *
 * @since 0.1.0
 * @category models
 */
export type BeanstalkdErrorReason = typeof BeanstalkdErrorReason.Type

/**
 * Everything that can happen to any command. `command` is the protocol's name of it, `connect` while there is no
 * connection yet, or the function that was called with wrong options; `server` is the address, `reason` the tagged
 * reason.
 *
 * `sent: false` means that no byte of the command was handed to the socket: it has had no effect, and it is safe to
 * issue it again. With `sent: true` the server may have carried it out, unless the reason is one of its own refusals.
 *
 * ```ts
 * import { Connection } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const tubes = Effect.flatMap(Connection.Connection, (connection) => connection.listTubes)
 *
 * // One reason, by its tag. Others pass by.
 * const patient = Effect.catchReason(tubes, "BeanstalkdError", "CommandTimeout", () => Effect.succeed([]))
 *
 * // Several. A handler also gets the whole error.
 * const careful = Effect.catchReasons(tubes, "BeanstalkdError", {
 *   CommandTimeout: () => Effect.succeed([]),
 *   UnexpectedReply: (reason, error) => Effect.die(new Error(`${error.server} is no beanstalkd: ${reason.message}`))
 * })
 *
 * // All of them as errors of their own.
 * const unwrapped = tubes.pipe(
 *   Effect.unwrapReason("BeanstalkdError"),
 *   Effect.catchTag("OpenError", () => Effect.succeed([]))
 * )
 *
 * // By what may help.
 * const persistent = Effect.retry(tubes, { times: 3, while: (error) => error.isRetryable })
 * ```
 *
 * @since 0.1.0
 * @category errors
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
  /** The reason again, where error reporters look for it. */
  override readonly cause = this.reason

  /** Whether another attempt may succeed. Whether the first one took effect is another question: see `sent`. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }

  override get message(): string {
    // Refused options concern no server, and the message of the reason names the function that was called.
    return this.reason._tag === "InvalidOptions"
      ? this.reason.message
      : `${this.command} on ${this.server}: ${this.reason.message}`
  }
}

/**
 * Whether a value is a {@link BeanstalkdError}.
 *
 * @since 0.1.0
 * @category guards
 */
export const isBeanstalkdError: (value: unknown) => value is BeanstalkdError = Schema.is(BeanstalkdError)

/**
 * A `putAll` that did not put all: `inserted` has the references of the jobs that a server acknowledged, `cause` is the
 * error that stopped it. `Tube.sink` keeps the last 10,000 references; `omitted` (0) is how many jobs were acknowledged
 * before these.
 *
 * @since 0.1.0
 * @category errors
 */
export class PutAllError extends Schema.TaggedError<PutAllError>(identifier("PutAllError"))("PutAllError", {
  inserted: Schema.Array(JobRef),
  omitted: Schema.Finite.pipe(Schema.withConstructorDefault(Effect.succeed(0))),
  cause: Schema.Union([InvalidArgument, JobTooBig, JobBuried, OutOfMemory, Draining, BeanstalkdError])
}) {
  override get message(): string {
    return `put stopped after ${this.inserted.length + this.omitted} jobs: ${this.cause.message}`
  }
}
