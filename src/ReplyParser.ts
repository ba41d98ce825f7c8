/**
 * Cuts the bytes that a server sends into replies, however they arrive. It knows how replies are framed and nothing of
 * what they mean: a line of words ended by CRLF, which for `RESERVED <id> <bytes>`, `FOUND <id> <bytes>` and
 * `OK <bytes>` is followed by that many bytes and another CRLF.
 */
import { Buffer } from "node:buffer"

/**
 * A reply as it stands on the wire: its first word, the words after it, and last the body if it has one (the number
 * that gave its length is left out).
 */
export interface RawReply {
  readonly word: string
  readonly fields: ReadonlyArray<string | Uint8Array>
}

/**
 * Why the bytes cannot be cut into replies. `reply` is the beginning of what came.
 */
export interface Nonsense {
  readonly reply: string
  readonly detail: string
}

/**
 * Takes the replies one by one; answers `false` to stop the parser for good.
 */
export type OnReply = (reply: RawReply) => boolean

/** The longest line of the protocol is `USING` with a tube of 200 characters; nothing needs as much as this. */
const MAX_LINE = 1024
const CR = 13
const LF = 10

/** How many words a line has whose last word is the length of a body. */
const WORDS_BEFORE_BODY: ReadonlyMap<string, number> = new Map([["RESERVED", 3], ["FOUND", 3], ["OK", 2]])

const EMPTY: ReadonlyArray<string> = []

/**
 * An incremental parser. `push` may be called with any piece of the stream; bodies are copied out of the piece, so a
 * body that is kept holds no more memory than its own length.
 */
export class ReplyParser {
  readonly #maxReplySize: number
  readonly #onReply: OnReply
  #line: Buffer = Buffer.alloc(0)
  #words: Array<string> | undefined
  #body: Uint8Array = new Uint8Array(0)
  #filled = 0
  #stopped = false

  constructor(maxReplySize: number, onReply: OnReply) {
    this.#maxReplySize = maxReplySize
    this.#onReply = onReply
  }

  /**
   * Reads a piece of the stream. Answers what is wrong with it, if anything; after that, and after `onReply` has
   * answered `false`, further pieces are ignored.
   */
  push(piece: Uint8Array): Nonsense | undefined {
    let bytes = Buffer.isBuffer(piece) ? piece : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    if (this.#line.length > 0) {
      bytes = Buffer.concat([this.#line, bytes])
      this.#line = Buffer.alloc(0)
    }
    let at = 0
    while (at < bytes.length && !this.#stopped) {
      if (this.#words !== undefined) {
        at = this.#readBody(bytes, at)
        if (at < 0) return this.#stop(this.#words.join(" "), "the body is not followed by CRLF")
        continue
      }
      const end = endOfLine(bytes, at)
      if (end < 0) {
        if (bytes.length - at > MAX_LINE) return this.#stop(text(bytes, at), `no end of line in ${MAX_LINE} bytes`)
        // A copy: the piece may be large, and what is left of it small.
        this.#line = Buffer.from(bytes.subarray(at))
        return undefined
      }
      if (end - at > MAX_LINE) return this.#stop(text(bytes, at), `a line of more than ${MAX_LINE} bytes`)
      const nonsense = this.#readLine(bytes.toString("latin1", at, end))
      if (nonsense !== undefined) return nonsense
      at = end + 2
    }
    return undefined
  }

  #readLine(line: string): Nonsense | undefined {
    const space = line.indexOf(" ")
    if (space < 0) {
      this.#stopped = !this.#onReply({ word: line, fields: EMPTY })
      return undefined
    }
    const words = line.split(" ")
    const word = words[0]!
    if (WORDS_BEFORE_BODY.get(word) !== words.length) {
      words.shift()
      this.#stopped = !this.#onReply({ word, fields: words })
      return undefined
    }
    const length = words.pop()!
    if (!/^[0-9]{1,15}$/.test(length)) return this.#stop(line, "the length of the body is not a number")
    if (Number(length) > this.#maxReplySize) {
      return this.#stop(line, `a body of more than ${this.#maxReplySize} bytes (maxReplySize)`)
    }
    this.#words = words
    this.#body = new Uint8Array(Number(length))
    this.#filled = 0
    return undefined
  }

  // The position after what it has read, or -1 if the body is not followed by CRLF.
  #readBody(bytes: Buffer, from: number): number {
    const body = this.#body
    let at = from
    if (this.#filled < body.length) {
      const end = Math.min(bytes.length, at + body.length - this.#filled)
      body.set(bytes.subarray(at, end), this.#filled)
      this.#filled += end - at
      at = end
    }
    while (at < bytes.length && this.#filled < body.length + 2) {
      if (bytes[at] !== (this.#filled === body.length ? CR : LF)) return -1
      this.#filled++
      at++
    }
    if (this.#filled === body.length + 2) {
      const [word, ...fields] = this.#words!
      this.#words = undefined
      this.#body = new Uint8Array(0)
      this.#stopped = !this.#onReply({ word: word!, fields: [...fields, body] })
    }
    return at
  }

  #stop(reply: string, detail: string): Nonsense {
    this.#stopped = true
    this.#line = Buffer.alloc(0)
    this.#body = new Uint8Array(0)
    return { reply: reply.slice(0, 200), detail }
  }
}

const text = (bytes: Buffer, from: number): string => bytes.toString("latin1", from, Math.min(bytes.length, from + 200))

// A loop, since replies are short: it finds the end of `INSERTED 1234` before a native search has begun.
const endOfLine = (bytes: Buffer, from: number): number => {
  for (let at = from + 1; at < bytes.length; at++) {
    if (bytes[at] === LF && bytes[at - 1] === CR) return at - 1
  }
  return -1
}
