/**
 * From the bytes that a server sends to what they mean. The parser cuts the bytes into replies; the reply cases, of which
 * rows of the table are built, say what a reply means; `decodeReply` looks a reply up in its command's row. The counterpart
 * of `requestWriter`.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { Buffer } from "node:buffer"
import * as Errors from "../../Errors.ts"
import type { Command, ReplyCase, Request } from "./command.ts"
import { documentAt } from "./documentBytes.ts"
import { JobRef } from "./jobRef.ts"
import { CountFromString, type JobId, JobIdFromString, MAX_UINT32, TubeName } from "./scalars.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Bytes to replies
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A reply as it stands on the wire: its first word, the words after it, and last the body if it has one, in place of
 * the number that gave its length.
 */
export interface RawReply {
  readonly word: string
  readonly fields: ReadonlyArray<string | Uint8Array>
  /** The body was larger than allowed: it was read and dropped, and is not among the fields. */
  readonly skipped?: SkippedBody
}

/** A body that was dropped, and the most that would have been kept. Both are in bytes. */
export interface SkippedBody {
  readonly size: number
  readonly limit: number
}

/**
 * A reply that breaks the protocol, in its framing or in its meaning. `reply` is the beginning of it. `tornJob` is the
 * id in a reply whose body and the CRLF after it are zeros.
 */
export interface ProtocolViolation {
  readonly reply: string
  readonly detail: string
  readonly tornJob?: string
}

/**
 * Takes the replies one by one. Returns `false` to stop the parser for good.
 */
export type OnReply = (reply: RawReply) => boolean

/** More than any line needs: the longest of the protocol is `USING` with a tube of 200 characters. */
const MAX_LINE = 1024
/** `put` tells the length of a body in 32 bits: a longer one is that of no job. */
const LARGEST_JOB = MAX_UINT32
const CR = 13
const LF = 10
const LETTER_O = 79

/** The lines that a body follows, with their number of fields. The last field is the length of the body. */
const FIELDS_OF_BODIES: ReadonlyMap<string, number> = new Map([["RESERVED", 2], ["FOUND", 2], ["OK", 1]])

const EMPTY: ReadonlyArray<string> = []
const NOTHING = new Uint8Array(0)
const NO_LINE = Buffer.alloc(0)

/**
 * Cuts the bytes that a server sends into replies, wherever the pieces were broken. The parser knows how replies are framed,
 * and nothing about their meaning: a line of words ended by CRLF, which for `RESERVED <id> <bytes>`, `FOUND <id> <bytes>` and
 * `OK <bytes>` is followed by that many bytes and another CRLF. `push` may be called with any piece of the stream. Bodies
 * of jobs are copied out of the piece, so a body that is kept holds no more memory than its own length; a document may lie
 * in the piece, and has to be read before `onReply` returns. The body of a job that is larger than `maxReplySize` takes
 * none: it is skipped as it comes. Documents have no such grace, since nobody could do anything about them.
 */
export class ReplyParser {
  readonly #maxReplySize: number
  readonly #onReply: OnReply
  #line: Buffer = NO_LINE
  /** The line of the reply whose body is being read. */
  #awaited: RawReply | undefined
  /** Where that body goes, or undefined if it is skipped. */
  #body: Uint8Array | undefined = NOTHING
  #length = 0
  #filled = 0
  #stopped = false

  constructor(maxReplySize: number, onReply: OnReply) {
    this.#maxReplySize = maxReplySize
    this.#onReply = onReply
  }

