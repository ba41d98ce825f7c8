/**
 * An envelope as a CloudEvent: version 1.0 of the specification, in its structured JSON form. Attributes of extensions have
 * names of small letters and digits, and are text or whole numbers.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { type ContentType, type DeadLetter, type Head, refuse } from "./head.ts"
import type { Opened } from "./line.ts"

const SPEC_VERSION = "1.0"

const MEDIA_TYPES: Readonly<Record<ContentType, string>> = {
  json: "application/json",
  text: "text/plain",
  bytes: "application/octet-stream",
  binary: "application/vnd.effect.schema-binary"
}

const timestamp = (millis: number | undefined): string | undefined =>
  millis === undefined ? undefined : DateTime.formatIso(DateTime.makeUnsafe(millis))

// What is no time stays what it is, and is refused with the whole head.
const millisOf = (text: unknown): unknown => {
  if (typeof text !== "string") return text
  const time = DateTime.make(text)
  return Option.isSome(time) ? time.value.epochMilliseconds : text
}

/** Where an event comes from, if its writer has no name. */
const sourceOf = (tube: string) => `/tubes/${tube}`

const attributesOf = (head: Head, tube: string): Record<string, unknown> => ({
  ...head.other,
  specversion: SPEC_VERSION,
  id: head.id,
  source: head.by ?? sourceOf(tube),
  type: head.other?.["type"] ?? tube,
  time: timestamp(head.at),
  datacontenttype: MEDIA_TYPES[head.contentType ?? "json"],
  due: timestamp(head.due),
  expirytime: timestamp(head.exp),
  traceparent: head.traceparent,
  tracestate: head.tracestate,
  schemaversion: head.version,
  maxattempts: head.maxAttempts,
  replyto: head.replyTo,
  correlationid: head.correlationId,
  deadletter: head.deadLetter === undefined ? undefined : JSON.stringify(head.deadLetter)
})

const isText = ({ contentType = "json" }: Head): boolean => contentType === "json" || contentType === "text"

/** Puts a payload into an event. */
export const sealEvent = (head: Head, payload: Uint8Array | string, tube: string): string => {
  const attributes = JSON.stringify(attributesOf(head, tube)).slice(0, -1)
  if (!isText(head)) return `${attributes},"data_base64":"${Buffer.from(payload as Uint8Array).toString("base64")}"}`
  const text = typeof payload === "string" ? payload : Buffer.from(payload).toString()
  return `${attributes},"data":${head.contentType === "text" ? JSON.stringify(text) : text}}`
}

const KNOWN: ReadonlySet<string> = new Set([
  ...Object.keys(attributesOf({ id: "" }, "")),
  "data",
  "data_base64"
])

const contentTypeOf = (mediaType: unknown): ContentType | undefined =>
  (Object.keys(MEDIA_TYPES) as ReadonlyArray<ContentType>).find((name) => MEDIA_TYPES[name] === mediaType)

const deadLetterOf = (text: unknown): DeadLetter | undefined => {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text as string) as DeadLetter
  } catch {
    return { error: text } as never
  }
}

const headOf = (event: Readonly<Record<string, unknown>>, tube: string): Record<string, unknown> => {
  const other = Object.fromEntries(
    Object.entries(event).filter(([key, value]) => key === "type" ? value !== tube : !KNOWN.has(key))
  )
  const head: Record<string, unknown> = {
    id: event["id"],
    at: millisOf(event["time"]),
    due: millisOf(event["due"]),
    exp: millisOf(event["expirytime"]),
    traceparent: event["traceparent"],
    tracestate: event["tracestate"],
    contentType: contentTypeOf(event["datacontenttype"]),
    version: event["schemaversion"],
    maxAttempts: event["maxattempts"],
    replyTo: event["replyto"],
    correlationId: event["correlationid"],
    by: event["source"] === sourceOf(tube) ? undefined : event["source"],
    deadLetter: deadLetterOf(event["deadletter"]),
    other: Object.keys(other).length === 0 ? undefined : other
  }
  for (const key of Object.keys(head)) if (head[key] === undefined || head[key] === null) delete head[key]
  return head
}

const payloadOf = (event: Readonly<Record<string, unknown>>, contentType: unknown): Uint8Array | undefined => {
  const { data, data_base64: base64 } = event
  if (typeof base64 === "string") return Buffer.from(base64, "base64")
  if (data === undefined) return undefined
  return Buffer.from(contentType !== "json" && typeof data === "string" ? data : JSON.stringify(data))
}

const isEvent = (parsed: unknown): parsed is Readonly<Record<string, unknown>> =>
  Predicate.isObject(parsed) && typeof (parsed as Record<string, unknown>)["specversion"] === "string" &&
  ["id", "source", "type"].every((name) => typeof (parsed as Record<string, unknown>)[name] === "string")

/**
 * Opens a body for a tube whose payloads are of this type. What is no event is a payload as it stands; an event that cannot be
 * read is refused by a sentence.
 */
export const openEvent = (body: Uint8Array, tube: string, expected: ContentType): Opened | string => {
  const bare = { head: undefined, payload: body }
  // An object, after white space perhaps.
  if (body[0] !== 0x7b && ![0x20, 0x09, 0x0a, 0x0d].includes(body[0]!)) return bare
  let event: unknown
  try {
    event = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString())
  } catch {
    return bare
  }
  if (!isEvent(event)) return bare
  if (event["specversion"] !== SPEC_VERSION) {
    return `it is a CloudEvent of version ${String(event["specversion"])}, and this reads version ${SPEC_VERSION}`
  }
  const head = headOf(event, tube)
  const refused = refuse(head)
  if (refused !== undefined) return `it is a CloudEvent that cannot be read: ${refused}`
  const payload = payloadOf(event, head["contentType"] ?? expected)
  return payload === undefined ? "it is a CloudEvent without data" : { head: head as unknown as Head, payload }
}
