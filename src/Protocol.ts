/**
 * The protocol as data: one table of the 25 commands, each with its name, its encoder, and for every reply that the
 * server may give to it the Schema of its fields and what it means, a value or a typed error. The encoder, the decoding
 * of replies and the error types of the client all come from this table. It is pure: values in, bytes or plain data
 * out.
 *
 * The commands are described in beanstalkd's `doc/protocol.txt`, under the names that they have here.
 */
import type * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as Validate from "./internal/protocol/validate.ts"
import * as Errors from "./Errors.ts"
import { type JobRef, jobRef } from "./internal/protocol/jobRef.ts"
import type { Nonsense, RawReply } from "./internal/protocol/replyParser.ts"
import { JobStatsFromText, ServerStatsFromText, TubeListFromText, TubeStatsFromText } from "./Stats.ts"
import { CountFromString, JobId, JobIdFromString, Priority, TubeName } from "./internal/protocol/scalars.ts"

export { JobId, Priority, TubeName }

// ---------------------------------------------------------------------------------------------------------------------
// What a command is made of
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A command ready to be sent. `head` is its line without CRLF; where a body follows, also without the body's length,
 * which is added when the bytes are laid out; `size` is that length, in bytes.
 *
 * With `usesTube` the command acts on the tube that the connection uses when it leaves: `tube`, or if that is
 * undefined, the one that its owner chose with `use`. `seconds` is how long the server may
 * wait before it answers. Otherwise `tube` and `id` inform errors.
 */
export interface Request {
  readonly head: string
  readonly body?: Uint8Array | string | undefined
  readonly size?: number | undefined
  readonly usesTube?: boolean | undefined
  readonly tube?: string | undefined
  readonly id?: JobId | undefined
  readonly seconds?: number | undefined
}

/**
 * One of the replies to a command: the Schema of the fields after its first word, and what it means.
 */
export interface Outcome<out A, out E> {
  readonly fields: Schema.Top
  readonly decode: (
    reply: RawReply,
    request: Request,
    server: string
  ) => Result.Result<Exit.Exit<A, E>, SchemaIssue.Issue>
}

/**
 * A row of the table: the name of a command on the wire, the encoder that checks its arguments, and its replies by
 * their first word.
 */
export interface Command<in Args extends ReadonlyArray<unknown>, out Invalid, out A, out E> {
  readonly name: string
  readonly encode: (...args: Args) => Request | Invalid
  readonly replies: ReadonlyMap<string, Outcome<A, E>>
}

/**
 * A job as it comes over the wire. Every byte of `body` is as it was put; `text` is the body read as UTF-8.
 */
export class ReceivedJob {
  readonly id: JobId
  readonly body: Uint8Array
  /** The server that it lies on: ids are per server. */
  readonly server: string
  constructor(id: JobId, body: Uint8Array, server: string) {
    this.id = id
    this.body = body
    this.server = server
  }
  /** The server and the id. */
  get ref(): JobRef {
    return jobRef(this.server, this.id)
  }
  get text(): string {
    return utf8.decode(this.body)
  }
}

// A leading byte order mark is part of what was put.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })

type FieldSchemas = ReadonlyArray<Schema.Codec<unknown, string> | Schema.Codec<unknown, Uint8Array>>

// Most replies have one field; a tuple around it costs half as much again as the field.
const decoderOf = (schemas: FieldSchemas, fields: Schema.Codec<unknown, ReadonlyArray<unknown>>) => {
  const [only] = schemas
  if (only === undefined || schemas.length > 1) return SchemaParser.decodeUnknownResult(fields)
  const decodeOnly = SchemaParser.decodeUnknownResult(only)
  const decodeAll = SchemaParser.decodeUnknownResult(fields)
  return (raw: ReadonlyArray<unknown>) =>
    raw.length === 1 ? Result.map(decodeOnly(raw[0]), (value) => [value]) : decodeAll(raw)
}

