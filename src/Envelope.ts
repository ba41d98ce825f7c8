/**
 * Envelopes: what beanstalkd has no headers for, in the body of a job. An id that stays the same, when the job was put, when
 * it expires, the trace that it belongs to, the version of its Schema, who awaits an answer, why it is a dead letter.
 *
 * An envelope is a line of text before the payload, so that every tool can read it:
 *
 *     #job/1 {"id":"019ac7…","at":1764422400000,"ct":"json"}
 *     {"to":"ada@example.com"}
 *
 * `#job/1`, a space, a JSON object of at most 4096 bytes on one line, a newline, and then the payload, any bytes. A body that
 * does not begin like that is bare: all of it is the payload. Members that a reader does not know are kept and passed on; a
 * higher number than 1 is refused rather than taken for a payload.
 *
 * Tubes write and read envelopes with the option `envelope` of `Tube.make`. This module is for everybody else.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Body } from "./Client.ts"
import type * as Errors from "./Errors.ts"
import * as Compressing from "./internal/envelope/compression.ts"
import * as EnvelopeHead from "./internal/envelope/head.ts"
import * as Line from "./internal/envelope/line.ts"
import { messageId } from "./internal/envelope/messageId.ts"
import { expanded } from "./internal/envelope/opening.ts"
import * as SenderReference from "./internal/envelope/sender.ts"
import { describeCause } from "./internal/protocol/describe.ts"
import * as Validate from "./internal/protocol/validate.ts"

/**
 * The options of a tube that writes or reads envelopes.
 *
 * @since 0.1.0
 * @category models
 */
export interface EnvelopeOptions<in A> {
  /**
   * What is written: `"line"`, the line of text before the payload, or `"cloudevents"`, a CloudEvent 1.0 in its structured JSON
   * form, which other systems read but which is longer. A tube with an envelope reads both, and bare bodies, whatever it
   * writes. Default: `"line"`.
   */
  readonly format?: "line" | "cloudevents" | undefined

  /**
   * Whether envelopes are read, and none is written: for the first step of a roll-out. `envelope: "accept"` says the same.
   * Default: `false`.
   */
  readonly accept?: boolean | undefined

  /** Whether a body without an envelope is refused with a `DecodeError`. Default: `false`. */
  readonly require?: boolean | undefined

  /**
   * How the span of a handler belongs to the span in which the job was put. `"parent"`: both are of one trace. `"link"`: the
   * handler begins a trace of its own, which links to the other; for jobs that wait for days, and for fan-out. `"none"`: the
   * envelope says nothing about the trace, and what it says is not used. Default: `"parent"`.
   */
  readonly trace?: "parent" | "link" | "none" | undefined

  /**
   * Whether large payloads are compressed: those of more than `over` bytes (default 8192), with `algorithm` (default
   * `"gzip"`; `"zstd"` needs Node 22.15 or later), unless that makes them larger. `true` takes both defaults. Compressed
   * payloads are read in any case, and expand to 64 MiB at most. Default: `false`.
   */
  readonly compress?:
    | boolean
    | { readonly over?: number | undefined; readonly algorithm?: "gzip" | "zstd" | undefined }
    | undefined

  /**
   * The version of the Schema: a whole number, at least 1. Payloads of a higher version do not decode. Raise it when what is
   * written changes. Default: 1, which is also the version of bodies that name none.
   */
  readonly version?: number | undefined

  /**
   * What brings an older payload to the next version, by the version that it has. It is given what the codec has read
   * (of `json` the parsed value, of `text` the text, of `bytes` and `binary` the bytes), before the Schema decodes it. A version
   * without a function is left as it is.
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- nothing knows the type of an old payload but its function
  readonly upcast?: Readonly<Record<number, (old: any) => unknown>> | undefined

  /** The id of a value, for puts that give none: what makes two puts the same job. Default: a new UUID of version 7. */
  readonly id?: ((value: A) => string) | undefined
}

/**
 * What an envelope says about its payload. Times are milliseconds since 1970, by the clock of the process that put the job.
 * Each member has a shorter name where it travels, which its own documentation gives in parentheses.
 *
 * @since 0.1.0
 * @category models
 */
export type Head = EnvelopeHead.Head

/**
 * Where a dead letter comes from, and why it is one.
 *
 * @since 0.1.0
 * @category models
 */
export type DeadLetter = EnvelopeHead.DeadLetter

/**
 * How a payload is to be read, as the codecs of tubes are named.
 *
 * @since 0.1.0
 * @category models
 */
export type ContentType = EnvelopeHead.ContentType

/**
 * How a payload is compressed.
 *
 * @since 0.1.0
 * @category models
 */
export type Compression = EnvelopeHead.Compression

