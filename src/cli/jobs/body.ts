/**
 * The body of a job as it is shown: as text if it is UTF-8, otherwise as base64, and the head of its envelope apart from its
 * payload.
 */
import { isUtf8 } from "node:buffer"
import { expandNow } from "../../internal/envelope/compression.ts"
import { fromWire } from "../../internal/envelope/head.ts"
import { MAX_HEAD, type Split, split } from "../../internal/envelope/line.ts"

/** A body in JSON. With an envelope it is in two parts, the head as it travels and the payload. */
export type BodyFields =
  & { readonly encoding?: "base64" }
  & ({ readonly body: string } | { readonly envelope: object; readonly payload: string })

const textOf = (bytes: Uint8Array, base64: boolean): { readonly text: string; readonly encoding?: "base64" } => {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return !base64 && isUtf8(buffer)
    ? { text: buffer.toString() }
    : { text: buffer.toString("base64"), encoding: "base64" }
}

const enclosed = (envelope: object, payload: Uint8Array, base64: boolean): BodyFields => {
  const { text, ...encoding } = textOf(payload, base64)
  return { envelope, payload: text, ...encoding }
}

const bare = (body: Uint8Array, base64: boolean): BodyFields => {
  const { text, ...encoding } = textOf(body, base64)
  return { body: text, ...encoding }
}

/** A body to be looked at: a compressed payload is expanded if it can be. */
export const shown = ({ body }: { readonly body: Uint8Array }, base64 = false): BodyFields => {
  const parts = split(body)
  if (parts === undefined) return bare(body, base64)
  const { ce: compression } = parts.head
  const payload = compression === "gzip" || compression === "zstd"
    ? expandNow(compression, parts.payload) ?? parts.payload
    : parts.payload
  return enclosed(parts.head, payload, base64)
}

type Wire = Readonly<Record<string, unknown>>

/** What keeps this from being the head of an envelope: a sentence. */
export const wrongIn = (envelope: Wire): string | undefined => {
  const head = fromWire(envelope)
  if (typeof head === "string") return head
  const size = Buffer.byteLength(JSON.stringify(envelope))
  return size <= MAX_HEAD ? undefined : `it must have at most ${MAX_HEAD} bytes (it has ${size})`
}

// What JSON makes of the head must be the head again, to the byte, and one that can be read back.
const isExact = ({ head, json }: Split): boolean => JSON.stringify(head) === json && wrongIn(head) === undefined

/** A body to be read back with {@link joined}, every byte as it was. */
export const exported = ({ body }: { readonly body: Uint8Array }): BodyFields => {
  const parts = split(body)
  return parts !== undefined && isExact(parts) ? enclosed(parts.head, parts.payload, false) : bare(body, false)
}

/** A body of a head and a payload. */
export const joined = (envelope: object, payload: string | Uint8Array): string | Uint8Array => {
  const line = `#job/1 ${JSON.stringify(envelope)}\n`
  return typeof payload === "string" ? line + payload : Buffer.concat([Buffer.from(line), payload])
}

/** A body on a line: the payload alone. */
export const payloadOf = (fields: BodyFields): string => "body" in fields ? fields.body : fields.payload