const outcome = <const F extends FieldSchemas, A, E>(
  schemas: F,
  toExit: (fields: Schema.Tuple<F>["Type"], request: Request, server: string) => Exit.Exit<A, E>
): Outcome<A, E> => {
  const fields = Schema.Tuple(schemas)
  const decode = decoderOf(schemas, fields)
  return {
    fields,
    decode: (reply, request, server) =>
      Result.map(decode(reply.fields), (values) => toExit(values as Schema.Tuple<F>["Type"], request, server))
  }
}

const succeeds = <const F extends FieldSchemas, A>(
  schemas: F,
  value: (fields: Schema.Tuple<F>["Type"]) => A
): Outcome<A, never> => outcome(schemas, (fields) => Exit.succeed(value(fields)))

const fails = <const F extends FieldSchemas, E>(
  schemas: F,
  error: (request: Request, server: string, fields: Schema.Tuple<F>["Type"]) => E
): Outcome<never, E> => outcome(schemas, (fields, request, server) => Exit.fail(error(request, server, fields)))

type Outcomes = { readonly [word: string]: Outcome<unknown, unknown> }
type ValueOf<O> = O extends Outcome<infer A, unknown> ? A : never
type ErrorOf<O> = O extends Outcome<unknown, infer E> ? E : never

const command = <Args extends ReadonlyArray<unknown>, Encoded, const O extends Outcomes>(
  name: string,
  encode: (...args: Args) => Encoded & (Request | Errors.InvalidArgument),
  replies: O
): Command<Args, Exclude<Encoded, Request>, ValueOf<O[keyof O]>, ErrorOf<O[keyof O]>> => ({
  name,
  encode: encode as never,
  replies: new Map(Object.entries(replies)) as never
})

// ---------------------------------------------------------------------------------------------------------------------
// Replies that several commands share
// ---------------------------------------------------------------------------------------------------------------------

const notFound = (name: string) =>
  fails([], ({ id, tube }, server) =>
    new Errors.NotFound({
      command: name,
      server,
      ...(id === undefined ? {} : { id }),
      ...(tube === undefined ? {} : { tube })
    }))

const done = succeeds([], (): void => {})

const job = outcome(
  [JobIdFromString, Schema.Uint8Array],
  ([id, body], _, server) => Exit.succeed(new ReceivedJob(id, body, server))
)

const deadlineSoon = fails([], (_, server) => new Errors.DeadlineSoon({ server }))

const count = succeeds([CountFromString], ([n]) => n)

const usedTube = succeeds([TubeName], ([tube]) => tube)

const TextFromBytes = Schema.Uint8Array.pipe(Schema.decodeTo(Schema.String, {
  decode: SchemaGetter.transform((bytes: Uint8Array) => utf8.decode(bytes)),
  encode: SchemaGetter.transform((text) => new TextEncoder().encode(text))
}))

const document = <A>(schema: Schema.Codec<A, string>) =>
  succeeds([TextFromBytes.pipe(Schema.decodeTo(schema))], ([value]) => value)

const tubeList = document(TubeListFromText)

// ---------------------------------------------------------------------------------------------------------------------
// Encoders
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of `put`. `priority`: 0, the most urgent, to 2^32 - 1, default 2^31. `delay`: default none. `ttr`, the time
 * that a worker has for the job: at least one second, default 2 minutes. Durations are rounded up to whole seconds;
 * plain numbers are milliseconds. `tube`: default the one that the connection uses.
 */
export interface PutOptions {
  readonly tube?: string | undefined
  readonly priority?: number | undefined
  readonly delay?: Duration.Input | undefined
  readonly ttr?: Duration.Input | undefined
}

/**
 * Options of `release`: the job's new priority, default 2^31, and a delay before it is ready again, default none.
 */
export interface ReleaseOptions {
  readonly priority?: number | undefined
  readonly delay?: Duration.Input | undefined
}

/**
 * Options of `bury`: the job's new priority, default 2^31.
 */
export interface BuryOptions {
  readonly priority?: number | undefined
}

const isInvalid = (value: unknown): value is Errors.InvalidArgument => value instanceof Errors.InvalidArgument

