/**
 * The time of day, which a log has, by the clock of a store, which only ever goes forward.
 */

// The time of day is in whole milliseconds, and nobody sets a clock by less than this.
const JUMP_MILLIS = 1000

/** Converts moments. */
export class WallClock {
  readonly #now: () => number
  readonly #wall: () => number
  readonly #atStart: number
  #offset: number

  /** Both in milliseconds: the clock of the store, and the time since 1970. */
  constructor(now: () => number, wall: () => number) {
    this.#now = now
    this.#wall = wall
    this.#atStart = this.#offset = wall() - now()
  }

  /** When something was, in microseconds since 1970: always the same for the same moment. */
  past(moment: number): number {
    return Math.round((moment + this.#atStart) * 1000)
  }

  /** When something will be, in microseconds since 1970, also if the clock of the machine has been set meanwhile. */
  future(moment: number): number {
    const offset = this.#wall() - this.#now()
    if (Math.abs(offset - this.#offset) > JUMP_MILLIS) this.#offset = offset
    return Math.round((moment + this.#offset) * 1000)
  }

  /** The moment of a time in microseconds since 1970. */
  moment(micros: number): number {
    return micros / 1000 - this.#atStart
  }
}
