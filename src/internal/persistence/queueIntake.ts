/**
 * The takes of one queue that wait, and the intake that brings them elements: over few connections for all of them, and
 * never more elements than takes that wait. It lives below the level of Effects, as the intake does.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Result from "effect/Result"
import type { IntakeSettings } from "../../Client.ts"
import type * as Errors from "../../Errors.ts"
import type { Intake } from "../consumer/intake.ts"
import type { LeaseKeeper } from "../consumer/leaseKeeper.ts"
import type { JobCounters } from "../job/lease.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import { attemptsOf, giveBack, PRIORITY } from "./attempts.ts"
import * as Element from "./element.ts"
import type { Failed } from "./failedElements.ts"
import { foreign } from "./failedRecord.ts"
import { failedToTake } from "./storeError.ts"

/** An element in hand. */
export interface Taken {
  readonly job: ReservedJob
  readonly counters: JobCounters
  readonly attempts: number
  readonly element: Element.Element
}

/** A take that waits. */
interface Taker {
  readonly maxAttempts: number
  readonly resume: (taken: Effect.Effect<Taken, PersistedQueue.PersistedQueueError>) => void
  taken: Taken | undefined
}

/** What a queue needs of its store. */
export interface QueueParts {
  readonly tube: string
  readonly maxConnections: number
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly recordFailed: (failed: Failed) => Effect.Effect<void>
  /** The queue gives up: there is no server, and the client dials no more. */
  readonly onFailure: (queue: QueueIntake) => void
}

const NEVER_SETTLED = "its last attempt was never settled: the process or its connection ended, or the lease ran out"

/** The takes of one queue. */
export class QueueIntake {
  readonly name: string
  readonly #parts: QueueParts
  readonly #takers = new Set<Taker>()
  #intake: Intake | undefined
  #leases: LeaseKeeper | undefined
  /** Jobs whose counters are asked for. */
  #inspecting = 0
  #hasTaken = false
  #failure: PersistedQueue.PersistedQueueError | undefined

  constructor(name: string, parts: QueueParts) {
    this.name = name
    this.#parts = parts
  }

  /** Waits for the next element. `restore` makes the wait interruptible, with an element it is not. */
  next(maxAttempts: number, restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>) {
    let taker: Taker | undefined
    const wait = Effect.callback<Taken, PersistedQueue.PersistedQueueError>((resume) => {
      if (this.#failure !== undefined) return resume(Effect.fail(this.#failure))
      const waiting: Taker = { maxAttempts, resume, taken: undefined }
      taker = waiting
      this.#takers.add(waiting)
      this.#intake?.fill()
      return Effect.sync(() => void this.#takers.delete(waiting))
    })
    // The interruption may come with the element.
    return Effect.onError(restore(wait), () => taker?.taken === undefined ? Effect.void : giveBack(taker.taken.job))
  }

  /** What to ask the client's intake for. */
  settings(leases: LeaseKeeper): IntakeSettings {
    this.#leases = leases
    return {
      tubes: [this.#parts.tube],
      maxConnections: this.#parts.maxConnections,
      room: () => this.#room,
      mayReuse: () => this.#room > 0,
      isInUse: (job) => !job.isOver,
      isKept: (job) => leases.has(job),
      giveBack: (job) => giveBack(job),
      onJob: (job) => this.#onJob(job),
      onOver: (job) => leases.remove(job),
      onFailure: (error) => this.#onFailure(error)
    }
  }

  /** The intake has been opened. */
  open(intake: Intake): void {
    this.#intake = intake
    intake.fill()
  }

  /** Whether nobody has taken an element since the last time that this was asked, and none is in hand. */
  isIdle(): boolean {
    const wasUsed = this.#hasTaken
    this.#hasTaken = false
    return !wasUsed && this.#takers.size === 0 && this.#intake?.taken === 0
  }

  /** All takes that wait, and that come from now on, fail. */
  fail(error: PersistedQueue.PersistedQueueError): void {
    this.#failure = error
    for (const { resume } of this.#takers) resume(Effect.fail(error))
    this.#takers.clear()
  }

  get #room(): number {
    return this.#intake === undefined ? 0 : this.#takers.size - this.#inspecting - this.#intake.asked
  }

  #onFailure(error: Errors.BeanstalkdError): void {
    this.#parts.onFailure(this)
    this.fail(failedToTake(error))
  }

  #onJob(job: ReservedJob): void {
    this.#hasTaken = true
    this.#leases!.add(job)
    this.#inspecting++
    job.inspect((answer) => {
      this.#inspecting--
      if (job.isOver) this.#intake!.fill()
      else if (Exit.isSuccess(answer)) this.#onCounters(job, answer.value)
      else this.#onNoCounters(job, Cause.squash(answer.cause))
    })
  }

  #onCounters(job: ReservedJob, counters: JobCounters): void {
    const attempts = attemptsOf(counters)
    const decoded = Element.decode(job)
    if (Result.isFailure(decoded)) return this.#fail(job, foreign(job), attempts, decoded.failure)
    const taker = this.#firstTaker()
    // The take that it was asked for has left.
    if (taker === undefined) return this.#parts.fork(giveBack(job))
    const element = decoded.success
    if (attempts > taker.maxAttempts) return this.#fail(job, element, attempts - 1, NEVER_SETTLED)
    this.#takers.delete(taker)
    taker.taken = { job, counters, attempts, element }
    taker.resume(Effect.succeed(taker.taken))
  }

  #firstTaker(): Taker | undefined {
    for (const taker of this.#takers) return taker
    return undefined
  }

  #fail(job: ReservedJob, what: Failed["what"], attempts: number, lastFailure: string): void {
    this.#parts.fork(this.#parts.recordFailed({ queue: this.name, job, what, attempts, lastFailure }))
  }

  // Without counters nobody can tell the attempts: one take hears of it, and the element waits.
  #onNoCounters(job: ReservedJob, error: unknown): void {
    const taker = this.#firstTaker()
    if (taker !== undefined) {
      this.#takers.delete(taker)
      taker.resume(Effect.fail(failedToTake(error)))
    }
    this.#parts.fork(Effect.catchCause(job.release({ priority: PRIORITY, delay: "1 second" }), () => job.end))
  }
}
