/**
 * A fixed number of turns, taken first come, first served. Those who wait can be sent away together, which costs no more
 * than one look at each.
 */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as Scope from "effect/Scope"

/** Somebody who wants a turn. */
class Turn<E> {
  isTaken = false
  /** What was decided, once it is. */
  #answer: Effect.Effect<void, E> | undefined
  #resume: ((answer: Effect.Effect<void, E>) => void) | undefined

  answer(answer: Effect.Effect<void, E>): void {
    this.#answer = answer
    this.#resume?.(answer)
  }

  readonly wait: Effect.Effect<void, E> = Effect.callback((resume) => {
    if (this.#answer !== undefined) return resume(this.#answer)
    this.#resume = resume
  })
}

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

  /**
   * Waits for a turn, which ends with the Scope, or when the function is called that it gives. `patiently` may put an end
   * to the wait. Whatever becomes of the fiber meanwhile, no turn is lost: what counts is what was decided, and not what the
   * fiber has heard of it.
   */
  readonly take = (
    patiently: (wait: Effect.Effect<void, E>) => Effect.Effect<void, E> = identity
  ): Effect.Effect<() => void, E, Scope.Scope> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const turn = new Turn<E>()
        const giveBack = () => this.#end(turn)
        yield* Effect.addFinalizer(() => Effect.sync(giveBack))
        if (this.#free > 0) {
          this.#free--
          turn.isTaken = true
        } else {
          this.#waiting.add(turn)
          yield* Effect.onError(restore(patiently(turn.wait)), () => Effect.sync(giveBack))
        }
        return giveBack
      })
    )

  #end(turn: Turn<E>): void {
    this.#waiting.delete(turn)
    if (!turn.isTaken) return
    turn.isTaken = false
    this.#passOn()
  }

  // To who has waited longest.
  #passOn(): void {
    const [first] = this.#waiting
    if (first === undefined) {
      this.#free++
      return
    }
    this.#waiting.delete(first)
    first.isTaken = true
    first.answer(Effect.void)
  }

  /** Sends away all who wait now. */
  sendAway(error: E): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const turn of waiting) turn.answer(Effect.fail(error))
  }
}