  /**
   * Reads a piece of the stream. Returns the violation in it, if there is one; after that, and after `onReply` has
   * returned `false`, further pieces are ignored.
   */
  push(piece: Uint8Array): ProtocolViolation | undefined {
    let bytes = Buffer.isBuffer(piece) ? piece : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    if (this.#line.length > 0) {
      bytes = Buffer.concat([this.#line, bytes])
      this.#line = NO_LINE
    }
    let at = 0
    while (at < bytes.length && !this.#stopped) {
      if (this.#awaited !== undefined) {
        const end = this.#readBody(this.#awaited, bytes, at)
        if (typeof end !== "number") return end
        at = end
        continue
      }
      const document = bytes[at] === LETTER_O ? documentAt(bytes, at) : undefined
      if (document !== undefined && document.length <= this.#maxReplySize) {
        at = document.byteOffset - bytes.byteOffset + document.length + 2
        this.#stopped = !this.#onReply({ word: "OK", fields: [document] })
        continue
      }
      const end = endOfLine(bytes, at)
      if (end < 0) {
        // The last byte may be the CR that ends the line.
        if (bytes.length - at > MAX_LINE + 1) return this.#stop(text(bytes, at), `no end of line in ${MAX_LINE} bytes`)
        // A copy, since a few bytes must not keep a large piece in memory.
        this.#line = Buffer.from(bytes.subarray(at))
        return undefined
      }
      if (end - at > MAX_LINE) return this.#stop(text(bytes, at), `a line of more than ${MAX_LINE} bytes`)
      const violation = this.#readLine(bytes.toString("latin1", at, end))
      if (violation !== undefined) return violation
      at = end + 2
    }
    return undefined
  }

  #readLine(line: string): ProtocolViolation | undefined {
    const space = line.indexOf(" ")
    if (space < 0) {
      this.#stopped = !this.#onReply({ word: line, fields: EMPTY })
      return undefined
    }
    const word = line.slice(0, space)
    const rest = line.slice(space + 1)
    const fields = rest.includes(" ") ? rest.split(" ") : [rest]
    if (FIELDS_OF_BODIES.get(word) !== fields.length) {
      this.#stopped = !this.#onReply({ word, fields })
      return undefined
    }
    const length = fields.pop()!
    if (!/^[0-9]+$/.test(length)) return this.#stop(line, "the length of the body is not a number")
    const size = Number(length)
    if (size <= this.#maxReplySize) {
      try {
        this.#body = new Uint8Array(size)
      } catch {
        return this.#stop(line, "there is no memory for the body")
      }
      this.#awaited = { word, fields }
    } else if (word !== "OK" && size <= LARGEST_JOB) {
      this.#body = undefined
      this.#awaited = { word, fields, skipped: { size, limit: this.#maxReplySize } }
    } else {
      return this.#stop(line, `a body of more than ${this.#maxReplySize} bytes (maxReplySize)`)
    }
    this.#length = size
    this.#filled = 0
    return undefined
  }

  // Returns the position after the bytes that belonged to the body.
  #readBody(awaited: RawReply, bytes: Buffer, from: number): number | ProtocolViolation {
    const { fields, word } = awaited
    const body = this.#body
    const length = this.#length
    let at = from
    if (this.#filled < length) {
      const end = Math.min(bytes.length, at + length - this.#filled)
      body?.set(bytes.subarray(at, end), this.#filled)
      this.#filled += end - at
      at = end
    }
    while (at < bytes.length && this.#filled < length + 2) {
      if (bytes[at] !== (this.#filled === length ? CR : LF)) {
        const isTorn = bytes[at] === 0 && body?.every((byte) => byte === 0) === true
        return this.#stop(
          [word, ...fields].join(" "),
          "the body is not followed by CRLF",
          isTorn ? fields[0] : undefined
        )
      }
      this.#filled++
      at++
    }
    if (this.#filled === length + 2) {
      this.#awaited = undefined
      this.#body = NOTHING
      this.#stopped = !this.#onReply(body === undefined ? awaited : { word, fields: [...fields, body] })
    }
    return at
  }

  #stop(reply: string, detail: string, tornJob?: RawReply["fields"][number]): ProtocolViolation {
    this.#stopped = true
    this.#line = NO_LINE
    this.#body = NOTHING
    return { reply: reply.slice(0, 200), detail, ...(typeof tornJob === "string" ? { tornJob } : {}) }
  }
}

const text = (bytes: Buffer, from: number): string => bytes.toString("latin1", from, Math.min(bytes.length, from + 200))

// Replies are short: a loop finds the end of `INSERTED 1234` before a call of the native search has begun.
const endOfLine = (bytes: Buffer, from: number): number => {
  for (let at = from + 1; at < bytes.length; at++) {
    if (bytes[at] === LF && bytes[at - 1] === CR) return at - 1
  }
  return -1
}

// ---------------------------------------------------------------------------------------------------------------------
// What replies bring
// ---------------------------------------------------------------------------------------------------------------------

/** Decodes UTF-8. A leading byte order mark is part of what was put, so it stays. */
export const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })

