/**
 * How a tube makes the body of a job: the payload as its codec wrote it, in an envelope if the tube writes one.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Body } from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import type { PutOptions } from "../../Tube.ts"
import { describeCause } from "../protocol/describe.ts"
import * as Validate from "../protocol/validate.ts"
import { sealEvent } from "./cloudEvents.ts"
import { compress, MAX_EXPANDED } from "./compression.ts"
import type { Head } from "./head.ts"
import { beginsAsEnvelope, isBody, sealLine } from "./line.ts"
import { messageId } from "./messageId.ts"
import type { Moment } from "./moment.ts"
import type { Settings, Wrapping } from "./options.ts"
import { toTraceContext } from "./traceContext.ts"

/** What a put says about its envelope. */
export type HeadOptions = Pick<
  PutOptions,
  "id" | "expiresIn" | "replyTo" | "correlationId" | "maxAttempts" | "by"
>

/** The names of these options. */
export const HEAD_OPTIONS = Validate.optionNames<HeadOptions>({
  id: true,
  expiresIn: true,
  replyTo: true,
  correlationId: true,
  maxAttempts: true,
  by: true
})

/** These options, checked: what all puts of one call have in common. */
export interface Terms extends Pick<Head, "replyTo" | "correlationId" | "maxAttempts" | "by"> {
  readonly id: string | undefined
  readonly expiresInMillis: number | undefined
  readonly delayMillis: number
}

// A million days: what expires later than that never does, and no Date can tell when.
const NEVER_MILLIS = 8.64e13

const refuse = (argument: string, value: unknown, rule: string) => Validate.refuse("put", argument, value, rule)

const nonEmpty = (argument: string, value: string | undefined): string | undefined | Errors.InvalidArgument =>
  value === undefined || (typeof value === "string" && value !== "")
    ? value
    : refuse(argument, value, "text, not empty")

const expiresInMillis = (value: unknown, delayMillis: number): number | undefined | Errors.InvalidArgument => {
  if (value === undefined) return undefined
  const duration = Validate.positiveDuration("put", "expiresIn", value)
  if (duration instanceof Errors.InvalidArgument) return duration
  const millis = Duration.toMillis(duration)
  if (millis >= NEVER_MILLIS) return undefined
  return millis > delayMillis ? millis : refuse("expiresIn", value, "longer than the delay, or the job could never run")
}

/** Checks what a put says about its envelope. A tube that writes none refuses to be told anything. */
export const termsOf = (
  settings: Settings | undefined,
  options: HeadOptions,
  delay: PutOptions["delay"]
): Terms | Errors.InvalidArgument => {
  const isWritten = settings !== undefined && settings.writes !== "bare"
  const useless = isWritten ? undefined : HEAD_OPTIONS.find((name) => options[name] !== undefined)
  if (useless !== undefined) {
    return refuse(useless, options[useless], "left out, since the tube writes no envelope (its option envelope)")
  }
  // The delay itself is checked when the job is put.
  const seconds = isWritten ? Validate.optionalDelay("put", delay) : 0
  const delayMillis = seconds instanceof Errors.InvalidArgument ? 0 : seconds * 1000
  const id = nonEmpty("id", options.id)
  const expiry = expiresInMillis(options.expiresIn, delayMillis)
  const replyTo = options.replyTo === undefined ? undefined : Validate.tube("put", "replyTo", options.replyTo)
  const correlationId = nonEmpty("correlationId", options.correlationId)
  const by = nonEmpty("by", options.by)
  const maxAttempts = options.maxAttempts === undefined
    ? undefined
    : Validate.wholeNumber("put", "maxAttempts", options.maxAttempts, 1)
  if (id instanceof Errors.InvalidArgument) return id
  if (expiry instanceof Errors.InvalidArgument) return expiry
  if (replyTo instanceof Errors.InvalidArgument) return replyTo
  if (correlationId instanceof Errors.InvalidArgument) return correlationId
  if (by instanceof Errors.InvalidArgument) return by
  if (maxAttempts instanceof Errors.InvalidArgument) return maxAttempts
  return { id, expiresInMillis: expiry, delayMillis, replyTo, correlationId, maxAttempts, by }
}

