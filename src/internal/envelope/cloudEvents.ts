/**
 * An envelope as a CloudEvent: version 1.0 of the specification, in its structured JSON form. Attributes of extensions have
 * names of small letters and digits, and are text or whole numbers.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { isUtf8 } from "node:buffer"
import { type ContentType, type Head, MEMBERS, type Name } from "./head.ts"
import { membersOf, withMembers } from "./jsonMembers.ts"
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

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    // White space around it would not come back.
    return text.trim() === text
  } catch {
    return false
  }
}

// Bytes may be what somebody else has put, which nobody has read: a text that is not one would change, or end the event.
const dataOf = (contentType: ContentType, payload: Uint8Array | string): string => {
  const isBytes = typeof payload !== "string"
  if (contentType !== "bytes" && contentType !== "binary" && (!isBytes || isUtf8(payload))) {
    const text = isBytes ? bufferOf(payload).toString() : payload
    if (contentType === "text") return `"data":${JSON.stringify(text)}`
    if (!isBytes || isJson(text)) return `"data":${text}`
  }
  return `"data_base64":"${(isBytes ? bufferOf(payload) : Buffer.from(payload)).toString("base64")}"`
}

/** Puts a payload into an event. A text is taken for what the codec wrote; bytes can be anything, and come back as they are. */
export const sealEvent = (head: Head, payload: Uint8Array | string, tube: string): string =>
  `${JSON.stringify(attributesOf(head, tube)).slice(0, -1)},${dataOf(head.contentType ?? "json", payload)}}`

/** The event with other attributes. Everything else in it stays as it is written. */
export const changeEvent = (event: Uint8Array, { deadLetter, due }: Pick<Head, "deadLetter" | "due">): string =>
  withMembers(bufferOf(event).toString(), {
    due: due === undefined ? undefined : JSON.stringify(timestamp(due)),
    ...(deadLetter === undefined
      ? {}
      : { expirytime: undefined, deadletter: JSON.stringify(JSON.stringify(deadLetter)) })
  })

const mediaTypeOf = (text: string): string => text.split(";")[0]!.trim().toLowerCase()

const contentTypeOf = (value: unknown): ContentType | undefined => {
  if (typeof value !== "string") return undefined
  const mediaType = mediaTypeOf(value)
  if (mediaType.endsWith("+json")) return "json"
  return (Object.keys(MEDIA_TYPES) as ReadonlyArray<ContentType>).find((name) => MEDIA_TYPES[name] === mediaType)
}

// RFC 3339. Dates are parsed from much else, such as "5".
const TIMESTAMP = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/

const millisOf = (value: unknown): number | undefined => {
  const text = typeof value === "string" ? value.toUpperCase() : ""
  const time = TIMESTAMP.test(text) ? DateTime.make(text) : Option.none()
  return Option.isSome(time) ? time.value.epochMilliseconds : undefined
}

const parsed = (value: unknown): unknown => {
  try {
    return JSON.parse(value as string)
  } catch {
    return undefined
  }
}

const asIs = (value: unknown): unknown => value

/** The attributes that a head has members for, and how their values are read. */
const READERS: ReadonlyArray<readonly [attribute: string, name: Name, read: (value: unknown) => unknown]> = [
  ["time", "at", millisOf],
  ["due", "due", millisOf],
  ["expirytime", "exp", millisOf],
  ["traceparent", "traceparent", asIs],
  ["tracestate", "tracestate", asIs],
  ["datacontenttype", "contentType", contentTypeOf],
  ["schemaversion", "version", asIs],
  ["maxattempts", "maxAttempts", asIs],
  ["replyto", "replyTo", asIs],
  ["correlationid", "correlationId", asIs],
  ["deadletter", "deadLetter", parsed]
]

const ATTRIBUTES = new Map(
  READERS.map(([attribute, name, read]) => {
    const { isValid } = MEMBERS.find((member) => member.name === name)!
    return [attribute, { name, read, isValid }] as const
  })
)

const REQUIRED = ["specversion", "id", "source", "type"] as const

