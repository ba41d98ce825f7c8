/**
 * Commands that may wait leave with the next ones, while many replies are still to come. A write costs as much as a command
 * or two, and a server answers so fast that each of its replies would lead to a write of its own.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { CommandQueue } from "./pipelineState.ts"

// With so many replies to come, the next piece of bytes is near; if it is not, a command waits no longer than a moment.
const MANY = 8
const A_MOMENT = Duration.millis(1)

/** Holds back what may wait on one connection. */
export class Patience {
  readonly #flush: () => void
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #remind: Effect.Effect<void>
  #isReminded = false

  constructor(flush: () => void, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#flush = flush
    this.#fork = fork
    this.#remind = Effect.andThen(Effect.sleep(A_MOMENT), Effect.sync(this.#onMoment))
  }

  /** Whether what is queued is held back. It is then flushed in a moment, unless that happens before. */
  holds(queued: CommandQueue, sent: CommandQueue): boolean {
    if (queued.size === 0 || !queued.mayWait || sent.size < MANY) return false
    if (!this.#isReminded) {
      this.#isReminded = true
      this.#fork(this.#remind)
    }
    return true
  }

  readonly #onMoment = (): void => {
    this.#isReminded = false
    this.#flush()
  }
}
