/**
 * Lays requests out as the bytes that a server reads: the line of each, ended by CRLF, and behind it the body, if it has
 * one, ended by CRLF too. The counterpart of `ReplyParser`.
 */
import { Buffer } from "node:buffer"
import type { Request } from "./Protocol.ts"

const CRLF = "\r\n"

/**
 * The bytes of these requests, one behind the other. The length that a line announces is taken from the body in the
 * same step in which the body is copied, so that the two cannot disagree.
 */
export const layOut = (requests: ReadonlyArray<Request>): Uint8Array => {
  const lines: Array<string> = []
  let size = 0
  for (const { body, head } of requests) {
    const line = body === undefined ? head + CRLF : `${head} ${body.length}${CRLF}`
    lines.push(line)
    size += line.length + (body === undefined ? 0 : body.length + CRLF.length)
  }
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  for (let i = 0; i < requests.length; i++) {
    at += bytes.write(lines[i]!, at, "latin1")
    const body = requests[i]!.body
    if (body !== undefined) {
      bytes.set(body, at)
      at += body.length
      at += bytes.write(CRLF, at, "latin1")
    }
  }
  return bytes
}
