/**
 * Lets so many events of a kind pass in a while, and counts the rest. Kinds are few: they are names of commands and errors.
 */

interface Kind {
  /** When the last ones passed, oldest first. */
  readonly passed: Array<number>
  held: number
}

/** A bound on how often something is told. */
export class Throttle {
  readonly #most: number
  readonly #millis: number
  readonly #kinds = new Map<string, Kind>()

  /** Lets `most` events of a kind pass in this many milliseconds. */
  constructor(most: number, millis: number) {
    this.#most = most
    this.#millis = millis
  }

  /**
   * An event of this kind happens now. 0 if it must be held back; else how many it stands for: itself, and those that were
   * held back since the last one.
   */
  admit(now: number, name: string): number {
    const kind = this.#kinds.get(name) ?? { passed: [], held: 0 }
    this.#kinds.set(name, kind)
    while (kind.passed.length > 0 && now - kind.passed[0]! >= this.#millis) kind.passed.shift()
    if (kind.passed.length >= this.#most) {
      kind.held++
      return 0
    }
    kind.passed.push(now)
    const count = kind.held + 1
    kind.held = 0
    return count
  }
}