type Event = Readonly<Record<string, unknown>> & { readonly [K in (typeof REQUIRED)[number]]: string }

const OWN: ReadonlySet<string> = new Set(["data", "data_base64", ...REQUIRED])

/**
 * The head of an event. Anybody may give the attributes of extensions another meaning, and another type: what is not what the
 * head needs is one of its other members.
 */
const headOf = (event: Event, tube: string): Head => {
  const head: Record<string, unknown> = { id: event.id }
  let other: Record<string, unknown> | undefined
  if (event.source !== sourceOf(tube)) head["by"] = event.source
  if (event.type !== tube) other = { type: event.type }
  for (const key of Object.keys(event)) {
    const given = event[key]
    // One that is null is one that is not there.
    if (OWN.has(key) || given === null) continue
    const attribute = ATTRIBUTES.get(key)
    const value = attribute?.read(given)
    if (value !== undefined && attribute?.isValid(value) === true) head[attribute.name] = value
    else (other ??= {})[key] = given
  }
  if (other !== undefined) head["other"] = other
  return head as unknown as Head
}

const fromBase64 = (text: unknown): Uint8Array | undefined => {
  if (typeof text !== "string") return undefined
  const bytes = Buffer.from(text, "base64")
  const withoutPadding = (base64: string) => base64.replace(/={1,2}$/, "")
  return withoutPadding(bytes.toString("base64")) === withoutPadding(text) ? bytes : undefined
}

const payloadOf = (
  event: Event,
  text: string,
  contentType: ContentType,
  expected: ContentType
): Uint8Array | string => {
  const { data, data_base64: base64 } = event
  if (base64 !== undefined && base64 !== null) {
    return data === undefined || data === null
      ? fromBase64(base64) ?? "its attribute \"data_base64\" must be base64"
      : "it has both \"data\" and \"data_base64\""
  }
  if (data === undefined) return Buffer.from(expected === "json" ? "null" : "")
  if (contentType !== "json" && typeof data === "string") return Buffer.from(data)
  return Buffer.from(membersOf(text).findLast(({ name }) => name === "data")!.value)
}

const isEvent = (value: unknown): value is Event =>
  Predicate.isObject(value) && REQUIRED.every((name) => typeof (value as Record<string, unknown>)[name] === "string")

const WHITE_SPACE = new Set([0x20, 0x09, 0x0a, 0x0d])

const MARK = Buffer.from("\"specversion\"")

// Most bodies are none, and are not parsed to find that out.
const canBeEvent = (body: Uint8Array): boolean => {
  let at = 0
  while (WHITE_SPACE.has(body[at]!)) at++
  return body[at] === 0x7b && bufferOf(body).includes(MARK, at)
}

const wrongIn = (event: Event, body: Uint8Array): string | undefined => {
  if (event.specversion !== SPEC_VERSION) {
    return `it is a CloudEvent of version ${event.specversion}, and this reads version ${SPEC_VERSION}`
  }
  const empty = REQUIRED.find((name) => event[name] === "")
  if (empty !== undefined) {
    return `it is a CloudEvent that cannot be read: its attribute "${empty}" must be text, not empty`
  }
  return isUtf8(body) ? undefined : "it is a CloudEvent that cannot be read: it is not UTF-8"
}

/**
 * Opens a body for a tube whose payloads are of this type. What is no event is a payload as it stands; an event that cannot be
 * read is refused by a sentence. An event without data has an empty payload, or `null` where JSON is expected.
 */
export const openEvent = (body: Uint8Array, tube: string, expected: ContentType): Opened | string => {
  const bare = { head: undefined, payload: body }
  if (!canBeEvent(body)) return bare
  const text = bufferOf(body).toString()
  const event = parsed(text)
  if (!isEvent(event)) return bare
  const wrong = wrongIn(event, body)
  if (wrong !== undefined) return wrong
  const head = headOf(event, tube)
  const payload = payloadOf(event, text, head.contentType ?? expected, expected)
  return typeof payload === "string" ? `it is a CloudEvent that cannot be read: ${payload}` : { head, payload }
}
