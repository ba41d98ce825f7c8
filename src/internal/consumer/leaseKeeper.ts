/**
 * Keeps leases from running out while somebody has the jobs in hand: it touches each job, on its own connection, when half
 * of its ttr is over, and no later than after the touch interval, so that no load balancer takes the connection for dead.
 * Jobs that are settled within a moment cost nothing, since only those that are older are asked for their ttr.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Failure } from "../../Protocol.ts"
import type { JobCounters } from "../job/lease.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import { type ScopedFork, scopedFork } from "./scopedFork.ts"

/** The longest time between two touches, unless it is told otherwise: load balancers cut what is silent for 50 seconds. */
export const DEFAULT_TOUCH_INTERVAL_MILLIS = 20_000

// Well before half of the shortest ttr, a second, is over.
const YOUNG_MILLIS = 250

// A timer that is late by this much has been kept waiting by what runs in this process.
const BLOCKED_MILLIS = 500

// How long a block of the event loop explains that a lease is lost.
const EXPLAINS_MILLIS = 5000

// A server that does not tell the ttr: it is not shorter than this.
const SHORTEST_TTR_SECONDS = 1

/** What keeps one lease, and when the next touch is due. */
interface Keeping {
  due: number
  fiber: Fiber.Fiber<void> | undefined
}

/** The leases of one consumer. */
export class LeaseKeeper {
  readonly #touchIntervalMillis: number
  readonly #clock: Clock.Clock
  readonly #fork: ScopedFork
  /** Those that have just been reserved, and when; oldest first. */
  readonly #young = new Map<ReservedJob, number>()
  readonly #kept = new Map<ReservedJob, Keeping>()
  #timer: Fiber.Fiber<void> | undefined
  /** The last time that the event loop was blocked: when it went on, and for how long a touch was late. */
  #block = { endedAt: -Infinity, millis: 0 }

  constructor(touchIntervalMillis: number, clock: Clock.Clock, fork: ScopedFork) {
    this.#touchIntervalMillis = touchIntervalMillis
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
    return this.#young.has(job) || this.#kept.has(job)
  }

  /** Whether it keeps a newer lease of this job. */
  hasSame(job: ReservedJob): boolean {
    for (const other of this.jobs()) if (other.id === job.id && other.server === job.server) return true
    return false
  }

  /** The jobs whose leases it keeps. */
  *jobs(): IterableIterator<ReservedJob> {
    yield* this.#young.keys()
    yield* this.#kept.keys()
  }

  /** Keeps the lease of this job no longer. */
  remove(job: ReservedJob): void {
    const since = this.#young.get(job)
    if (since !== undefined) {
      this.#young.delete(job)
      return this.#noticeBlock(since + YOUNG_MILLIS)
    }
    const keeping = this.#kept.get(job)
    if (keeping === undefined) return
    this.#kept.delete(job)
    this.#noticeBlock(keeping.due)
    keeping.fiber?.interruptUnsafe()
  }

  /** For how many milliseconds the event loop was blocked a moment ago, so that no lease could be kept; 0 if it was not. */
  get recentBlockMillis(): number {
    const { endedAt, millis } = this.#block
    return millis > 0 && this.#now() - endedAt < EXPLAINS_MILLIS ? millis : 0
  }

  #noticeBlock(due: number): void {
    const now = this.#now()
    if (now - due >= BLOCKED_MILLIS) this.#block = { endedAt: now, millis: Math.round(now - due) }
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
      this.#noticeBlock(since + YOUNG_MILLIS)
      if (!job.isOver) this.#keep(job, since)
    }
  }

  #keep(job: ReservedJob, since: number): void {
    const keeping: Keeping = { due: Infinity, fiber: undefined }
    this.#kept.set(job, keeping)
    const touching = this.#touchInTime(job, since, keeping).pipe(
      Effect.ignore,
      Effect.andThen(Effect.sync(() => this.#kept.delete(job)))
    )
    keeping.fiber = this.#fork(touching)
  }

  #touchInTime(job: ReservedJob, since: number, keeping: Keeping): Effect.Effect<void, Failure<"touch">> {
    return Effect.gen({ self: this }, function*() {
      const { ttr } = yield* countersOf(job).pipe(
        Effect.tapErrorTag("NotFound", () => Effect.sync(() => job.lose("expired"))),
        // It refuses: a fork that lacks the command, for instance. The lease has to be kept all the same.
        Effect.catchTag("BeanstalkdError", () => Effect.succeed({ ttr: SHORTEST_TTR_SECONDS }))
      )
      // Counters that lack the ttr read as 0, and the job would be touched without a pause. A server has none below 1.
      const millis = Math.min(Math.max(SHORTEST_TTR_SECONDS, ttr) * 500, this.#touchIntervalMillis)
      keeping.due = since + millis
      while (!job.isOver) {
        yield* Effect.sleep(Math.max(0, keeping.due - this.#now()))
        this.#noticeBlock(keeping.due)
        // A touch that is refused is due again. If the connection is gone, so is the lease.
        yield* Effect.catchTag(job.touch, "BeanstalkdError", () => Effect.void)
        keeping.due = this.#now() + millis
      }
    })
  }
}

const countersOf = (job: ReservedJob): Effect.Effect<Pick<JobCounters, "ttr">, Failure<"statsJob">> =>
  Effect.suspend(() =>
    job.known === undefined
      ? Effect.callback<JobCounters, Failure<"statsJob">>((resume) => job.inspect(resume))
      : Effect.succeed(job.known)
  )

/** A keeper whose fibers end with the Scope. */
export const make = Effect.fnUntraced(function*(
  touchIntervalMillis = DEFAULT_TOUCH_INTERVAL_MILLIS
): Effect.fn.Return<LeaseKeeper, never, Scope.Scope> {
  return new LeaseKeeper(touchIntervalMillis, yield* Clock.Clock, yield* scopedFork)
})
