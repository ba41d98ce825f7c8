/**
 * An envelope as a line of text before the payload:
 *
 *     #job/1 {"id":"…","at":1732…}\n<the payload, any bytes>
 *
 * No JSON begins with `#`, so that no JSON body is taken for an envelope.
 */
import * as Predicate from "effect/Predicate"
import { isUtf8 } from "node:buffer"
import { fromWire, type Head, toWire } from "./head.ts"

/** How many bytes a head may take. */
export const MAX_HEAD = 4096

const MAGIC = "#job/1 "
const NEWLINE = 0x0a

/** A body, and what it is made of. Without a head the payload is the body. */
export interface Opened {
  readonly head: Head | undefined
  readonly payload: Uint8Array
}

// `#job/`
const BEGINNING = [0x23, 0x6a, 0x6f, 0x62, 0x2f]

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39

/** Whether this can travel at all: programs without types pass anything. */
export const isBody = (body: unknown): body is Uint8Array | string =>
  typeof body === "string" || Predicate.isUint8Array(body)

/** Whether a body begins as an envelope of this version, or of another, does. */
export const beginsAsEnvelope = (body: Uint8Array | string): boolean =>
  typeof body === "string"
    ? /^#job\/[0-9]/.test(body)
    : BEGINNING.every((byte, i) => body[i] === byte) && isDigit(body[BEGINNING.length])

// The version that follows the beginning, if a space ends it.
const versionOf = (body: Uint8Array): number | undefined => {
  let at = BEGINNING.length
  let version = 0
  while (isDigit(body[at]) && version < 1e9) version = version * 10 + body[at++]! - 0x30
  return body[at] === 0x20 ? version : undefined
}

/** A body in two parts, the head as it travels. */
export interface Split {
  readonly json: string
  readonly head: Readonly<Record<string, unknown>>
  readonly payload: Uint8Array
}

/** Takes an envelope of this version apart, whatever its head says. What has none is undefined. */
export const split = (body: Uint8Array): Split | undefined => {
  if (body[0] !== BEGINNING[0] || !beginsAsEnvelope(body) || versionOf(body) !== 1) return undefined
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const end = bytes.indexOf(NEWLINE, MAGIC.length)
  if (end === -1 || end > MAGIC.length + MAX_HEAD) return undefined
  const json = textOf(bytes.subarray(MAGIC.length, end))
  const head = json === undefined ? undefined : parse(json)
  return json !== undefined && Predicate.isObject(head)
    ? { json, head, payload: bytes.subarray(end + 1) }
    : undefined
}

/**
 * Opens a body. What has no envelope is a payload as it stands; what has one that this version cannot read is refused by a
 * sentence.
 */
export const openLine = (body: Uint8Array): Opened | string => {
  if (body[0] !== BEGINNING[0] || !beginsAsEnvelope(body)) return { head: undefined, payload: body }
  const version = versionOf(body) ?? 0
  if (version > 1) return `its envelope is of version ${version}, and this reads version 1`
  const parts = split(body)
  if (parts === undefined) return { head: undefined, payload: body }
  const head = fromWire(parts.head)
  return typeof head === "string" ? `its envelope cannot be read: ${head}` : { head, payload: parts.payload }
}

// Two ids must not become one by replacement characters: such a head is none.
const textOf = (bytes: Buffer): string | undefined => isUtf8(bytes) ? bytes.toString() : undefined

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const stringify = (head: Readonly<Record<string, unknown>>): string | undefined => {
  try {
    return JSON.stringify(head)
  } catch {
    return undefined
  }
}

/** Puts a payload into an envelope, or says what its head must be. */
export const sealLine = (head: Head, payload: Uint8Array | string): { readonly body: Uint8Array | string } | string => {
  const json = stringify(toWire(head))
  if (json === undefined) return "one that JSON can carry"
  if (json.length * 3 > MAX_HEAD && Buffer.byteLength(json) > MAX_HEAD) {
    return `so short that the head of the envelope has at most ${MAX_HEAD} bytes (it has ${Buffer.byteLength(json)})`
  }
  const line = `${MAGIC}${json}\n`
  return { body: typeof payload === "string" ? line + payload : Buffer.concat([Buffer.from(line), payload]) }
}
