/**
 * The bytes that one client sends, cut into what the server asks for: lines, bodies, bytes to be thrown away. Pieces may
 * be broken anywhere. What is kept is copied, and bounded by what was announced.
 */

/**
 * A body: text of one byte a character, which is what costs least for many small ones, or bytes if it is long. Either way
 * its length is the number of bytes.
 */
export type Body = string | Buffer

/** Stands for a line that was too long, and has been thrown away. */
export const TOO_LONG = Symbol("TOO_LONG")

/** The longest line that the server takes, without its end. */
const MAX_LINE = 222

const LONG_BODY = 64 * 1024
const FIRST_ROOM = 4096

const CR = 13
const LF = 10

const NOTHING: Buffer = Buffer.alloc(0)

/** Bytes between the socket and the commands. */
export class RequestParser {
  #bytes: Buffer = NOTHING
  #at = 0
  /** The bytes are nobody else's. */
  #isOwn = true
  /** The line that is being read is too long already. */
  #isOverlong = false
  /** A body that has come in part, or room for it. */
  #partial: Buffer | undefined
  #filled = 0

  /** How many bytes have come and not been asked for. */
  get size(): number {
    return this.#bytes.length - this.#at
  }

  /** Takes a piece, which stays the caller's. */
  push(piece: Uint8Array): void {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    this.#isOwn = this.size > 0
    this.#bytes = this.#isOwn ? Buffer.concat([this.#bytes.subarray(this.#at), bytes]) : bytes
    this.#at = 0
  }

  /** Makes what is left its own: the piece that it was part of may change, or be large. */
  keep(): void {
    if (this.#isOwn && 2 * this.size > this.#bytes.length) return
    this.#bytes = this.size === 0 ? NOTHING : Buffer.from(this.#bytes.subarray(this.#at))
    this.#at = 0
    this.#isOwn = true
  }

  /** The next line without its end, or undefined while it has not come. */
  line(): string | typeof TOO_LONG | undefined {
    const end = this.#bytes.indexOf("\r\n", this.#at, "latin1")
    const start = this.#at
    if (end === -1) {
      if (this.size >= MAX_LINE + 2) this.#isOverlong = true
      // What may be half of a line's end stays.
      if (this.#isOverlong) this.#at = this.#bytes.length - (this.#bytes.at(-1) === CR ? 1 : 0)
      return undefined
    }
    this.#at = end + 2
    if (this.#isOverlong || end - start > MAX_LINE) {
      this.#isOverlong = false
      return TOO_LONG
    }
    return this.#bytes.toString("latin1", start, end)
  }

  /** A body of that size and the two bytes behind it, or undefined while they have not come. */
  body(size: number): { readonly body: Body; readonly isEnded: boolean } | undefined {
    const whole = size + 2
    if (this.#partial === undefined && this.size >= whole) {
      const start = this.#at
      this.#at += whole
      return cut(this.#bytes, start, size, true)
    }
    const partial = this.#roomFor(whole)
    const taken = this.#bytes.copy(partial, this.#filled, this.#at, this.#at + whole - this.#filled)
    this.#at += taken
    this.#filled += taken
    if (this.#filled < whole) return undefined
    this.#partial = undefined
    this.#filled = 0
    return cut(partial, 0, size, false)
  }

  // It grows as the bytes come: what was announced may never come.
  #roomFor(whole: number): Buffer {
    const wanted = Math.min(whole, this.#filled + this.size)
    if (this.#partial === undefined) {
      this.#partial = Buffer.allocUnsafe(Math.max(wanted, Math.min(whole, FIRST_ROOM)))
    } else if (this.#partial.length < wanted) {
      const grown = Buffer.allocUnsafe(Math.min(whole, Math.max(wanted, 2 * this.#partial.length)))
      this.#partial.copy(grown, 0, 0, this.#filled)
      this.#partial = grown
    }
    return this.#partial
  }

  /** Throws away up to so many bytes, and gives the number of those that have yet to come. */
  skip(size: number): number {
    const skipped = Math.min(size, this.size)
    this.#at += skipped
    return size - skipped
  }
}

const cut = (bytes: Buffer, start: number, size: number, isShared: boolean) => {
  const end = start + size
  const isEnded = bytes[end] === CR && bytes[end + 1] === LF
  if (size < LONG_BODY) return { body: bytes.toString("latin1", start, end), isEnded }
  const body = bytes.subarray(start, end)
  return { body: isShared ? Buffer.from(body) : body, isEnded }
}