/**
 * A body, taken apart. Without an envelope the payload is the body.
 *
 * @since 0.1.0
 * @category models
 */
export interface Opened {
  /** What the envelope says, if there is one. */
  readonly head: Head | undefined
  /** What the codec of the writer wrote; no longer compressed. */
  readonly payload: Uint8Array
}

/**
 * A body that begins as an envelope does, and cannot be read: it is of a later version, one of its members is not what it
 * must be, or its payload does not expand.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidEnvelope extends Schema.TaggedError<InvalidEnvelope>("effect-beanstalkd/Envelope/InvalidEnvelope")(
  "InvalidEnvelope",
  { body: Schema.Uint8Array, detail: Schema.String }
) {
  override get message(): string {
    return `the body cannot be opened: ${this.detail}`
  }
}

const refuse = (value: unknown, rule: string): Errors.InvalidArgument =>
  Validate.refuse("Envelope.encode", "head", value, rule)

/**
 * Puts a payload into an envelope, and compresses it if the head says so. Without an `id` the head gets a new one, without
 * an `at` the time. A head that is not allowed is an `InvalidArgument`.
 *
 * ```ts
 * import { Client, Envelope } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const beanstalkd = yield* Client.Beanstalkd
 *   const body = yield* Envelope.encode(`{"to":"ada@example.com"}`, { id: "order-7", contentType: "json" })
 *   yield* beanstalkd.put("emails", body)
 * })
 * ```
 *
 * @since 0.1.0
 * @category encoding
 */
export const encode = Effect.fnUntraced(function*(
  payload: Body,
  head: Partial<Head> = {}
): Effect.fn.Return<Uint8Array, Errors.InvalidArgument> {
  const now = yield* Clock.currentTimeMillis
  const complete: Head = { ...head, id: head.id ?? messageId(now), at: head.at ?? now }
  const wrong = EnvelopeHead.refuse({ ...complete })
  if (wrong !== undefined) return yield* refuse(head, `one that can be written: ${wrong}`)
  if (!Line.isBody(payload)) {
    return yield* Validate.refuse("Envelope.encode", "payload", payload, "text or a Uint8Array")
  }
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload
  const { compression } = complete
  if (compression !== undefined && bytes.length > Compressing.MAX_EXPANDED) {
    const rule = `of at most ${Compressing.MAX_EXPANDED} bytes before it is compressed`
    return yield* Validate.refuse("Envelope.encode", "payload", `${bytes.length} bytes`, rule)
  }
  const small = compression === undefined ? bytes : yield* Effect.mapError(
    Compressing.compress(compression, bytes),
    (error) => refuse(compression, `a compression that this runtime has (${describeCause(error)})`)
  )
  const sealed = Line.sealLine(complete, small)
  return typeof sealed === "string" ? yield* refuse(head, sealed) : sealed.body as Uint8Array
})

/**
 * Takes a body apart. A body without an envelope is all payload; one whose envelope cannot be read fails.
 *
 * ```ts
 * import { Client, Envelope } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const beanstalkd = yield* Client.Beanstalkd
 *   const job = yield* beanstalkd.reserve("emails")
 *   const { head, payload } = yield* Envelope.decode(job.body)
 *   yield* Effect.log(head?.id ?? "bare", payload.length)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode = (body: Uint8Array): Effect.Effect<Opened, InvalidEnvelope> =>
  Effect.suspend(() => {
    const opened = Line.openLine(body)
    if (typeof opened === "string") return Effect.fail(new InvalidEnvelope({ body, detail: opened }))
    return Effect.mapBoth(expanded(opened), {
      onFailure: (error) =>
        new InvalidEnvelope({ body, detail: `its payload does not expand (${describeCause(error)})` }),
      onSuccess: (payload) => ({ head: opened.head, payload })
    })
  })

/**
 * Who puts jobs: what the `by` of their envelopes says, of puts that do not say it themselves. Default: nothing.
 *
 * ```ts
 * import { Client, Envelope } from "effect-beanstalkd"
 * import { Layer } from "effect"
 *
 * const layer = Layer.mergeAll(Client.layer(), Layer.succeed(Envelope.Sender, "checkout"))
 * ```
 *
 * @since 0.1.0
 * @category references
 */
export const Sender: Context.Reference<string | undefined> = SenderReference.Sender

/**
 * Whether the time is over after which nobody needs the job. A worker asks that itself, before it runs a handler.
 *
 * @since 0.1.0
 * @category guards
 */
export const isExpired = (head: Head | undefined): Effect.Effect<boolean> =>
  Effect.map(Clock.currentTimeMillis, (now) => head?.exp !== undefined && head.exp <= now)
