/**
 * Stamps tell a torn end from damage to what was durable, but only those of the records that follow. If nothing follows for a
 * while, a record is written that vouches for all before it.
 */

/** What it asks, and whom. */
export interface Options {
  readonly after: (millis: number, task: () => void) => void
  /** How many records have been written. */
  readonly written: () => number
  /** Whether all of them are durable. */
  readonly isQuiet: () => boolean
  readonly vouch: () => void
}

// How long nothing is recorded before that.
const QUIET_MILLIS = 1000

/** Waits for a log to be quiet. */
export class Vouching {
  readonly #options: Options
  /** Whether something is durable, and no later record says so. */
  isDue = false
  isOver = false
  #isWaiting = false

  constructor(options: Options) {
    this.#options = options
  }

  /** Vouches when nothing has been recorded for a while. */
  later(): void {
    const { after, isQuiet, vouch, written } = this.#options
    if (this.#isWaiting || !this.isDue || this.isOver) return
    this.#isWaiting = true
    const before = written()
    after(QUIET_MILLIS, () => {
      this.#isWaiting = false
      if (this.isOver) return
      if (written() === before && isQuiet()) vouch()
      else this.later()
    })
  }
}