const encodePut = (
  body: Uint8Array | string,
  options?: PutOptions,
  tube: string | undefined = options?.tube
): Request | Errors.InvalidArgument => {
  const wrong = Validate.options("put", options) ?? Validate.optionalTube("put", tube)
  if (isInvalid(wrong)) return wrong
  const priority = Validate.priority("put", options?.priority)
  if (isInvalid(priority)) return priority
  const delay = Validate.optionalDelay("put", options?.delay)
  if (isInvalid(delay)) return delay
  const ttr = Validate.ttr("put", options?.ttr)
  if (isInvalid(ttr)) return ttr
  const bytes = Validate.body("put", body)
  if (isInvalid(bytes)) return bytes
  return { head: `put ${priority} ${delay} ${ttr}`, body: bytes, size: Validate.sizeOf(bytes), usesTube: true, tube }
}

const encodeRelease = (id: JobId, options?: ReleaseOptions): Request | Errors.InvalidArgument => {
  const checked = Validate.jobId("release", id)
  if (isInvalid(checked)) return checked
  const wrong = Validate.options("release", options)
  if (wrong !== undefined) return wrong
  const priority = Validate.priority("release", options?.priority)
  if (isInvalid(priority)) return priority
  const delay = Validate.optionalDelay("release", options?.delay)
  return isInvalid(delay) ? delay : { head: `release ${id} ${priority} ${delay}`, id }
}

const encodeBury = (id: JobId, options?: BuryOptions): Request | Errors.InvalidArgument => {
  const checked = Validate.jobId("bury", id)
  if (isInvalid(checked)) return checked
  const wrong = Validate.options("bury", options)
  if (wrong !== undefined) return wrong
  const priority = Validate.priority("bury", options?.priority)
  return isInvalid(priority) ? priority : { head: `bury ${id} ${priority}`, id }
}

// beanstalkd 1.13 refuses what 1.12 cuts: more than fits into 31 bits.
const MAX_TIMEOUT_SECONDS = 2_147_483_647

const encodeReserveWithTimeout = (timeout: Duration.Input): Request | Errors.InvalidArgument => {
  const checked = Validate.timeout("reserve-with-timeout", timeout)
  if (isInvalid(checked)) return checked
  const seconds = Math.min(checked, MAX_TIMEOUT_SECONDS)
  return { head: `reserve-with-timeout ${seconds}`, seconds }
}

const encodeKick = (bound?: number, tube?: string): Request | Errors.InvalidArgument => {
  const most = Validate.uint32("kick", "bound", bound === undefined ? 1 : bound)
  if (isInvalid(most)) return most
  const checked = Validate.optionalTube("kick", tube)
  return isInvalid(checked) ? checked : { head: `kick ${most}`, usesTube: true, tube: checked }
}

const encodePauseTube = (tube: string, delay: Duration.Input): Request | Errors.InvalidArgument => {
  const checked = Validate.tube("pause-tube", "tube", tube)
  if (isInvalid(checked)) return checked
  const seconds = Validate.delay("pause-tube", delay)
  return isInvalid(seconds) ? seconds : { head: `pause-tube ${tube} ${seconds}`, tube }
}

const plain = (name: string) => (): Request => ({ head: name })

const withId = (name: string) => (id: JobId): Request | Errors.InvalidArgument => {
  const checked = Validate.jobId(name, id)
  return isInvalid(checked) ? checked : { head: `${name} ${id}`, id }
}

const withTube = (name: string) => (tube: string): Request | Errors.InvalidArgument => {
  const checked = Validate.tube(name, "tube", tube)
  return isInvalid(checked) ? checked : { head: `${name} ${tube}`, tube }
}

const inUsedTube = (name: string) => (tube?: string): Request | Errors.InvalidArgument => {
  const checked = Validate.optionalTube(name, tube)
  return isInvalid(checked) ? checked : { head: name, usesTube: true, tube: checked }
}

