/**
 * Keeps leases from running out while somebody has the jobs in hand: it touches each job, on its own connection, when half
 * of its ttr is over. Jobs that are settled within a moment cost nothing, since only those that are older are asked for
 * their ttr.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as Errors from "../../Errors.ts"
import type { Failure } from "../../Protocol.ts"
import type { JobStats } from "../../Stats.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import { type ScopedFork, scopedFork } from "./scopedFork.ts"

// Well before half of the shortest ttr, a second, is over.
const YOUNG_MILLIS = 250

/** The leases of one consumer. */
export class LeaseKeeper {
  readonly #clock: Clock.Clock
  readonly #fork: ScopedFork
  /** Those that have just been reserved, and when; oldest first. */
  readonly #young = new Map<ReservedJob, number>()
  readonly #keepers = new Map<ReservedJob, Fiber.Fiber<void>>()
  #timer: Fiber.Fiber<void> | undefined

  constructor(clock: Clock.Clock, fork: ScopedFork) {
    this.#clock = clock
    this.#fork = fork
  }

  /** Keeps the lease of a job that has just been reserved. */
  add(job: ReservedJob): void {
    this.#young.set(job, this.#now())
    if (this.#timer === undefined) this.#setTimer(YOUNG_MILLIS)
  }

  /** Whether it keeps the lease of this job. */
  has(job: ReservedJob): boolean {
    return this.#young.has(job) || this.#keepers.has(job)
  }

  /** Keeps the lease of this job no longer. */
  remove(job: ReservedJob): void {
    if (this.#young.delete(job)) return
    const keeper = this.#keepers.get(job)
    if (keeper === undefined) return
    this.#keepers.delete(job)
    keeper.interruptUnsafe()
  }

  #now(): number {
    return Number(this.#clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  #setTimer(millis: number): void {
    this.#timer = this.#fork(Effect.andThen(Effect.sleep(millis), Effect.sync(this.#onTimer)))
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined
    const now = this.#now()
    for (const [job, since] of this.#young) {
      if (since + YOUNG_MILLIS > now) {
        if (this.#timer === undefined) this.#setTimer(Math.ceil(since + YOUNG_MILLIS - now))
        return
      }
      this.#young.delete(job)
      if (!job.isOver) this.#keep(job, since)
    }
  }

  #keep(job: ReservedJob, since: number): void {
    const keeping = touchInTime(job, since, () => this.#now()).pipe(
      Effect.ignore,
      Effect.andThen(Effect.sync(() => this.#keepers.delete(job)))
    )
    const keeper = this.#fork(keeping)
    if (keeper.pollUnsafe() === undefined) this.#keepers.set(job, keeper)
  }
}

/** A keeper whose fibers end with the Scope. */
export const make: Effect.Effect<LeaseKeeper, never, Scope.Scope> = Effect.gen(function*() {
  return new LeaseKeeper(yield* Clock.Clock, yield* scopedFork)
})

const statsOf = (job: ReservedJob): Effect.Effect<JobStats, Failure<"statsJob">> =>
  Effect.suspend(() =>
    job.known === undefined
      ? Effect.callback<JobStats, Failure<"statsJob">>((resume) => job.inspect(resume))
      : Effect.succeed(job.known)
  )

const touchInTime = Effect.fnUntraced(function*(
  job: ReservedJob,
  since: number,
  now: () => number
): Effect.fn.Return<void, Errors.NotFound | Errors.InvalidArgument | Errors.BeanstalkdError> {
  const { ttr } = yield* Effect.tapErrorTag(statsOf(job), "NotFound", () => Effect.sync(() => job.lose()))
  // Statistics that lack the ttr read as 0, and the job would be touched without a pause. A server has none below 1.
  const halfMillis = Math.max(1, ttr) * 500
  let due = since + halfMillis
  while (!job.isOver) {
    yield* Effect.sleep(Math.max(0, due - now()))
    yield* job.touch
    due = now() + halfMillis
  }
})
