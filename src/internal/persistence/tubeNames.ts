/**
 * The tubes of queues. A queue may have any name, a tube may not: what a tube's name cannot have is escaped.
 */
import { createHash } from "node:crypto"

const FAILED = ".failed"

// What the server allows.
const LONGEST = 200

const encoder = new TextEncoder()

const hex = (number: number, digits: number): string => number.toString(16).padStart(digits, "0")

// `$` and two hex digits for each byte of UTF-8, which half a surrogate pair does not have.
const escapeChar = (char: string): string => {
  const code = char.codePointAt(0)!
  if (code >= 0xd800 && code <= 0xdfff) return `$u${hex(code, 4)}`
  return Array.from(encoder.encode(char), (byte) => `$${hex(byte, 2)}`).join("")
}

// No queue may have the tube in which another one keeps its failed elements.
const notFailed = (name: string): string =>
  name.endsWith(FAILED) ? `${name.slice(0, -1)}${escapeChar(name.slice(-1))}` : name

/** The tubes of the queues of one store, all of which begin with its prefix. Two names never have the same tube. */
export class TubeNames {
  readonly #prefix: string
  readonly #known = new Map<string, string>()

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** The tube of a queue's elements. */
  of(queue: string): string {
    const known = this.#known.get(queue)
    if (known !== undefined) return known
    const tube = this.#make(queue)
    // Names that a program makes up as it goes must not fill the memory.
    if (this.#known.size >= 1000) this.#known.clear()
    this.#known.set(queue, tube)
    return tube
  }

  /** The tube of a queue's failed elements. */
  failedOf(queue: string): string {
    return this.of(queue) + FAILED
  }

  /** Whether a tube may have failed elements of a queue of this store. */
  isFailed(tube: string): boolean {
    return tube.startsWith(this.#prefix) && tube.endsWith(FAILED)
  }

  #make(queue: string): string {
    const escaped = notFailed(queue.replace(/[^A-Za-z0-9+/;._()-]/gu, escapeChar))
    const tube = this.#prefix + escaped
    if (tube.length + FAILED.length <= LONGEST) return tube
    // "$s" is not how a byte is escaped, so that no other name has this tube.
    return `${this.#prefix}$sha256$${createHash("sha256").update(JSON.stringify(queue)).digest("hex")}`
  }
}