// ---------------------------------------------------------------------------------------------------------------------
// The table
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The 25 commands of the protocol.
 *
 * ```ts
 * import { Protocol } from "effect-beanstalkd"
 *
 * Protocol.commands.kick.encode(10, "emails") // { head: "kick 10", usesTube: true, tube: "emails" }
 * Protocol.commands.reserve.replies.has("DEADLINE_SOON") // true
 * ```
 */
export const commands = {
  put: command("put", encodePut, {
    INSERTED: succeeds([JobIdFromString], ([id]) => id),
    BURIED: fails([JobIdFromString], (_, server, [id]) => new Errors.JobBuried({ command: "put", server, id })),
    JOB_TOO_BIG: fails([], ({ size }, server) => new Errors.JobTooBig({ server, size: size ?? 0 })),
    DRAINING: fails([], (_, server) => new Errors.Draining({ server })),
    OUT_OF_MEMORY: fails([], (_, server) => new Errors.OutOfMemory({ server }))
  }),
  use: command("use", withTube("use"), { USING: usedTube }),
  reserve: command("reserve", (): Request => ({ head: "reserve", seconds: Infinity }), {
    RESERVED: job,
    DEADLINE_SOON: deadlineSoon
  }),
  reserveWithTimeout: command("reserve-with-timeout", encodeReserveWithTimeout, {
    RESERVED: job,
    DEADLINE_SOON: deadlineSoon,
    TIMED_OUT: fails([], ({ seconds }, server) => new Errors.TimedOut({ server, timeoutSeconds: seconds ?? 0 }))
  }),
  reserveJob: command("reserve-job", withId("reserve-job"), { RESERVED: job, NOT_FOUND: notFound("reserve-job") }),
  delete: command("delete", withId("delete"), { DELETED: done, NOT_FOUND: notFound("delete") }),
  release: command("release", encodeRelease, {
    RELEASED: done,
    BURIED: fails(
      [],
      (request, server) => new Errors.JobBuried({ command: "release", server, id: request.id as JobId })
    ),
    NOT_FOUND: notFound("release")
  }),
  bury: command("bury", encodeBury, { BURIED: done, NOT_FOUND: notFound("bury") }),
  touch: command("touch", withId("touch"), { TOUCHED: done, NOT_FOUND: notFound("touch") }),
  watch: command("watch", withTube("watch"), { WATCHING: count }),
  ignore: command("ignore", withTube("ignore"), {
    WATCHING: count,
    NOT_IGNORED: fails([], ({ tube }, server) => new Errors.NotIgnored({ server, tube: tube ?? "" }))
  }),
  peek: command("peek", withId("peek"), { FOUND: job, NOT_FOUND: notFound("peek") }),
  peekReady: command("peek-ready", inUsedTube("peek-ready"), { FOUND: job, NOT_FOUND: notFound("peek-ready") }),
  peekDelayed: command("peek-delayed", inUsedTube("peek-delayed"), { FOUND: job, NOT_FOUND: notFound("peek-delayed") }),
  peekBuried: command("peek-buried", inUsedTube("peek-buried"), { FOUND: job, NOT_FOUND: notFound("peek-buried") }),
  kick: command("kick", encodeKick, { KICKED: count }),
  kickJob: command("kick-job", withId("kick-job"), { KICKED: done, NOT_FOUND: notFound("kick-job") }),
  statsJob: command("stats-job", withId("stats-job"), {
    OK: document(JobStatsFromText),
    NOT_FOUND: notFound("stats-job")
  }),
  statsTube: command("stats-tube", withTube("stats-tube"), {
    OK: document(TubeStatsFromText),
    NOT_FOUND: notFound("stats-tube")
  }),
  stats: command("stats", plain("stats"), { OK: document(ServerStatsFromText) }),
  listTubes: command("list-tubes", plain("list-tubes"), { OK: tubeList }),
  listTubeUsed: command("list-tube-used", (): Request => ({ head: "list-tube-used", usesTube: true }), {
    USING: usedTube
  }),
  listTubesWatched: command("list-tubes-watched", plain("list-tubes-watched"), { OK: tubeList }),
  pauseTube: command("pause-tube", encodePauseTube, { PAUSED: done, NOT_FOUND: notFound("pause-tube") }),
  quit: command("quit", plain("quit"), {})
}

