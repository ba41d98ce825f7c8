/**
 * A semaphore that serves those who wait in the order in which they came. Effect's own cannot fail all who wait, which
 * the pool does when a server is gone: one look at each is cheaper than to let each find out for itself.
 */
import * as Effect from "effect/Effect"

/**
 * Permits, of which so many can be held at once. `E` is what {@link FairSemaphore.failAllWaiting} fails with.
 */
export class FairSemaphore<E> {
  #free: number
  readonly #waiting = new Set<Permit<E>>()

  constructor(permits: number) {
    this.#free = permits
  }

  /** How many wait for a permit. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** A permit, to be acquired. It must be released in any case, also if `acquire` failed or was interrupted. */
  permit(): Permit<E> {
    return new Permit(
      (permit) => {
        if (this.#free === 0) return void this.#waiting.add(permit)
        this.#free--
        permit.grant()
      },
      (permit, isHeld) => {
        if (isHeld) this.#passOn()
        else this.#waiting.delete(permit)
      }
    )
  }

  // Hands the permit to the longest waiter.
  #passOn(): void {
    const [first] = this.#waiting
    if (first === undefined) return void this.#free++
    this.#waiting.delete(first)
    first.grant()
  }

  /** Fails all who wait now. */
  failAllWaiting(error: E): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const permit of waiting) permit.fail(error)
  }
}

/**
 * The permit of one who asked for it. It knows by itself whether it is held, so that none is lost if it is granted in the
 * moment of an interruption.
 */
export class Permit<E> {
  readonly #onRelease: (permit: Permit<E>, isHeld: boolean) => void
  #resume: ((answer: Effect.Effect<void, E>) => void) | undefined
  #state: "waiting" | "held" | "released" = "waiting"

  /** Waits until the permit is granted. */
  readonly acquire: Effect.Effect<void, E>

  constructor(onAcquire: (permit: Permit<E>) => void, onRelease: (permit: Permit<E>, isHeld: boolean) => void) {
    this.#onRelease = onRelease
    this.acquire = Effect.callback((resume) => {
      this.#resume = resume
      onAcquire(this)
    })
  }

  grant(): void {
    this.#state = "held"
    this.#resume?.(Effect.void)
  }

  fail(error: E): void {
    this.#resume?.(Effect.fail(error))
  }

  /** Passes the permit on; if it has not been granted, waits no longer for it. */
  release(): void {
    if (this.#state === "released") return
    const isHeld = this.#state === "held"
    this.#state = "released"
    this.#onRelease(this, isHeld)
  }
}
