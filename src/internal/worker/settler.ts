/**
 * Carries out the verdict on a job: one command that settles it, and what the log, the metrics and the hooks hear of it.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Client from "../../Client.ts"
import type * as Errors from "../../Errors.ts"
import { commands, type Failure } from "../../Protocol.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import type { JobRecorder } from "../telemetry/jobRecorder.ts"
import { annotationsOf, type Needs } from "./handlerEffect.ts"
import type { InFlight } from "./inFlight.ts"
import { statsOf } from "./judge.ts"
import type { Retry, Verdict } from "./policy.ts"
import type { Settings } from "./settings.ts"
import { log, type UserCode } from "./userCode.ts"

/** What a settler works with. */
export interface Parts<A, E, R> {
  readonly tube: string
  readonly settings: Settings<A, E, R>
  readonly put: Client.Service["put"]
  readonly userCode: UserCode
  readonly inFlight: InFlight
  readonly recorderOf: (job: ReservedJob) => JobRecorder
  readonly fork: <B, F>(effect: Effect.Effect<B, F, Needs<R>>) => Fiber.Fiber<B, F>
}

/** Why a job could not be settled. */
export type SettleFailure = Failure<"release"> | Failure<"put"> | Failure<"statsJob">

type Settling<R> = Effect.Effect<void, SettleFailure, Needs<R>>

/** Settles the jobs of one worker, and releases each in `InFlight` when nothing more is to be done for it. */
export class Settler<A, E, R> {
  readonly #parts: Parts<A, E, R>

  constructor(parts: Parts<A, E, R>) {
    this.#parts = parts
  }

  /** Carries out a verdict. */
  settle(job: ReservedJob, verdict: Verdict<E>): void {
    switch (verdict._tag) {
      case "Delete":
        return this.#delete(job)
      case "Release":
        return this.conclude(job, job.release())
      case "Retry":
        return this.conclude(job, this.#retry(job, verdict))
      case "GiveUp":
        return this.conclude(job, this.#giveUp(job, verdict.cause))
      case "Bury":
        return this.conclude(job, this.#bury(job, verdict.cause))
    }
  }

  /** Waits for the verdict and carries it out. */
  settleWhenJudged(job: ReservedJob, judging: Effect.Effect<Verdict<E>, SettleFailure, Needs<R>>): void {
    this.#fork(job, judging).addObserver((exit) =>
      Exit.isSuccess(exit) ? this.settle(job, exit.value) : this.conclude(job, exit)
    )
  }

  /** Settles a job with an Effect, and sees to it that the worker is rid of the job if that goes wrong. */
  conclude(job: ReservedJob, settling: Settling<R>): void {
    const settled = settling.pipe(
      // An unforeseen defect must not leave the job reserved for as long as the worker lives.
      Effect.catchCauseIf(
        (cause) => !Cause.hasFails(cause),
        (cause) => this.#bury(job, cause as Cause.Cause<never>)
      ),
      // Its time has run out, the connection is gone, or the server refused: another worker will reserve it.
      Effect.catchCause(() => Effect.andThen(job.end, Effect.sync(() => job.isLost || this.recordLost(job))))
    )
    this.#forkAndRelease(job, settled)
  }

  /** The lease of a job is lost. */
  recordLost(job: ReservedJob): void {
    const { inFlight, recorderOf, settings: { onLost }, userCode } = this.#parts
    recorderOf(job).count("lost")
    inFlight.hold()
    const logged = log("Warn", "its time ran out, or its connection was lost", Cause.empty)
    this.#forkAndRelease(
      job,
      onLost === undefined ? logged : Effect.andThen(logged, userCode.hook(() => onLost(job)))
    )
  }

  // Uninterruptible: the job has to be settled one way or the other.
  #fork<B, F>(job: ReservedJob, effect: Effect.Effect<B, F, Needs<R>>): Fiber.Fiber<B, F> {
    const { fork, tube } = this.#parts
    return fork(Effect.uninterruptible(Effect.annotateLogs(effect, annotationsOf(tube, job))))
  }

  #forkAndRelease(job: ReservedJob, effect: Effect.Effect<void, never, Needs<R>>): void {
    this.#fork(job, effect).addObserver(() => this.#parts.inFlight.release())
  }

  // A callback instead of an Effect: this is how most jobs end.
  #delete(job: ReservedJob): void {
    job.settle(commands.delete, [job.id], (answer) => {
      if (Exit.isFailure(answer)) return this.conclude(job, answer)
      this.#parts.recorderOf(job).count("succeeded")
      this.#parts.inFlight.release()
    })
  }

  #retry(job: ReservedJob, { attempt, cause, delay }: Retry<E>): Settling<R> {
    return Effect.gen({ self: this }, function*() {
      yield* log("Warn", `attempt ${attempt} failed, the next one comes in ${Duration.format(delay)}`, cause)
      yield* job.release({ delay })
      this.#parts.recorderOf(job).count("retried")
    })
  }

  #giveUp(job: ReservedJob, cause: Cause.Cause<E>): Settling<R> {
    const { deadLetter } = this.#parts.settings
    return deadLetter === undefined ? this.#bury(job, cause) : this.#moveTo(deadLetter, job, cause)
  }

  // The copy is made before the job is deleted: a crash in between leaves two of it rather than none.
  #moveTo(deadLetter: string, job: ReservedJob, cause: Cause.Cause<E>): Settling<R> {
    return Effect.gen({ self: this }, function*() {
      const { pri, ttr } = yield* statsOf(job)
      const moved = yield* Effect.exit(
        this.#parts.put(deadLetter, job.body, { priority: pri, ttr: Duration.seconds(ttr) })
      )
      if (Exit.isFailure(moved)) {
        yield* log("Error", `cannot be put into ${deadLetter}`, moved.cause)
        return yield* this.#bury(job, cause)
      }
      yield* log("Error", `failed for good, moved to ${deadLetter} as job ${String(moved.value)}`, cause)
      yield* job.delete
      yield* this.#recordGivenUp(job, "deadLettered", cause)
    })
  }

  #bury(job: ReservedJob, cause: Cause.Cause<E | Errors.DecodeError>): Settling<R> {
    return Effect.gen({ self: this }, function*() {
      yield* log("Error", "failed for good, buried", cause)
      yield* job.bury()
      yield* this.#recordGivenUp(job, "buried", cause)
    })
  }

  #recordGivenUp(
    job: ReservedJob,
    outcome: "buried" | "deadLettered",
    cause: Cause.Cause<E | Errors.DecodeError>
  ): Effect.Effect<void, never, Needs<R>> {
    const { recorderOf, settings: { onGiveUp }, userCode } = this.#parts
    recorderOf(job).count(outcome)
    return onGiveUp === undefined ? Effect.void : userCode.hook(() => onGiveUp(cause, job))
  }
}
