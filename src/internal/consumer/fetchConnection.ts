/**
 * One connection of a fetcher: its reserves, the jobs that it holds, and what one means for the other.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Errors from "../../Errors.ts"
import { commands, type RawJob } from "../../Protocol.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import { RESERVE_SLICE_SECONDS } from "../connection/reserveSliced.ts"
import type { JobListener } from "../job/lease.ts"
import { handleOf } from "../job/oversized.ts"
import { type JobOrigin, ReservedJob } from "../job/reservedJob.ts"
import { jobOf } from "../protocol/replyReader.ts"
import type { JobId } from "../protocol/scalars.ts"
import type { FetchCounts } from "./fetchCounts.ts"
import type { Candidate } from "./plan.ts"

const SLICE_MILLIS = RESERVE_SLICE_SECONDS * 1000

/** Hears what happens on a connection, and has a say in what is done about it. */
export interface FetchListener {
  /** A job has come. */
  readonly onJob: (job: ReservedJob) => void
  /** A job is settled, or lost. */
  readonly onOver: (job: ReservedJob) => void
  /** Whether the room that this job leaves may be used before the command that settles it is answered. */
  readonly mayReuse: (job: ReservedJob) => boolean
  /** A job that the connection holds has less than a second left. */
  readonly onDeadlineSoon: (connection: FetchConnection) => void
  /** A reserve brought a job that is larger than allowed. Only this handle of it, which takes room, can settle it. */
  readonly onOversizedJob: (job: ReservedJob, error: Errors.ReplyTooLarge) => void
  /** The server refused a reserve. */
  readonly onRefusal: (reason: Errors.BeanstalkdErrorReason) => void
  /** A reserve met a torn job. */
  readonly onTornJob: (id: JobId) => void
  /** A reserve was answered, and all that follows from it is done. */
  readonly onAnswered: () => void
}

type Reserved = Exit.Exit<RawJob, unknown>

/** One connection that takes jobs. */
export class FetchConnection implements Candidate, JobOrigin, JobListener<ReservedJob> {
  readonly pipeline: Pipeline
  readonly shared: Pick<Pipeline, "run">
  readonly tube: string | undefined
  readonly #counts: FetchCounts
  readonly #fetcher: FetchListener
  /** The jobs that take room, by id. */
  readonly held = new Map<JobId, ReservedJob>()
  /** Whether it waits in a reserve. */
  isWaiting = false
  /** Reserves that do not wait and have not been answered. */
  asked = 0
  /** Whether its last reserve brought a job. */
  lastHit = false
  /** How many reserves may be on their way at a time: more with each hit, as in a slow start. */
  window = 1
  /** Whether its last reserve was answered, be it without a job. A refusal is no answer. */
  hasAnswered = false
  /** Whether its last reserve was refused. */
  isRefused = false

  constructor(
    pipeline: Pipeline,
    from: { readonly shared: Pick<Pipeline, "run">; readonly tube: string | undefined },
    counts: FetchCounts,
    fetcher: FetchListener
  ) {
    this.pipeline = pipeline
    this.shared = from.shared
    this.tube = from.tube
    this.#counts = counts
    this.#fetcher = fetcher
  }

  /** The listener of its jobs, for `JobOrigin`. */
  get listener(): JobListener<ReservedJob> {
    return this
  }

