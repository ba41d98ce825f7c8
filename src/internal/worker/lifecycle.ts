/**
 * The way of each job through a worker: reserved, admitted, handled, judged, settled. This file says what comes after what;
 * the units next to it do each step.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Errors from "../../Errors.ts"
import type { LeaseKeeper } from "../consumer/leaseKeeper.ts"
import type { JobCounters } from "../job/lease.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import type { JobRecorder } from "../telemetry/jobRecorder.ts"
import type { FinalVerdict, FinishedJobs } from "./finishedJobs.ts"
import type { InFlight, Ran } from "./inFlight.ts"
import type { Isolation, Suspect } from "./isolation.ts"
import type { Judge } from "./judge.ts"
import * as Policy from "./policy.ts"
import type { Refusals } from "./refusals.ts"
import type { Settings } from "./settings.ts"
import type { Settler } from "./settler.ts"

/** What takes part in the life of a job. */
export interface Parts<A, E, R> {
  readonly settings: Settings<A, E, R>
  readonly leases: LeaseKeeper
  readonly inFlight: InFlight
  readonly isolation: Isolation
  readonly finishedJobs: FinishedJobs<E>
  readonly refusals: Refusals
  readonly judge: Judge<E, R>
  readonly settler: Settler<A, E, R>
  readonly recorderOf: (job: ReservedJob) => JobRecorder
  /** Starts the handler. */
  readonly fork: (job: ReservedJob) => Fiber.Fiber<unknown, Policy.HandlerFailure<E>>
  /** Calls back when a suspect has waited long enough for its turn, unless the function that it returns is called. */
  readonly waitForTurn: (onTimeout: () => void) => () => void
  /** Says what the server has refused. */
  readonly tellRefusal: (job: ReservedJob, error: Errors.BeanstalkdError) => void
  /** There may be room for another job, without one having been settled. */
  readonly onRoom: () => void
}

// The job is put once more for an earlier lease, or not: then it comes again.
const WHEN_REPLACED: Policy.Release = { _tag: "Release", delay: Duration.seconds(1) }

/** Takes the jobs of one worker from their reservation to their end. */
export class Lifecycle<A, E, R> {
  readonly #parts: Parts<A, E, R>
  readonly #suspects = new Map<ReservedJob, Suspect>()
  /** The suspects that have not had their turn. */
  readonly #waiting = new Set<ReservedJob>()
  /** The jobs that came while a suspect runs, each with what ends its wait. */
  readonly #held = new Map<ReservedJob, () => void>()
  #isStopping = false

  constructor(parts: Parts<A, E, R>) {
    this.#parts = parts
  }

  /** Whether no handler begins any more. */
  get isStopping(): boolean {
    return this.#isStopping
  }

