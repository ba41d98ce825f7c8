/**
 * The events of a run in order. The hash tells whether two runs were the same, and a failure prints the tail.
 */

// How many lines a failure shows.
const TAIL = 400

// Two multiplications with different constants: 64 bits, without a BigInt for each character.
const mix = (state: number, code: number, factor: number): number => Math.imul(state ^ code, factor) >>> 0

/** The events of a run. */
export class Trace {
  readonly #tail: Array<string> = []
  #high = 0x811c9dc5
  #low = 0x9e3779b9
  events = 0

  add(line: string): void {
    for (let i = 0; i < line.length; i++) {
      const code = line.charCodeAt(i)
      this.#high = mix(this.#high, code, 0x01000193)
      this.#low = mix(this.#low, code, 0x85ebca6b)
    }
    this.#high = mix(this.#high, 10, 0x01000193)
    this.#low = mix(this.#low, 10, 0x85ebca6b)
    this.#tail[this.events++ % TAIL] = line
  }

  get hash(): string {
    return [this.#high, this.#low].map((half) => half.toString(16).padStart(8, "0")).join("")
  }

  /** The last lines, oldest first. */
  get tail(): ReadonlyArray<string> {
    const at = this.events % TAIL
    return this.events <= TAIL ? [...this.#tail] : [...this.#tail.slice(at), ...this.#tail.slice(0, at)]
  }
}
