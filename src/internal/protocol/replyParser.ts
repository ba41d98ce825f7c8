/**
 * Cuts the bytes that a server sends into replies, wherever the pieces were broken. The parser knows how replies are
 * framed, and nothing about their meaning: a line of words ended by CRLF, which for `RESERVED <id> <bytes>`,
 * `FOUND <id> <bytes>` and `OK <bytes>` is followed by that many bytes and another CRLF.
 */
import { Buffer } from "node:buffer"
import { MAX_UINT32 } from "./scalars.ts"

/**
 * A reply as it stands on the wire: its first word, the words after it, and last the body if it has one, in place of
 * the number that gave its length.
 */
export interface RawReply {
  readonly word: string
  readonly fields: ReadonlyArray<string | Uint8Array>
  /** The body was larger than allowed: it was read and dropped, and is not among the fields. */
  readonly skipped?: SkippedBody
}

/** A body that was dropped, and the most that would have been kept. Both are in bytes. */
export interface SkippedBody {
  readonly size: number
  readonly limit: number
}

/**
 * A reply that breaks the protocol, in its framing or in its meaning. `reply` is the beginning of it. `tornJob` is the
 * id in a reply whose body and the CRLF after it are zeros.
 */
export interface ProtocolViolation {
  readonly reply: string
  readonly detail: string
  readonly tornJob?: string
}

/**
 * Takes the replies one by one. Returns `false` to stop the parser for good.
 */
export type OnReply = (reply: RawReply) => boolean

/** More than any line needs: the longest of the protocol is `USING` with a tube of 200 characters. */
const MAX_LINE = 1024
/** `put` tells the length of a body in 32 bits: a longer one is that of no job. */
const LARGEST_JOB = MAX_UINT32
const CR = 13
const LF = 10

/** The lines that a body follows, with their number of fields. The last field is the length of the body. */
const FIELDS_OF_BODIES: ReadonlyMap<string, number> = new Map([["RESERVED", 2], ["FOUND", 2], ["OK", 1]])

const EMPTY: ReadonlyArray<string> = []
const NOTHING = new Uint8Array(0)
const NO_LINE = Buffer.alloc(0)

/**
 * An incremental parser. `push` may be called with any piece of the stream; bodies are copied out of the piece, so a
 * body that is kept holds no more memory than its own length. The body of a job that is larger than `maxReplySize` takes
 * none: it is skipped as it comes. Documents have no such grace, since nobody could do anything about them.
 */
export class ReplyParser {
  readonly #maxReplySize: number
  readonly #onReply: OnReply
  #line: Buffer = NO_LINE
  /** The line of the reply whose body is being read. */
  #awaited: RawReply | undefined
  /** Where that body goes, or undefined if it is skipped. */
  #body: Uint8Array | undefined = NOTHING
  #length = 0
  #filled = 0
  #stopped = false

  constructor(maxReplySize: number, onReply: OnReply) {
    this.#maxReplySize = maxReplySize
    this.#onReply = onReply
  }

  /**
   * Reads a piece of the stream. Returns the violation in it, if there is one; after that, and after `onReply` has
   * returned `false`, further pieces are ignored.
   */
  push(piece: Uint8Array): ProtocolViolation | undefined {
    let bytes = Buffer.isBuffer(piece) ? piece : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    if (this.#line.length > 0) {
      bytes = Buffer.concat([this.#line, bytes])
      this.#line = NO_LINE
    }
    let at = 0
    while (at < bytes.length && !this.#stopped) {
      if (this.#awaited !== undefined) {
        const end = this.#readBody(this.#awaited, bytes, at)
        if (typeof end !== "number") return end
        at = end
        continue
      }
      const end = endOfLine(bytes, at)
      if (end < 0) {
        // The last byte may be the CR that ends the line.
        if (bytes.length - at > MAX_LINE + 1) return this.#stop(text(bytes, at), `no end of line in ${MAX_LINE} bytes`)
        // A copy, since a few bytes must not keep a large piece in memory.
        this.#line = Buffer.from(bytes.subarray(at))
        return undefined
      }
      if (end - at > MAX_LINE) return this.#stop(text(bytes, at), `a line of more than ${MAX_LINE} bytes`)
      const violation = this.#readLine(bytes.toString("latin1", at, end))
      if (violation !== undefined) return violation
      at = end + 2
    }
    return undefined
  }

  #readLine(line: string): ProtocolViolation | undefined {
    const space = line.indexOf(" ")
    if (space < 0) {
      this.#stopped = !this.#onReply({ word: line, fields: EMPTY })
      return undefined
    }
    const word = line.slice(0, space)
    const rest = line.slice(space + 1)
    const fields = rest.includes(" ") ? rest.split(" ") : [rest]
    if (FIELDS_OF_BODIES.get(word) !== fields.length) {
      this.#stopped = !this.#onReply({ word, fields })
      return undefined
    }
    const length = fields.pop()!
    if (!/^[0-9]+$/.test(length)) return this.#stop(line, "the length of the body is not a number")
    const size = Number(length)
    if (size <= this.#maxReplySize) {
      try {
        this.#body = new Uint8Array(size)
      } catch {
        return this.#stop(line, "there is no memory for the body")
      }
      this.#awaited = { word, fields }
    } else if (word !== "OK" && size <= LARGEST_JOB) {
      this.#body = undefined
      this.#awaited = { word, fields, skipped: { size, limit: this.#maxReplySize } }
    } else {
      return this.#stop(line, `a body of more than ${this.#maxReplySize} bytes (maxReplySize)`)
    }
    this.#length = size
    this.#filled = 0
    return undefined
  }

  // Returns the position after the bytes that belonged to the body.
  #readBody(awaited: RawReply, bytes: Buffer, from: number): number | ProtocolViolation {
    const { fields, word } = awaited
    const body = this.#body
    const length = this.#length
    let at = from
    if (this.#filled < length) {
      const end = Math.min(bytes.length, at + length - this.#filled)
      body?.set(bytes.subarray(at, end), this.#filled)
      this.#filled += end - at
      at = end
    }
    while (at < bytes.length && this.#filled < length + 2) {
      if (bytes[at] !== (this.#filled === length ? CR : LF)) {
        const isTorn = bytes[at] === 0 && body?.every((byte) => byte === 0) === true
        return this.#stop(
          [word, ...fields].join(" "),
          "the body is not followed by CRLF",
          isTorn ? fields[0] : undefined
        )
      }
      this.#filled++
      at++
    }
    if (this.#filled === length + 2) {
      this.#awaited = undefined
      this.#body = NOTHING
      this.#stopped = !this.#onReply(body === undefined ? awaited : { word, fields: [...fields, body] })
    }
    return at
  }

  #stop(reply: string, detail: string, tornJob?: RawReply["fields"][number]): ProtocolViolation {
    this.#stopped = true
    this.#line = NO_LINE
    this.#body = NOTHING
    return { reply: reply.slice(0, 200), detail, ...(typeof tornJob === "string" ? { tornJob } : {}) }
  }
}

const text = (bytes: Buffer, from: number): string => bytes.toString("latin1", from, Math.min(bytes.length, from + 200))

// Replies are short: a loop finds the end of `INSERTED 1234` before a call of the native search has begun.
const endOfLine = (bytes: Buffer, from: number): number => {
  for (let at = from + 1; at < bytes.length; at++) {
    if (bytes[at] === LF && bytes[at - 1] === CR) return at - 1
  }
  return -1
}
