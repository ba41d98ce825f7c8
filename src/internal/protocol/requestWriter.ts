/**
 * Lays requests out as the bytes that a server reads: the line of each, ended by CRLF, and behind it the body, if it has
 * one, ended by CRLF too. The counterpart of `ReplyParser`.
 */
import { Buffer } from "node:buffer"
import { sizeOf } from "./validate.ts"
import type { Request } from "../../Protocol.ts"

const CRLF = "\r\n"

/**
 * The bytes of these requests, one behind the other. A body must still have the size that it had when it was passed.
 *
 * Whatever is text, lines and bodies alike, is gathered and encoded in one go.
 */
export const layOut = (requests: ReadonlyArray<Request>): Uint8Array => {
  const parts: Array<string | Uint8Array> = []
  let text = ""
  let size = 0
  for (const { body, head, size: bodySize } of requests) {
    if (body === undefined) {
      text += head + CRLF
      size += head.length + 2
      continue
    }
    const length = bodySize ?? sizeOf(body)
    const line = `${head} ${length}${CRLF}`
    size += line.length + length + 2
    if (typeof body === "string") {
      text += line + body + CRLF
    } else {
      parts.push(text + line, body)
      text = CRLF
    }
  }
  parts.push(text)
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  for (const part of parts) {
    if (typeof part === "string") {
      at += writeText(bytes, part, at)
    } else {
      const length = sizeOf(part)
      // Of memory that was given away not even nothing can be read.
      if (length > 0) bytes.set(part, at)
      at += length
    }
  }
  return bytes
}

// Below this, a loop is done before the native function has been entered.
const SHORT = 64

const writeText = (bytes: Buffer, text: string, at: number): number => {
  if (text.length > SHORT) return bytes.write(text, at)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return bytes.write(text, at)
    bytes[at + i] = code
  }
  return text.length
}
