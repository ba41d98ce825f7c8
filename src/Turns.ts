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
  readonly #waiting = new Set<(answer: Effect.Effect<void, E>) => void>()

  constructor(turns: number) {
    this.#free = turns
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Waits for a turn. Whoever has got one gives it back with `giveBack`. */
  readonly take: Effect.Effect<void, E> = Effect.callback((resume) => {
    if (this.#free > 0) {
      this.#free--
      return resume(Effect.void)
    }
    let isOver = false
    let hasTurn = false
    const waiter = (answer: Effect.Effect<void, E>) => {
      isOver = true
      hasTurn = answer === Effect.void
      resume(answer)
    }
    this.#waiting.add(waiter)
    return Effect.sync(() => {
      if (!isOver) this.#waiting.delete(waiter)
      // It came in the moment of the interruption.
      else if (hasTurn) this.giveBack()
    })
  })

  /** Passes the turn on to who has waited longest. */
  giveBack(): void {
    const [first] = this.#waiting
    if (first === undefined) {
      this.#free++
      return
    }
    this.#waiting.delete(first)
    first(Effect.void)
  }

  /** Sends away all who wait now. */
  sendAway(error: E): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const waiter of waiting) waiter(Effect.fail(error))
  }
}
