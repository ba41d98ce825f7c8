/**
 * Reads what clients send: the parser cuts bytes into lines, bodies, and bytes to throw away, and the reader takes the
 * arguments of a line one by one.
 */
import { MAX_UINT32, TUBE_NAME_PATTERN } from "../protocol/scalars.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Bytes to lines and bodies
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A body: text of one byte per character, which takes the least memory for small ones, or bytes if it is long. Either way
 * its length is the number of bytes.
 */
export type Body = string | Buffer

/** In place of a line that was too long. */
export const TOO_LONG = Symbol("TOO_LONG")

/** The longest line that beanstalkd accepts, without its end. */
const MAX_LINE = 222

const LONG_BODY = 64 * 1024
const FIRST_ROOM = 4096

const CR = 13
const LF = 10

const NOTHING: Buffer = Buffer.alloc(0)

/**
 * Takes pieces, which end anywhere, and gives the parts that the server asks for. It copies the bytes that it keeps, and never
 * keeps more than were announced.
 */
export class RequestParser {
  #bytes: Buffer = NOTHING
  #at = 0
  /** Whether `#bytes` is a copy. Else its owner may change it after `push` and its reads. */
  #isOwn = true
  /** Whether the line that is being read is already too long. */
  #isOverlong = false
  /** Room for a body that has come in part, which `#filled` bytes fill. */
  #partial: Buffer | undefined
  #filled = 0

  /** How many bytes have come that no read has taken. */
  get size(): number {
    return this.#bytes.length - this.#at
  }

  /** Takes a piece, which remains the caller's. */
  push(piece: Uint8Array): void {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    this.#isOwn = this.size > 0
    this.#bytes = this.#isOwn ? Buffer.concat([this.#bytes.subarray(this.#at), bytes]) : bytes
    this.#at = 0
  }

  /** Copies the bytes that are left: the piece that they are part of may change, or be much larger. */
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
      // A CR stays: it may be half of the line's end.
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

  // It grows as the bytes come, since a client can announce a large body and never send it.
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

  /** Throws away up to `size` bytes, and gives the number of those that have yet to come. */
  skip(size: number): number {
    const skipped = Math.min(size, this.size)
    this.#at += skipped
    return size - skipped
  }
}

/** A body out of bytes, which is a copy if these are shared. */
export const bodyOf = (bytes: Buffer, start: number, size: number, isShared: boolean): Body => {
  const end = start + size
  if (size < LONG_BODY) return bytes.toString("latin1", start, end)
  const body = bytes.subarray(start, end)
  return isShared ? Buffer.from(body) : body
}

const cut = (bytes: Buffer, start: number, size: number, isShared: boolean) => {
  const end = start + size
  const isEnded = bytes[end] === CR && bytes[end + 1] === LF
  return { body: bodyOf(bytes, start, size, isShared), isEnded }
}

// ---------------------------------------------------------------------------------------------------------------------
// Lines to arguments
// ---------------------------------------------------------------------------------------------------------------------

const MAX_UINT64 = 2n ** 64n - 1n
const MAX_INT64 = 2n ** 63n - 1n

const SPACE = 32
const ZERO = 48
const NINE = 57

// A number of so many digits is exact; a longer one needs a BigInt.
const SAFE_DIGITS = 15

const isDigit = (code: number): boolean => code >= ZERO && code <= NINE

/**
 * Reads a line from a position on, as beanstalkd does: each of its readers is more lenient than the protocol, and each in
 * another way. Each gives undefined for an argument that it does not accept.
 */
export class ArgumentReader {
  readonly #line: string
  #at: number

  constructor(line: string, at: number) {
    this.#line = line
    this.#at = at
  }

  /** Whether nothing of the line is left. */
  get isAtEnd(): boolean {
    return this.#at === this.#line.length
  }

  /** Spaces, then digits: at most 2^64 - 1. A number above 2^53, which is the id of no job of ours, is Infinity. */
  uint64(): number | undefined {
    const line = this.#line
    let at = this.#at
    while (line.charCodeAt(at) === SPACE) at++
    const start = at
    let value = 0
    while (isDigit(line.charCodeAt(at))) {
      value = value * 10 + (line.charCodeAt(at) - ZERO)
      at++
    }
    if (at === start) return undefined
    if (value > Number.MAX_SAFE_INTEGER && at - start > SAFE_DIGITS) {
      if (BigInt(line.slice(start, at)) > MAX_UINT64) return undefined
      value = Infinity
    }
    this.#at = at
    return value
  }

  /** Spaces, then digits: at most 2^32 - 1. */
  uint32(): number | undefined {
    const value = this.uint64()
    return value !== undefined && value <= MAX_UINT32 ? value : undefined
  }

  /** `uint64`, and nothing behind it. */
  lastUint64(): number | undefined {
    const value = this.uint64()
    return this.isAtEnd ? value : undefined
  }

  /** `uint32`, and nothing behind it. */
  lastUint32(): number | undefined {
    const value = this.uint32()
    return this.isAtEnd ? value : undefined
  }

  /** The rest of the line, if it is the name of a tube. */
  tubeName(): string | undefined {
    const name = this.#line.slice(this.#at)
    return TUBE_NAME_PATTERN.test(name) ? name : undefined
  }

  /** Spaces, then all characters that a tube's name may have; together they need not be a name. */
  tubeCharacters(): string | undefined {
    const found = matchAt(/ *([A-Za-z0-9\-+/;.$_()]+)/y, this.#line, this.#at)
    if (found === null) return undefined
    this.#at += found[0].length
    return found[1]
  }

  /** The bound of a kick, which beanstalkd reads with `strtoul`: white space, a sign, digits; the low 32 bits count. */
  bound(): number | undefined {
    const signed = this.#signed()
    if (signed === undefined || signed.magnitude > MAX_UINT64) return undefined
    return Number(BigInt.asUintN(32, signed.value))
  }

  /** The seconds of a reserve, which beanstalkd reads with `strtol`: no digits are 0, the low 32 bits have a sign. */
  timeout(): number | undefined {
    const signed = this.#signed()
    if (signed === undefined) return 0
    const { value } = signed
    return value > MAX_INT64 || value < -MAX_INT64 - 1n ? undefined : Number(BigInt.asIntN(32, value))
  }

  #signed(): { readonly magnitude: bigint; readonly value: bigint } | undefined {
    const found = matchAt(/[ \t\n\v\f\r]*([+-]?)([0-9]+)/y, this.#line, this.#at)
    if (found === null) return undefined
    const magnitude = BigInt(found[2]!)
    return { magnitude, value: found[1] === "-" ? -magnitude : magnitude }
  }
}

const matchAt = (pattern: RegExp, text: string, at: number): RegExpExecArray | null => {
  pattern.lastIndex = at
  return pattern.exec(text)
}