  /** Whether nothing would be lost if it were closed. */
  get isIdle(): boolean {
    return this.held.size === 0 && this.asked === 0
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Reserving
  // -------------------------------------------------------------------------------------------------------------------

  /** Waits for a job. */
  wait(): void {
    this.isWaiting = true
    this.#counts.change("waiting", 1)
    this.#counts.change("asked", 1)
    this.pipeline.start(commands.reserveWithTimeout, [SLICE_MILLIS], (answer) => {
      this.isWaiting = false
      this.#counts.change("waiting", -1)
      this.#onAnswer(answer, 1)
    })
  }

  /** Asks for this many jobs, one after the other, for as long as they come. */
  askFor(count: number): void {
    for (let more = count; more > 0 && this.lastHit; more--) this.ask()
  }

  /** Asks for a job that is ready now. */
  ask(): void {
    this.asked++
    this.#counts.change("asked", 1)
    this.pipeline.start(commands.reserveWithTimeout, [0], (answer) => {
      this.asked--
      this.#onAnswer(answer, this.window + 1)
    })
  }

  #onAnswer(answer: Reserved, nextWindow: number): void {
    // The server has taken the job back meanwhile: the older handle must not settle the new lease. Nor does losing it make
    // room for another job, so the reserve counts until the older handle has gone.
    const id = jobOf(answer)
    if (id !== undefined) this.held.get(id)?.lose("expired")
    this.#counts.change("asked", -1)
    const error = Exit.isFailure(answer) ? Cause.squash(answer.cause) : undefined
    this.lastHit = Exit.isSuccess(answer) || error instanceof Errors.ReplyTooLarge
    this.window = this.lastHit ? nextWindow : 1
    this.isRefused = error instanceof Errors.BeanstalkdError
    this.hasAnswered = !this.isRefused
    if (Exit.isSuccess(answer)) this.#onReserved(answer.value)
    else if (error instanceof Errors.DeadlineSoon) this.#fetcher.onDeadlineSoon(this)
    else if (error instanceof Errors.ReplyTooLarge) this.#onOversized(error)
    else if (error instanceof Errors.BeanstalkdError) this.#onRefusal(error.reason)
    this.#fetcher.onAnswered()
  }

  #onReserved(received: RawJob): void {
    const job = new ReservedJob(received, this)
    this.#take(job)
    this.#fetcher.onJob(job)
  }

  // Whoever takes jobs never sees this one, so it has a listener of its own.
  #onOversized(error: Errors.ReplyTooLarge): void {
    const listener: JobListener<ReservedJob> = { onOver: (job) => this.#onOversizedOver(job) }
    const job = handleOf(error, { pipeline: this.pipeline, shared: this.shared, listener })
    this.#take(job)
    this.#fetcher.onOversizedJob(job, error)
  }

  #onOversizedOver(job: ReservedJob): void {
    this.#letGo(job)
    this.#fetcher.onAnswered()
  }

  // Asking a server that refuses over and over would load both. Unless jobs would be lost, the connection is closed, and
  // the dial of the next one waits as after a failed dial.
  #onRefusal(cause: Errors.BeanstalkdErrorReason): void {
    if (cause._tag === "UnexpectedReply" && cause.tornJob !== undefined) this.#fetcher.onTornJob(cause.tornJob)
    if (this.pipeline.death === undefined) this.#fetcher.onRefusal(cause)
    if (this.isIdle) this.pipeline.die(new Errors.ConnectionClosed({ detail: "a reserve was refused", cause }))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Its jobs
  // -------------------------------------------------------------------------------------------------------------------

  /** The connection is gone: no job of it can be settled any more, and none can come. */
  loseAll(): void {
    this.lastHit = false
    for (const job of this.held.values()) job.lose("connection")
  }

  onSettling(job: ReservedJob): void {
    if (!this.lastHit || this.asked >= this.window || !this.#fetcher.mayReuse(job)) return
    // The server reads in order: by the time it comes to the reserve, the job is settled.
    if (this.#letGo(job)) this.ask()
  }

  onRefused(job: ReservedJob): void {
    this.#hold(job)
  }

  onOver(job: ReservedJob): void {
    this.#letGo(job)
    this.#fetcher.onOver(job)
  }

  // An older handle that is being settled keeps the room that it takes: it passes on to the new one.
  #take(job: ReservedJob): void {
    if (this.held.has(job.id)) this.held.set(job.id, job)
    else this.#hold(job)
  }

  #hold(job: ReservedJob): void {
    if (this.held.has(job.id)) return
    this.held.set(job.id, job)
    this.#counts.change("unsettled", 1)
  }

  #letGo(job: ReservedJob): boolean {
    if (this.held.get(job.id) !== job) return false
    this.held.delete(job.id)
    this.#counts.change("unsettled", -1)
    return true
  }
}
