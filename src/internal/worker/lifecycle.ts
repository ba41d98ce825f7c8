/**
 * The way of each job through a worker: reserved, admitted, handled, judged, settled. This file says what comes after what;
 * the units next to it do each step.
 */
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { LeaseKeeper } from "../consumer/leaseKeeper.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import type { JobRecorder } from "../telemetry/jobRecorder.ts"
import type { DecodeFailure } from "./decodeFailure.ts"
import type { InFlight } from "./inFlight.ts"
import type { Judge } from "./judge.ts"
import * as Policy from "./policy.ts"
import type { Settings } from "./settings.ts"
import type { Settler } from "./settler.ts"

/** What takes part in the life of a job. */
export interface Parts<A, E, R> {
  readonly settings: Settings<A, E, R>
  readonly leases: LeaseKeeper
  readonly inFlight: InFlight
  readonly judge: Judge<E, R>
  readonly settler: Settler<A, E, R>
  readonly recorderOf: (job: ReservedJob) => JobRecorder
  /** Starts the handler. */
  readonly fork: (job: ReservedJob) => Fiber.Fiber<unknown, E | DecodeFailure>
  /** There may be room for another job, without one having been settled. */
  readonly onRoom: () => void
}

/** Takes the jobs of one worker from their reservation to their end. */
export class Lifecycle<A, E, R> {
  readonly #parts: Parts<A, E, R>
  #isStopping = false

  constructor(parts: Parts<A, E, R>) {
    this.#parts = parts
  }

  /** From now on no handler begins. */
  stop(): void {
    this.#isStopping = true
  }

  /** The job has been reserved. */
  onJob(job: ReservedJob): void {
    const { inFlight, leases, recorderOf, settings } = this.#parts
    inFlight.hold()
    recorderOf(job).count("reserved")
    leases.add(job)
    if (settings.crashGuard) this.#admit(job)
    else this.#begin(job)
  }

  /** The job is settled, or lost. */
  onOver(job: ReservedJob): void {
    const { inFlight, leases, settler } = this.#parts
    leases.remove(job)
    if (job.isLost) settler.recordLost(job)
    inFlight.orphan(job)
  }

  #admit(job: ReservedJob): void {
    const { inFlight, settings, settler } = this.#parts
    job.inspect((answer) => {
      if (job.isOver) return inFlight.release()
      if (Exit.isFailure(answer)) return settler.conclude(job, answer)
      if (this.#isStopping) return settler.settle(job, Policy.RELEASE)
      const admitted = Policy.admit(answer.value, settings)
      if (admitted._tag === "Run") this.#begin(job)
      else settler.settle(job, admitted)
    })
  }

  #begin(job: ReservedJob): void {
    const { fork, inFlight, recorderOf } = this.#parts
    recorderOf(job).started()
    inFlight.begin(job, fork, this.#onExit)
  }

  readonly #onExit = (job: ReservedJob, exit: Exit.Exit<unknown, E | DecodeFailure>, millis: number): void => {
    const { judge, recorderOf, settings, settler } = this.#parts
    recorderOf(job).ended(millis)
    if (job.isOver) this.#onOrphanExit(job, exit)
    else if (Exit.isFailure(exit)) settler.settleWhenJudged(job, judge(job, exit))
    else settler.settle(job, Policy.decide(Policy.SUCCEEDED, Policy.NOTHING_KNOWN, settings))
  }

  // The handler has settled its job itself, or its lease was lost meanwhile.
  #onOrphanExit(job: ReservedJob, exit: Exit.Exit<unknown, unknown>): void {
    const { inFlight, onRoom, recorderOf } = this.#parts
    if (!job.isLost) recorderOf(job).count(Exit.isSuccess(exit) ? "succeeded" : "failed")
    inFlight.release()
    onRoom()
  }
}