  /** From now on no handler begins. */
  stop(): void {
    this.#isStopping = true
    for (const job of this.#waiting) {
      const suspect = this.#suspects.get(job)!
      this.#parts.isolation.leave(suspect)
      suspect.onRefused()
    }
    for (const job of this.#held.keys()) this.#giveBack(job)
  }

  /** The jobs in hand, but for those that are held. */
  get busy(): ReadonlyArray<ReservedJob> {
    return [...this.#parts.leases.jobs()].filter((job) => !this.#held.has(job))
  }

  /** A suspect is over: those that were held may begin. */
  resume(): void {
    for (const [job, stopWaiting] of this.#held) {
      if (this.#parts.isolation.isRunning) return
      this.#held.delete(job)
      stopWaiting()
      this.#begin(job)
    }
  }

  /** The job has been reserved. */
  onJob(job: ReservedJob): void {
    const { finishedJobs, inFlight, leases, refusals, settings } = this.#parts
    inFlight.hold()
    leases.add(job)
    const asks = settings.crashGuard ? !refusals.cannotTell(job.server) : finishedJobs.has(job)
    if (asks) this.#admit(job)
    else this.#beginOrHold(job)
  }

  /** The job is settled, or lost. */
  onOver(job: ReservedJob): void {
    const { inFlight, isolation, leases, settler } = this.#parts
    leases.remove(job)
    if (job.isLost) settler.recordLost(job)
    inFlight.orphan(job)
    const stopHolding = this.#held.get(job)
    if (stopHolding !== undefined) {
      this.#held.delete(job)
      stopHolding()
      inFlight.release()
    }
    const suspect = this.#suspects.get(job)
    if (suspect !== undefined) {
      this.#suspects.delete(job)
      if (this.#waiting.delete(job)) inFlight.release()
      isolation.leave(suspect)
    }
    isolation.changed()
  }

  #admit(job: ReservedJob): void {
    const { finishedJobs, inFlight, settings, settler } = this.#parts
    const askedAt = inFlight.now()
    job.inspect((answer) => {
      if (job.isOver) return inFlight.release()
      if (Exit.isFailure(answer)) return this.#onNoCounters(job, answer.cause)
      if (this.#isStopping) return settler.settle(job, Policy.RELEASE)
      const verdict = finishedJobs.verdictOn(job, answer.value, askedAt)
      if (verdict !== undefined) return this.#finish(job, verdict, askedAt)
      if (finishedJobs.isBeingReplaced(job)) return settler.settle(job, WHEN_REPLACED)
      if (!settings.crashGuard) return this.#beginOrHold(job)
      const admitted = Policy.admit(answer.value, settings)
      if (admitted._tag === "Run") this.#beginOrHold(job)
      else if (admitted._tag === "Isolate") this.#isolate(job, admitted.delay, answer.value, askedAt)
      else settler.settle(job, admitted)
    })
  }

  // A server that lacks the command: the job runs as it does without the guard.
  #onNoCounters(job: ReservedJob, cause: Cause.Cause<unknown>): void {
    const { refusals, settler, tellRefusal } = this.#parts
    const error = Cause.squash(cause)
    const isUnknown = refusals.isRefusal(job, error) && error.reason._tag === "UnknownCommand"
    if (!isUnknown) return settler.conclude(job, Exit.failCause(cause as Cause.Cause<never>))
    refusals.learn(error)
    tellRefusal(job, error)
    if (this.#isStopping) settler.settle(job, Policy.RELEASE)
    else this.#beginOrHold(job)
  }

  #isolate(job: ReservedJob, delay: Duration.Duration, counters: JobCounters, askedAt: number): void {
    const { finishedJobs, isolation, settler, waitForTurn } = this.#parts
    const suspect: Suspect = {
      onTurn: () => {
        this.#waiting.delete(job)
        // An older run of it may have succeeded meanwhile.
        const verdict = finishedJobs.verdictOn(job, counters, askedAt)
        if (verdict === undefined) this.#begin(job)
        else this.#finish(job, verdict, askedAt)
      },
      onRefused: () => {
        this.#waiting.delete(job)
        this.#suspects.delete(job)
        settler.settle(job, this.#isStopping ? Policy.RELEASE : { _tag: "Release", delay })
      },
      wait: waitForTurn
    }
    this.#suspects.set(job, suspect)
    this.#waiting.add(job)
    isolation.enter(suspect)
  }

  #finish(job: ReservedJob, verdict: FinalVerdict<E>, since: number): void {
    const { settler } = this.#parts
    if (verdict._tag === "Delete") settler.delete(job, since)
    else settler.settle(job, verdict)
  }

  // A reserve that was waiting already can bring a job while a suspect runs.
  #beginOrHold(job: ReservedJob): void {
    const { isolation, waitForTurn } = this.#parts
    if (isolation.isRunning) this.#held.set(job, waitForTurn(() => this.#giveBack(job)))
    else this.#begin(job)
  }

  #giveBack(job: ReservedJob): void {
    const stopWaiting = this.#held.get(job)
    if (stopWaiting === undefined) return
    this.#held.delete(job)
    stopWaiting()
    this.#parts.settler.settle(job, Policy.RELEASE)
  }

  #begin(job: ReservedJob): void {
    const { fork, inFlight, recorderOf } = this.#parts
    const recorder = recorderOf(job)
    recorder.started()
    inFlight.begin(job, fork, this.#onExit)
  }

  readonly #onExit = (
    job: ReservedJob,
    exit: Exit.Exit<unknown, Policy.HandlerFailure<E>>,
    { millis, startedAt, wasStopped }: Ran
  ): void => {
    const { judge, recorderOf, settler } = this.#parts
    recorderOf(job).ended(millis, exit)
    if (job.isOver) this.#onOrphanExit(job, exit, startedAt)
    else if (Exit.isFailure(exit)) settler.settleWhenJudged(job, judge(job, exit, wasStopped))
    else settler.delete(job, startedAt)
  }

  // The handler has settled its job itself, or its lease was lost meanwhile.
  #onOrphanExit(job: ReservedJob, exit: Exit.Exit<unknown, unknown>, startedAt: number): void {
    const { finishedJobs, inFlight, leases, onRoom, recorderOf, settler } = this.#parts
    if (!job.isLost) recorderOf(job).count(Exit.isSuccess(exit) ? "succeeded" : "failed")
    else if (Exit.isSuccess(exit)) {
      finishedJobs.add(job, startedAt, { _tag: "Delete" })
      if (!leases.hasSame(job)) settler.deleteLate(job)
    }
    inFlight.release()
    onRoom()
  }
}
