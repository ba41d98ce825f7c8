/**
 * Keeps `minConnections` open. Effect's Pool dials for its minimum when it is made and when a connection is invalidated,
 * but not again if such a dial fails. So whenever connections may be missing, as many as there should be are borrowed and
 * given back, and dials that failed are repeated until the Schedule ends.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type { DialBackoff } from "./dialBackoff.ts"
import type { ExclusivePool } from "./exclusivePool.ts"

/** Refills a pool to its minimum. */
export class MinimumKeeper {
  readonly #minimum: number
  readonly #pool: ExclusivePool
  readonly #backoff: DialBackoff
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  #refilling: Fiber.Fiber<void> | undefined
  /** A borrower needs one of the connections that the refill holds. */
  readonly #needed = Latch.makeUnsafe()
  /** Connections may be missing all the same when the refill has ended. */
  #isUnfinished = false

  private constructor(
    minimum: number,
    pool: ExclusivePool,
    backoff: DialBackoff,
    fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  ) {
    this.#minimum = minimum
    this.#pool = pool
    this.#backoff = backoff
    this.#fork = fork
  }

  /** Keeps a minimum until the Scope is closed. */
  static readonly make = Effect.fnUntraced(function*(
    minimum: number,
    pool: ExclusivePool,
    backoff: DialBackoff
  ): Effect.fn.Return<MinimumKeeper, never, Scope.Scope> {
    const scope = yield* Effect.scope
    const fork = Effect.runForkWith(yield* Effect.context())
    return new MinimumKeeper(minimum, pool, backoff, (effect) => Fiber.runIn(fork(effect), scope))
  })

  /** Refills the pool, unless that is being done. */
  refill(): void {
    if (this.#minimum === 0 || this.#pool.isClosed) return
    this.#isUnfinished = this.#isRefilling
    if (this.#isRefilling) return
    this.#needed.closeUnsafe()
    this.#refilling = this.#fork(this.#fill)
  }

  /** A connection came back, so a refill that ended too early may go on. */
  onReturn(): void {
    if (this.#isUnfinished && !this.#isRefilling) this.refill()
  }

  /** Lets a borrower have what a refill holds: it must not wait for the dials that would complete the minimum. */
  readonly giveWay: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.#isRefilling) return Effect.void
    return Effect.flatMap(this.#pool.stats, ({ idle }) => {
      if (idle > 0) return Effect.void
      this.#isUnfinished = true
      return this.#needed.open
    })
  })

  get #isRefilling(): boolean {
    return this.#refilling !== undefined && this.#refilling.pollUnsafe() === undefined
  }

  // All are held until the last one is there: one that is given back too early would be lent again instead of a new one.
  readonly #fill: Effect.Effect<void> = Effect.flatMap(Effect.suspend(() => this.#pool.stats), ({ idle, used }) => {
    if (idle + used >= this.#minimum) return Effect.void
    const missing = Array.from({ length: this.#minimum - used })
    const all = Effect.scoped(Effect.forEach(missing, () => this.#pool.acquire, { discard: true }))
    return Effect.raceFirst(all, this.#needed.await)
  }).pipe(
    Effect.retry({ while: (error) => !this.#backoff.isFinal(error) }),
    Effect.catch(() =>
      Effect.sync(() => {
        this.#isUnfinished = true
      })
    )
  )
}
