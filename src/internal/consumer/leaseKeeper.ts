/**
 * Keeps jobs from running out of time while somebody has them in hand: each is touched, on its own connection, when half of
 * its time to run is over. Jobs that are settled within a moment cost nothing: only who is older than that is asked how
 * long its time to run is.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Errors from "../../Errors.ts"
import type { ReservedJob } from "../../Job.ts"
import type { Failure } from "../../Protocol.ts"
import type { JobStats } from "../../Stats.ts"

// Well before the shortest time to run, a second, is over.
const YOUNG_MILLIS = 250

/** The leases of one consumer. */
export class Leases {
  readonly #clock: Clock.Clock
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  /** Those that have just been reserved, and when; oldest first. */
  readonly #young = new Map<ReservedJob, number>()
  readonly #keepers = new Map<ReservedJob, Fiber.Fiber<void>>()
  #timer: Fiber.Fiber<void> | undefined

  constructor(clock: Clock.Clock, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#clock = clock
    this.#fork = fork
  }

  /** Keeps a job that has just been reserved. */
  add(job: ReservedJob): void {
    this.#young.set(job, this.#now())
    if (this.#timer === undefined) this.#ringIn(YOUNG_MILLIS)
  }

  /** Whether it keeps this job. */
  has(job: ReservedJob): boolean {
    return this.#young.has(job) || this.#keepers.has(job)
  }

  /** Keeps it no longer. */
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

  #ringIn(millis: number): void {
    this.#timer = this.#fork(Effect.andThen(Effect.sleep(millis), Effect.sync(this.#ring)))
  }

  readonly #ring = (): void => {
    this.#timer = undefined
    const now = this.#now()
    for (const [job, since] of this.#young) {
      if (since + YOUNG_MILLIS > now) {
        if (this.#timer === undefined) this.#ringIn(Math.ceil(since + YOUNG_MILLIS - now))
        return
      }
      this.#young.delete(job)
      if (!job.isOver) this.#keep(job, since)
    }
  }

  #keep(job: ReservedJob, since: number): void {
    const keeping = keepAlive(job, since, () => this.#now()).pipe(
      Effect.ignore,
      Effect.andThen(Effect.sync(() => this.#keepers.delete(job)))
    )
    const keeper = this.#fork(keeping)
    if (keeper.pollUnsafe() === undefined) this.#keepers.set(job, keeper)
  }
}

const inspect = (job: ReservedJob): Effect.Effect<JobStats, Failure<"statsJob">> =>
  Effect.suspend(() =>
    job.known === undefined
      ? Effect.callback<JobStats, Failure<"statsJob">>((resume) => job.inspect(resume))
      : Effect.succeed(job.known)
  )

const keepAlive = Effect.fnUntraced(function*(
  job: ReservedJob,
  since: number,
  now: () => number
): Effect.fn.Return<void, Errors.NotFound | Errors.InvalidArgument | Errors.BeanstalkdError> {
  const { ttr } = yield* Effect.tapErrorTag(inspect(job), "NotFound", () => Effect.sync(() => job.lose()))
  const half = ttr * 500
  let due = since + half
  while (!job.isOver) {
    yield* Effect.sleep(Math.max(0, due - now()))
    yield* job.touch
    due = now() + half
  }
})
