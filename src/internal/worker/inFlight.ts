/**
 * The handlers of a worker that run, and the jobs that it is not done with.
 *
 * A handler may outlive its job, if it settles the job itself or its lease is lost: it is orphaned then. It keeps its place
 * until it ends, so that never more handlers run than the `concurrency` says. A job may outlive its handler, until it is
 * settled and its hooks have ended: it is unfinished, and holds the shutdown up.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { ReservedJob } from "../job/reservedJob.ts"

/** A handler that runs. */
interface Running {
  readonly startedAt: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  isOrphaned: boolean
  wasStopped: boolean
}

/** How a handler ran that has ended. */
export interface Ran {
  /** When it began, and for how long it ran, in milliseconds. */
  readonly startedAt: number
  readonly millis: number
  /** Whether the worker has interrupted it. */
  readonly wasStopped: boolean
}

/** Counts the handlers that run and the jobs that are unfinished, and tells how many more may start. */
export class InFlight {
  readonly #concurrency: number
  readonly #clock: Clock.Clock
  readonly #running = new Map<ReservedJob, Running>()
  /** Handlers that run although their jobs are settled or lost. */
  #orphaned = 0
  /** Jobs that the worker is not done with, and lost ones whose hooks run. */
  #unfinished = 0
  #onQuiescent = () => {}

  constructor(concurrency: number, clock: Clock.Clock) {
    this.#concurrency = concurrency
    this.#clock = clock
  }

  /** How many more jobs may be asked for, when so many are taken or asked for already. */
  free(taken: number): number {
    return this.#concurrency - taken - this.#orphaned
  }

  /** Whether the handler of this job runs. */
  has(job: ReservedJob): boolean {
    return this.#running.has(job)
  }

  /** How many handlers run. */
  get size(): number {
    return this.#running.size
  }

  /** The jobs whose handlers run. */
  get jobs(): ReadonlyArray<ReservedJob> {
    return [...this.#running.keys()]
  }

  /** The shutdown has one more thing to wait for: a job that was reserved, or the hook of a lost one. */
  hold(): void {
    this.#unfinished++
  }

  /** One of these things is done. */
  release(): void {
    this.#unfinished--
    if (this.#unfinished === 0) this.#onQuiescent()
  }

  /** Starts a handler, and tells how it ended and how it ran. `fork` may run it to its end at once. */
  begin<A, E>(
    job: ReservedJob,
    fork: (job: ReservedJob) => Fiber.Fiber<A, E>,
    onExit: (job: ReservedJob, exit: Exit.Exit<A, E>, ran: Ran) => void
  ): void {
    const running: Running = { startedAt: this.now(), fiber: undefined, isOrphaned: false, wasStopped: false }
    this.#running.set(job, running)
    const fiber = fork(job)
    running.fiber = fiber
    // The job was lost by what the handler did before it first waited, when `orphan` found no fiber to interrupt.
    if (job.isLost) fiber.interruptUnsafe()
    fiber.addObserver((exit) => onExit(job, exit, this.#finish(job, running)))
  }

  /** The job is settled or lost. Its handler, if it still runs, keeps its place, and is interrupted if the job is lost. */
  orphan(job: ReservedJob): void {
    const running = this.#running.get(job)
    if (running === undefined) return
    running.isOrphaned = true
    this.#orphaned++
    if (job.isLost) running.fiber?.interruptUnsafe()
  }

  /** Interrupts all handlers that run. */
  interruptAll(): void {
    for (const running of this.#running.values()) {
      running.wasStopped = true
      running.fiber?.interruptUnsafe()
    }
  }

  /** Waits until the worker is done with all jobs. */
  get quiescence(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (this.#unfinished === 0) return resume(Effect.void)
      this.#onQuiescent = () => resume(Effect.void)
    })
  }

  #finish(job: ReservedJob, { isOrphaned, startedAt, wasStopped }: Running): Ran {
    this.#running.delete(job)
    if (isOrphaned) this.#orphaned--
    return { startedAt, millis: this.now() - startedAt, wasStopped }
  }

  /** The time, in milliseconds from some moment. */
  now(): number {
    return Number(this.#clock.monotonicTimeNanosUnsafe()) / 1e6
  }
}