/**
 * The request for a command, or what is wrong with its arguments. It does not throw, not even where the arguments do.
 */
export const encode = <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
  command: Command<Args, Invalid, A, E>,
  args: Args
): Request | Invalid => {
  try {
    return command.encode(...args)
  } catch {
    const rule = "objects whose properties can be read"
    return new Errors.InvalidArgument({
      operation: command.name,
      argument: "options",
      value: undefined,
      rule
    }) as Invalid
  }
}

type Commands = typeof commands

/**
 * The names of the commands in the table and on a connection.
 */
export type CommandName = keyof Commands

/**
 * The arguments of a command.
 */
export type CommandArguments<K extends CommandName> = Parameters<Commands[K]["encode"]>

/**
 * What a command gives when it succeeds.
 */
export type Success<K extends CommandName> = K extends "quit" ? void
  : Commands[K] extends Command<never, unknown, infer A, unknown> ? A
  : never

/**
 * Exactly what a command can fail with: the outcomes that its replies name, `InvalidArgument` if it takes arguments,
 * and `BeanstalkdError`.
 */
export type Failure<K extends CommandName> =
  | (Commands[K] extends Command<never, infer Invalid, unknown, infer E> ? Invalid | E : never)
  | Errors.BeanstalkdError

// ---------------------------------------------------------------------------------------------------------------------
// Replies
// ---------------------------------------------------------------------------------------------------------------------

const REFUSALS: ReadonlyMap<string, () => Errors.BeanstalkdErrorReason> = new Map<
  string,
  () => Errors.BeanstalkdErrorReason
>([
  ["OUT_OF_MEMORY", () => new Errors.ServerOutOfMemory()],
  ["INTERNAL_ERROR", () => new Errors.InternalError()],
  ["BAD_FORMAT", () => new Errors.BadFormat()],
  ["UNKNOWN_COMMAND", () => new Errors.UnknownCommand()],
  ["EXPECTED_CRLF", () => new Errors.ExpectedCrlf()]
])

const describeIssue = SchemaIssue.makeFormatterDefault()

/**
 * The beginning of a reply, for an error.
 */
export const describeReply = (reply: RawReply): string =>
  [reply.word, ...reply.fields.map((field) => typeof field === "string" ? field : `(${field.length} bytes)`)].join(" ")
    .slice(0, 200)

// What is asked of a job must be answered with that job.
const isOfAnother = (exit: Exit.Exit<unknown, unknown>, id: number | undefined): boolean => {
  if (id === undefined || Exit.isFailure(exit)) return false
  const told = (exit.value as { readonly id?: number } | undefined)?.id
  return told !== undefined && told !== id
}

/**
 * What a reply to a command means: success or failure of the command, or `Nonsense` if the command cannot have this
 * reply.
 */
export const decodeReply = <A, E>(
  command: Command<never, unknown, A, E>,
  request: Request,
  server: string,
  reply: RawReply
): Exit.Exit<A, E | Errors.BeanstalkdError> | Nonsense => {
  const outcome = command.replies.get(reply.word)
  if (outcome !== undefined) {
    const decoded = outcome.decode(reply, request, server)
    if (Result.isFailure(decoded)) return { reply: describeReply(reply), detail: describeIssue(decoded.failure) }
    return isOfAnother(decoded.success, request.id)
      ? { reply: describeReply(reply), detail: `not about job ${request.id}` }
      : decoded.success
  }
  const refusal = reply.fields.length === 0 ? REFUSALS.get(reply.word) : undefined
  return refusal === undefined
    ? { reply: describeReply(reply), detail: `not a reply to ${command.name}` }
    : Exit.fail(new Errors.BeanstalkdError({ command: command.name, server, sent: true, reason: refusal() }))
}
