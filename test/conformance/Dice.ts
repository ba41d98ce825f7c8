/**
 * Reproducible randomness: the same seed, the same throws.
 */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** In [0, 1), by mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  /** From `from` to `to`, both included. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  one<A>(from: ReadonlyArray<A>): A {
    return from[this.int(0, from.length - 1)]!
  }

  /** One of the keys, in proportion to its weight. */
  weighted<K extends string>(weights: Record<K, number>): K {
    const keys = Object.keys(weights) as Array<K>
    let left = this.next() * keys.reduce((sum, key) => sum + weights[key], 0)
    for (const key of keys) if ((left -= weights[key]) < 0) return key
    return keys.at(-1)!
  }
}

/** A seed of its own for each of many things that come from one seed. */
export const seedOf = (seed: number, index: number): number =>
  (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0
