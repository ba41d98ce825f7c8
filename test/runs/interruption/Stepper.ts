/**
 * A scheduler that counts operations and interrupts a fiber after so many of them: run after run, at every step.
 */
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/**
 * How a fiber is interrupted.
 *
 * - `between`: before one of its own operations, while it has yielded to others
 * - `during`: at any operation of any fiber, of the client or of the server, in the very turn in which that runs; the
 *   fiber itself may wait then, or be the one that runs
 */
export type Mode = "between" | "during"

/** A scheduler that interrupts. */
export class Stepper extends Scheduler.MixedScheduler {
  /** How many operations there have been so far. */
  operations = 0
  /** All fibers that have run. */
  readonly fibers = new Set<AnyFiber>()
  /** The fiber that watches does not count. */
  readonly #watcher: AnyFiber
  #left = Infinity
  #mode: Mode = "during"
  #victim: AnyFiber | undefined

  constructor(watcher: AnyFiber) {
    super()
    this.#watcher = watcher
  }

  /** Interrupts this fiber at the operation with that number, counted from now on, from 1. */
  arm(victim: AnyFiber, mode: Mode, at: number): void {
    this.#victim = victim
    this.#mode = mode
    this.#left = at
  }

  /** Whether it has interrupted the fiber. */
  get hasInterrupted(): boolean {
    return this.#left === 0
  }

  override shouldYield(fiber: AnyFiber): boolean {
    if (fiber === this.#watcher) return super.shouldYield(fiber)
    this.operations++
    this.fibers.add(fiber)
    const victim = this.#victim
    if (victim === undefined || this.#left === 0 || victim.pollUnsafe() !== undefined) return super.shouldYield(fiber)
    if (this.#mode === "during") {
      if (--this.#left === 0) victim.interruptUnsafe()
      return super.shouldYield(fiber)
    }
    if (fiber !== victim || --this.#left > 0) return super.shouldYield(fiber)
    // It has yielded by then, and goes on only after that.
    queueMicrotask(() => victim.interruptUnsafe())
    return true
  }
}
