/**
 * From a reply to what it means: the reply cases that rows of the table are built of, and the lookup of a reply in its
 * command's row. A reply that no row explains is a violation of the protocol.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as Errors from "../../Errors.ts"
import { type Command, RawJob, type ReplyCase, type Request, utf8 } from "./command.ts"
import { type JobRef, jobRef } from "./jobRef.ts"
import type { ProtocolViolation, RawReply } from "./replyParser.ts"
import { CountFromString, type JobId, JobIdFromString, TubeName } from "./scalars.ts"

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
