/**
 * A fixed number of turns, taken first come, first served. Those who wait can be sent away together, which costs no more
 * than one look at each.
 */
import * as Effect from "effect/Effect"

/**
 * Turns, of which so many can be taken at once. `E` is what those who are sent away hear.
 */
export class Turns<E> {
  #free: number
  readonly #waiting = new Set<Turn<E>>()

  constructor(turns: number) {
    this.#free = turns
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** A turn to wait for. Whoever asks for one ends it, however the wait went. */
  ask(): Turn<E> {
    return new Turn(
      (turn) => {
        if (this.#free === 0) return void this.#waiting.add(turn)
        this.#free--
        turn.come()
      },
      (turn, hasCome) => {
        if (hasCome) this.#passOn()
        else this.#waiting.delete(turn)
      }
    )
  }

  // To who has waited longest.
  #passOn(): void {
    const [first] = this.#waiting
    if (first === undefined) return void this.#free++
    this.#waiting.delete(first)
    first.come()
  }

  /** Sends away all who wait now. */
  sendAway(error: E): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const turn of waiting) turn.refuse(error)
  }
}

/**
 * The turn of one who asked for it. It knows by itself whether it has come, so that none is lost when that happens in the
 * moment of an interruption.
 */
export class Turn<E> {
  readonly #onEnd: (turn: Turn<E>, hasCome: boolean) => void
  #resume: ((answer: Effect.Effect<void, E>) => void) | undefined
  #hasCome = false
  #isOver = false

  /** Waits until it comes. */
  readonly wait: Effect.Effect<void, E>

  constructor(onWait: (turn: Turn<E>) => void, onEnd: (turn: Turn<E>, hasCome: boolean) => void) {
    this.#onEnd = onEnd
    this.wait = Effect.callback((resume) => {
      this.#resume = resume
      onWait(this)
    })
  }

  come(): void {
    this.#hasCome = true
    this.#resume?.(Effect.void)
  }

  refuse(error: E): void {
    this.#resume?.(Effect.fail(error))
  }

  /** Passes it on, or if it has not come, waits no longer. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#onEnd(this, this.#hasCome)
  }
}
