/**
 * The arguments of a command line, as beanstalkd reads them. Each of its readers is more lenient than the protocol, and
 * each in another way.
 */
import { MAX_UINT32, TUBE_NAME_PATTERN } from "../protocol/scalars.ts"

const MAX_UINT64 = 2n ** 64n - 1n
const MAX_INT64 = 2n ** 63n - 1n

const SPACE = 32
const ZERO = 48
const NINE = 57

// A number of so many digits is exact; a longer one needs a BigInt.
const SAFE_DIGITS = 15

const isDigit = (code: number): boolean => code >= ZERO && code <= NINE

/** Reads a line from a position on. Each reader gives undefined for an argument that it does not accept. */
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