/** A body, or why there is none; an Effect if that takes its time. */
export type Sealed = Body | Errors.InvalidArgument | Effect.Effect<Body, Errors.InvalidArgument>

/** What makes the bodies of a tube. */
export class Sealer<A> {
  readonly #wrapping: Wrapping

  constructor(wrapping: Wrapping) {
    this.#wrapping = wrapping
  }

  /** The body of a job that is put at this moment. */
  seal(
    payload: Body,
    value: A,
    terms: Terms,
    moment: Moment | undefined
  ): Sealed {
    const settings = this.#wrapping.settings
    // What is no body is refused by the client.
    if (!isBody(payload)) return payload
    if (settings === undefined || settings.writes === "bare" || moment === undefined) return this.#bare(payload, value)
    const head = this.#headOf(settings, value, terms, moment)
    if (head instanceof Errors.InvalidArgument) return head
    const { compress: compression } = settings
    if (compression === undefined || payload.length <= compression.over / 3) return this.#enclose(head, payload)
    const bytes = typeof payload === "string" ? Buffer.from(payload) : payload
    return bytes.length <= compression.over
      ? this.#enclose(head, payload)
      : this.#compressed(head, bytes, value, compression.algorithm)
  }

  // No JSON begins like an envelope. Text and bytes can, and whoever reads them would take them for one.
  #bare(payload: Body, value: A): Body | Errors.InvalidArgument {
    return beginsAsEnvelope(payload)
      ? refuse("value", value, "one that does not begin with \"#job/1\", as an envelope does")
      : payload
  }

  #headOf(
    { idOf, trace, version }: Settings,
    value: A,
    { correlationId, delayMillis, expiresInMillis, id, maxAttempts, replyTo, by }: Terms,
    { clock, sender, span }: Moment
  ): Head | Errors.InvalidArgument {
    const now = clock.currentTimeMillisUnsafe()
    const own = id ?? this.#idOf(idOf, value, now)
    if (own instanceof Errors.InvalidArgument) return own
    const { traceparent, tracestate } = toTraceContext(trace === "none" ? undefined : span)
    return {
      id: own,
      at: now,
      due: delayMillis === 0 ? undefined : now + delayMillis,
      exp: expiresInMillis === undefined ? undefined : now + expiresInMillis,
      traceparent,
      tracestate,
      contentType: this.#wrapping.contentType,
      version: version === 1 ? undefined : version,
      maxAttempts,
      replyTo,
      correlationId,
      by: by ?? sender
    }
  }

  #idOf(idOf: Settings["idOf"], value: A, now: number): string | Errors.InvalidArgument {
    if (idOf === undefined) return messageId(now)
    const wrong = (detail: string) =>
      refuse("value", value, `one of which the id of tube ${this.#wrapping.tube} can be told (${detail})`)
    try {
      const id: unknown = idOf(value as never)
      return typeof id === "string" && id !== "" ? id : wrong(`it gave ${describeCause(id)}`)
    } catch (thrown) {
      return wrong(describeCause(thrown))
    }
  }

  #compressed(
    head: Head,
    bytes: Uint8Array,
    value: A,
    algorithm: NonNullable<Head["compression"]>
  ): Sealed {
    if (bytes.length > MAX_EXPANDED) {
      return refuse("value", value, `one of at most ${MAX_EXPANDED} bytes before it is compressed`)
    }
    return compress(algorithm, bytes).pipe(
      Effect.mapError((error) => refuse("value", value, `one that can be compressed (${describeCause(error)})`)),
      Effect.flatMap((small) => {
        const isSmaller = small.length < bytes.length
        const body = isSmaller ? this.#enclose({ ...head, compression: algorithm }, small) : this.#enclose(head, bytes)
        return body instanceof Errors.InvalidArgument ? Effect.fail(body) : Effect.succeed(body)
      })
    )
  }

  #enclose(head: Head, payload: Body): Body | Errors.InvalidArgument {
    if (this.#wrapping.settings?.writes === "cloudevents") return sealEvent(head, payload, this.#wrapping.tube)
    const sealed = sealLine(head, payload)
    return typeof sealed === "string"
      ? refuse("options", { id: head.id, correlationId: head.correlationId }, sealed)
      : sealed.body
  }
}
