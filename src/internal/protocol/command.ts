/**
 * The parts that the table of commands is made of: a command with its encoder and its reply cases, and the request that
 * an encoder makes.
 */
import type * as Exit from "effect/Exit"
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import type * as Errors from "../../Errors.ts"
import type { RawReply } from "./replyReader.ts"
import type { JobId } from "./scalars.ts"

/**
 * A command ready to be sent. `head` is its line without CRLF. The line of a command with a body ends with the body's
 * length, `size` in bytes, which is added when the bytes are laid out.
 *
 * With `usesTube` the command acts on the tube that the connection uses when the command leaves: `tube`, or if that is
 * undefined, the tube that the connection's owner chose with `use`. `seconds` is how long the server may wait before it
 * replies. `id`, and `tube` without `usesTube`, only inform errors.
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

/** A reply that a command can have: the Schema of the fields after its first word, and the value or error it means. */
export interface ReplyCase<out A, out E> {
  readonly fields: Schema.Top
  readonly decode: (
    reply: RawReply,
    request: Request,
    server: string
  ) => Result.Result<Exit.Exit<A, E>, SchemaIssue.Issue>
}

/**
 * A row of {@link commands}: the name of a command on the wire, the encoder that checks its arguments, and its replies
 * by their first word. `Invalid` is `InvalidArgument` if the command takes arguments, `A` what it gives, `E` the
 * outcomes that its replies name.
 *
 * @since 0.1.0
 * @category models
 */
export interface Command<in Args extends ReadonlyArray<unknown>, out Invalid, out A, out E> {
  /** The protocol's name of the command, such as `peek-ready`. */
  readonly name: string
  readonly encode: (...args: Args) => Request | Invalid
  readonly replies: ReadonlyMap<string, ReplyCase<A, E>>
  /** Whether it may leave a moment later, with other commands: while it is one of many. Default: false. */
  readonly mayWait?: boolean | undefined
}

/** Any row of the table. */
export type AnyCommand = Command<never, unknown, unknown, unknown>

type ReplyCases = { readonly [word: string]: ReplyCase<unknown, unknown> }
type ValueOf<O> = O extends ReplyCase<infer A, unknown> ? A : never
type ErrorOf<O> = O extends ReplyCase<unknown, infer E> ? E : never

/** Makes a row of the table. Its types follow from its encoder and its reply cases. */
export const command = <Args extends ReadonlyArray<unknown>, Encoded, const O extends ReplyCases>(
  name: string,
  encode: (...args: Args) => Encoded & (Request | Errors.InvalidArgument),
  replies: O
): Command<Args, Exclude<Encoded, Request>, ValueOf<O[keyof O]>, ErrorOf<O[keyof O]>> => ({
  name,
  encode: encode as never,
  replies: new Map(Object.entries(replies)) as never
})