// Every put makes one, and the class's own constructor, which checks its fields, costs a twentieth of a put.
function Unchecked(this: { server: string; id: JobId }, server: string, id: JobId): void {
  this.server = server
  this.id = id
}
Unchecked.prototype = JobRef.prototype

const UncheckedJobRef = Unchecked as unknown as new(server: string, id: JobId) => JobRef

const jobRef = (server: string, id: JobId): JobRef => new UncheckedJobRef(server, id)

/**
 * A job as it comes over the wire.
 *
 * @since 0.1.0
 * @category models
 */
export class RawJob {
  /** The id that the server gave to the job. */
  readonly id: JobId
  /** The body, byte for byte as it was put. */
  readonly body: Uint8Array
  /** The server that the job is on, as errors show it. Ids are per server. */
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
  /** The body read as UTF-8. */
  get text(): string {
    return utf8.decode(this.body)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Reply cases
// ---------------------------------------------------------------------------------------------------------------------

type FieldSchema = Schema.Codec<unknown, string> | Schema.Codec<unknown, Uint8Array>
type FieldSchemas = ReadonlyArray<FieldSchema>

/** A reply whose fields become whatever `toExit` makes of them. */
const replyCase = <const F extends FieldSchemas, A, E>(
  schemas: F,
  toExit: (fields: Schema.Tuple<F>["Type"], request: Request, server: string) => Exit.Exit<A, E>
): ReplyCase<A, E> => {
  const fields = Schema.Tuple(schemas)
  const decode = SchemaParser.decodeUnknownResult(fields)
  return {
    fields,
    decode: (reply, request, server) => Result.map(decode(reply.fields), (values) => toExit(values, request, server))
  }
}

// A success, whose value is made of the only field. Most replies are such: a tuple around the field costs half as much
// again.
const succeedsAs = <A, B>(
  schema: Schema.Codec<A, string> | Schema.Codec<A, Uint8Array>,
  toValue: (field: A, server: string) => B
): ReplyCase<B, never> => {
  const fields: Schema.Codec<readonly [A], unknown> = Schema.Tuple([schema])
  const decodeOnly = SchemaParser.decodeUnknownResult(schema)
  const decodeAll = SchemaParser.decodeUnknownResult(fields)
  return {
    fields,
    decode: ({ fields }, _, server) =>
      fields.length === 1
        ? Result.map(decodeOnly(fields[0]), (field) => Exit.succeed(toValue(field, server)))
        : Result.map(decodeAll(fields), ([field]) => Exit.succeed(toValue(field, server)))
  }
}

/** A success, whose value is the only field. */
export const succeedsWith = <A>(
  schema: Schema.Codec<A, string> | Schema.Codec<A, Uint8Array>
): ReplyCase<A, never> => succeedsAs(schema, identity)

/** A failure. */
export const fails = <const F extends FieldSchemas, E>(
  schemas: F,
  error: (request: Request, server: string, fields: Schema.Tuple<F>["Type"]) => E
): ReplyCase<never, E> => replyCase(schemas, (fields, request, server) => Exit.fail(error(request, server, fields)))

/** `NOT_FOUND` as the reply to this command. */
export const notFound = (name: string): ReplyCase<never, Errors.NotFound> =>
  fails([], ({ id, tube }, server) =>
    new Errors.NotFound({
      command: name,
      server,
      ...(id === undefined ? {} : { id }),
      ...(tube === undefined ? {} : { tube })
    }))

/** A success that has nothing to say. */
export const done: ReplyCase<void, never> = replyCase([], () => Exit.void)

const wholeJob: ReplyCase<RawJob, never> = replyCase(
  [JobIdFromString, Schema.Uint8Array],
  ([id, body], _, server) => Exit.succeed(new RawJob(id, body, server))
)

const decodeId = SchemaParser.decodeUnknownResult(Schema.Tuple([JobIdFromString]))

/** A job, reserved or found, as the reply to this command. One whose body was skipped is a failure. */
export const job = (name: string): ReplyCase<RawJob, Errors.ReplyTooLarge> => ({
  fields: wholeJob.fields,
  decode: (reply, request, server) => {
    const { fields, skipped } = reply
    return skipped === undefined
      ? wholeJob.decode(reply, request, server)
      : Result.map(
        decodeId(fields),
        ([id]) => Exit.fail(new Errors.ReplyTooLarge({ command: name, server, id, ...skipped }))
      )
  }
})

/** `DEADLINE_SOON`. */
export const deadlineSoon: ReplyCase<never, Errors.DeadlineSoon> = fails(
  [],
  (_, server) => new Errors.DeadlineSoon({ server })
)

/** A number of jobs or tubes. */
export const count: ReplyCase<number, never> = succeedsWith(CountFromString)

/** The id of a new job, as the reference that names its server too. */
export const insertedRef: ReplyCase<JobRef, never> = succeedsAs(JobIdFromString, (id, server) => jobRef(server, id))

/** The tube in use. */
export const usedTube: ReplyCase<string, never> = succeedsWith(TubeName)

const TextFromBytes = Schema.Uint8Array.pipe(Schema.decodeTo(Schema.String, {
  decode: SchemaGetter.transform((bytes: Uint8Array) => utf8.decode(bytes)),
  encode: SchemaGetter.transform((text) => new TextEncoder().encode(text))
}))

/** A body of statistics, or a list, as this Schema reads it. */
export const document = <A>(schema: Schema.Codec<A, string>): ReplyCase<A, never> =>
  succeedsWith(TextFromBytes.pipe(Schema.decodeTo(schema)))

// ---------------------------------------------------------------------------------------------------------------------
// The meaning of a reply
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

/** The beginning of a reply, for an error. */
export const describeReply = (reply: RawReply): string =>
  [
    reply.word,
    ...reply.fields.map((field) => typeof field === "string" ? field : `(${field.length} bytes)`),
    ...(reply.skipped === undefined ? [] : [`(${reply.skipped.size} bytes)`])
  ].join(" ").slice(0, 200)

// A reply to a question about one job that brings another job belongs to another command: the two sides are out of
// step.
const isOfAnother = (exit: Exit.Exit<unknown, unknown>, { skipped }: RawReply, id: number | undefined): boolean => {
  if (id === undefined || (skipped === undefined && Exit.isFailure(exit))) return false
  const told = jobOf(exit)
  return told !== undefined && told !== id
}

/** The id in a reply that brought a job, also one that was too large to be kept. */
export const jobOf = (exit: Exit.Exit<unknown, unknown>): JobId | undefined => {
  const outcome = Exit.isSuccess(exit) ? exit.value : Cause.squash(exit.cause)
  return (outcome as { readonly id?: JobId } | undefined)?.id
}

/**
 * The meaning of a reply to a command: success or failure of the command, or `ProtocolViolation` if the command cannot
 * have this reply.
 */
export const decodeReply = <A, E>(
  command: Command<never, unknown, A, E>,
  request: Request,
  server: string,
  reply: RawReply
): Exit.Exit<A, E | Errors.BeanstalkdError> | ProtocolViolation => {
  const replyCase = command.replies.get(reply.word)
  if (replyCase !== undefined) {
    const decoded = replyCase.decode(reply, request, server)
    if (Result.isFailure(decoded)) return { reply: describeReply(reply), detail: describeIssue(decoded.failure) }
    return isOfAnother(decoded.success, reply, request.id)
      ? { reply: describeReply(reply), detail: `not about job ${request.id}` }
      : decoded.success
  }
  const refusal = reply.fields.length === 0 ? REFUSALS.get(reply.word) : undefined
  return refusal === undefined
    ? { reply: describeReply(reply), detail: `not a reply to ${command.name}` }
    : Exit.fail(new Errors.BeanstalkdError({ command: command.name, server, sent: true, reason: refusal() }))
}
