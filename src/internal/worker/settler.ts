/**
 * Carries out the verdict on a job: one command that settles it, and what the log, the metrics and the hooks hear of it.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Client from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import { commands, DEFAULT_PRIORITY, DEFAULT_TTR_SECONDS, type Failure } from "../../Protocol.ts"
import type { LeaseKeeper } from "../consumer/leaseKeeper.ts"
import type { Change } from "../envelope/rewriting.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import { describeCause, describeFailure, describeMillis } from "../protocol/describe.ts"
import type { JobRef } from "../protocol/jobRef.ts"
import type { JobRecorder } from "../telemetry/jobRecorder.ts"
import type { Bodies } from "../tube/bodies.ts"
import type { FinishedJobs } from "./finishedJobs.ts"
import { annotationsOf, type Needs } from "./handlerEffect.ts"
import type { InFlight } from "./inFlight.ts"
import { countersOf } from "./judge.ts"
import type { Bury, Drop, GiveUp, Postpone, Retry, Verdict } from "./policy.ts"
import type { Refusals } from "./refusals.ts"
import type { Settings } from "./settings.ts"
import { levelOf, log, type UserCode } from "./userCode.ts"

// How long a server may need to be well again.
const RELEASE_PATIENCE_MILLIS = 3000

// How much of an error a dead letter tells.
const MAX_REASON = 500

/** What a settler works with. */
export interface Parts<A, E, R> {
  readonly tube: string
  readonly bodies: Pick<Bodies<A, unknown, unknown>, "rewrite">
  readonly settings: Settings<A, E, R>
  readonly put: Client.Service["put"]
  readonly userCode: UserCode
  readonly refusals: Refusals
  readonly leases: LeaseKeeper
  readonly finishedJobs: FinishedJobs<E>
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

  /** The work is done, by a handler that began at `startedAt`. A callback instead of an Effect: so most jobs end. */
  delete(job: ReservedJob, startedAt: number): void {
    const { finishedJobs } = this.#parts
    finishedJobs.onDeleting(job, startedAt)
    job.settle(commands.delete, [job.id], (answer) => {
      // Somebody else has it by now, or the server refuses: the work need not be done again here.
      if (Exit.isFailure(answer)) finishedJobs.add(job, startedAt, { _tag: "Delete" })
      finishedJobs.onDeleteAnswered(job)
      if (Exit.isFailure(answer)) return this.conclude(job, answer)
      this.#onSucceeded(job)
      if (this.#parts.leases.recentBlockMillis >= (job.known?.ttr ?? Infinity) * 1000) return this.#tellBlock(job)
      this.#parts.inFlight.release()
    })
  }

  // Nobody else has reserved the job in time, by luck.
  #tellBlock(job: ReservedJob): void {
    const why = `its time ran out, ${this.#describeBlock()}; nobody else had it`
    this.#forkAndRelease(job, log("Warn", why, Cause.empty))
  }

  #describeBlock(): string {
    const millis = this.#parts.leases.recentBlockMillis
    return `since the event loop of this process was blocked for ${describeMillis(millis)}`
  }

  /** Carries out a verdict. */
  settle(job: ReservedJob, verdict: Verdict<E>): void {
    switch (verdict._tag) {
      case "Release":
        return this.conclude(job, this.#release(job, verdict.delay))
      case "Retry":
        return this.conclude(job, this.#retry(job, verdict))
      case "Postpone":
        return this.conclude(job, this.#replacing(job, this.#postpone(job, verdict)))
      case "Drop":
        return this.conclude(job, this.#drop(job, verdict))
      case "GiveUp":
        return this.#concludeFinally(job, verdict, this.#giveUp(job, verdict.cause))
      case "Bury":
        return this.#concludeFinally(job, verdict, this.#bury(job, verdict.cause))
    }
  }

  #concludeFinally(job: ReservedJob, verdict: GiveUp<E> | Bury<E>, settling: Settling<R>): void {
    const { finishedJobs, inFlight, refusals } = this.#parts
    const now = inFlight.now()
    const remembered = Effect.tapError(settling, (error) =>
      Effect.sync(() => {
        if (refusals.isRefusal(job, error) && !finishedJobs.has(job)) finishedJobs.add(job, now, verdict)
      }))
    this.conclude(job, remembered)
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
      Effect.catchCause((cause) => this.#letGo(job, cause))
    )
    this.#forkAndRelease(job, settled)
  }

  /** The lease of a job is lost. */
  recordLost(job: ReservedJob): void {
    const { inFlight, leases, recorderOf, settings: { onLost }, userCode } = this.#parts
    recorderOf(job).count("lost")
    inFlight.hold()
    const isBlock = job.loss !== "connection" && leases.recentBlockMillis > 0
    const why = isBlock ? `its time ran out, ${this.#describeBlock()}` : job.describeLoss()
    const logged = log("Warn", `the lease is lost: ${why}`, Cause.empty)
    this.#forkAndRelease(
      job,
      onLost === undefined ? logged : Effect.andThen(logged, userCode.hook(() => onLost(job)))
    )
  }

  /**
   * A handler has succeeded after its lease was lost. If nobody has the job by now, it is deleted; otherwise it is deleted
   * when this worker reserves it again.
   */
  deleteLate(job: ReservedJob): void {
    const { inFlight } = this.#parts
    inFlight.hold()
    const deleted = Effect.callback<void, Failure<"delete">>((resume) => job.deleteLate(resume)).pipe(
      Effect.andThen(Effect.suspend(() => {
        this.#onSucceeded(job)
        return log("Info", "deleted: its handler has succeeded, though late", Cause.empty)
      })),
      Effect.ignore
    )
    this.#forkAndRelease(job, deleted)
  }

  // Uninterruptible: the job has to be settled one way or the other.
  #fork<B, F>(job: ReservedJob, effect: Effect.Effect<B, F, Needs<R>>): Fiber.Fiber<B, F> {
    const { fork, tube } = this.#parts
    return fork(Effect.uninterruptible(Effect.annotateLogs(effect, annotationsOf(tube, job))))
  }

  #forkAndRelease(job: ReservedJob, effect: Effect.Effect<void, never, Needs<R>>): void {
    this.#fork(job, effect).addObserver(() => this.#parts.inFlight.release())
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Verdicts
  // -------------------------------------------------------------------------------------------------------------------

  #onSucceeded(job: ReservedJob): void {
    this.#parts.recorderOf(job).count("succeeded")
    this.#forget(job)
  }

  #forget(job: ReservedJob): void {
    const { finishedJobs, refusals } = this.#parts
    finishedJobs.remove(job)
    refusals.reset()
    refusals.forget(job)
  }

  #release(job: ReservedJob, delay: Duration.Duration): Effect.Effect<void, Failure<"release">> {
    return this.#keepingPriority(job, (priority) => job.release({ delay, priority }))
  }

  #retry(job: ReservedJob, { attempt, attempts, cause, delay }: Retry<E>): Settling<R> {
    return Effect.gen({ self: this }, function*() {
      const { recorderOf, settings: { logFailure } } = this.#parts
      yield* this.#release(job, delay)
      recorderOf(job).count("retried")
      const which = attempts === Infinity ? `attempt ${attempt}` : `attempt ${attempt} of ${attempts}`
      const seconds = Math.ceil(Duration.toSeconds(delay))
      const fields = { attempt, maxAttempts: attempts, delaySeconds: seconds }
      const next = seconds === 0 ? "at once" : `in ${describeMillis(seconds * 1000)}`
      yield* log(levelOf(logFailure, cause), `${which} failed, the next one comes ${next}`, cause).pipe(
        Effect.annotateLogs(fields)
      )
    })
  }

  // Counters cannot be set back, so the job is put once more. The copy is made before the job is deleted: a crash in between
  // leaves two of it rather than none.
  #postpone(job: ReservedJob, { cause, delay }: Postpone<E>): Settling<R> {
    return Effect.gen({ self: this }, function*() {
      const { recorderOf, settings: { logFailure }, tube } = this.#parts
      const copied = yield* Effect.exit(this.#copyTo(tube, job, delay, dueAfter(delay)))
      if (Exit.isFailure(copied)) {
        yield* log("Warn", "the job cannot be put again, so that this counts as an attempt", copied.cause)
        return yield* this.#release(job, delay)
      }
      yield* this.#deleteCopied(job)
      recorderOf(job).count("postponed")
      const level = cause.reasons.length === 0 ? "Debug" : levelOf(logFailure, cause)
      yield* log(
        level,
        `postponed by ${describeMillis(Duration.toMillis(delay))}, as job ${String(copied.value)}`,
        cause
      )
    })
  }

  #drop(job: ReservedJob, { outcome, reason }: Drop): Settling<R> {
    return Effect.gen({ self: this }, function*() {
      yield* job.delete
      this.#parts.recorderOf(job).count(outcome)
      yield* log("Info", `discarded: ${reason}`, Cause.empty)
    })
  }

  #giveUp(job: ReservedJob, cause: Cause.Cause<E | Errors.DecodeError>): Settling<R> {
    const { deadLetter } = this.#parts.settings
    return deadLetter === undefined
      ? this.#bury(job, cause)
      : this.#replacing(job, this.#moveTo(deadLetter, job, cause))
  }

  #moveTo(deadLetter: string, job: ReservedJob, cause: Cause.Cause<E | Errors.DecodeError>): Settling<R> {
    return Effect.gen({ self: this }, function*() {
      const moved = yield* Effect.exit(this.#copyTo(deadLetter, job, Duration.zero, (at) => ({
        deadLetter: {
          tube: this.#parts.tube,
          server: job.server,
          id: job.id,
          attempts: job.known?.reserves,
          at,
          error: describeFailure(Cause.squash(cause)).slice(0, MAX_REASON)
        }
      })))
      if (Exit.isFailure(moved)) {
        yield* log(
          "Error",
          `cannot be put into ${deadLetter}: ${describeCause(Cause.squash(moved.cause))}`,
          moved.cause
        )
        return yield* this.#bury(job, cause)
      }
      yield* this.#deleteCopied(job)
      yield* log("Error", `failed for good, moved to ${deadLetter} as job ${String(moved.value)}`, cause)
      yield* this.#recordGivenUp(job, "deadLettered", cause)
    })
  }

  // Its lease may run out meanwhile, and the next one come here.
  #replacing(job: ReservedJob, replacing: Settling<R>): Settling<R> {
    const { finishedJobs } = this.#parts
    return Effect.suspend(() => {
      finishedJobs.onReplacing(job)
      return Effect.ensuring(replacing, Effect.sync(() => finishedJobs.onReplaced(job)))
    })
  }

  // What its envelope says in addition must not keep the job from being put.
  #copyTo(
    tube: string,
    job: ReservedJob,
    delay: Duration.Duration,
    change: (now: number) => Change
  ): Effect.Effect<JobRef, SettleFailure> {
    return Effect.gen({ self: this }, function*() {
      const { bodies, put } = this.#parts
      const { pri, ttr } = yield* this.#termsOf(job)
      const options = { priority: pri, delay, ttr: Duration.seconds(ttr) }
      const now = yield* Clock.currentTimeMillis
      const body = bodies.rewrite(job.body, change(now), now)
      return yield* Effect.catchIf(
        put(tube, body, options),
        (error) => error instanceof Errors.JobTooBig && body !== job.body,
        () => put(tube, job.body, options)
      )
    })
  }

  // A job that cannot be deleted now must not run and be copied over and over: if it comes again, it is deleted.
  #deleteCopied(job: ReservedJob): Effect.Effect<void, Failure<"delete">> {
    const { finishedJobs, inFlight } = this.#parts
    const now = inFlight.now()
    return Effect.tapError(job.delete, () => Effect.sync(() => finishedJobs.add(job, now, { _tag: "Delete" })))
  }

  #bury(job: ReservedJob, cause: Cause.Cause<E | Errors.DecodeError>): Settling<R> {
    return Effect.gen({ self: this }, function*() {
      yield* this.#keepingPriority(job, (priority) => job.bury({ priority }))
      yield* log("Error", "failed for good, buried", cause)
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
    this.#forget(job)
    return onGiveUp === undefined ? Effect.void : userCode.hook(() => onGiveUp(cause, job))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What goes wrong
  // -------------------------------------------------------------------------------------------------------------------

  // Without `stats-job` nobody can tell the priority that the job is to keep.
  #keepingPriority<F>(
    job: ReservedJob,
    command: (priority?: number) => Effect.Effect<void, F>
  ): Effect.Effect<void, F> {
    const { refusals } = this.#parts
    return Effect.catchIf(
      command(),
      (error) => refusals.isRefusal(job, error) && error.command === commands.statsJob.name,
      (error) => Effect.andThen(refusals.say(commands.statsJob.name, error as never), command(DEFAULT_PRIORITY))
    )
  }

  #termsOf(job: ReservedJob): Effect.Effect<{ readonly pri: number; readonly ttr: number }, Failure<"statsJob">> {
    const { refusals } = this.#parts
    return Effect.catchIf(
      countersOf(job),
      (error) => refusals.isRefusal(job, error),
      (error) =>
        Effect.as(refusals.say(commands.statsJob.name, error), { pri: DEFAULT_PRIORITY, ttr: DEFAULT_TTR_SECONDS })
    )
  }

  #letGo(job: ReservedJob, cause: Cause.Cause<SettleFailure>): Effect.Effect<void> {
    const { refusals } = this.#parts
    const error = Cause.squash(cause)
    if (error instanceof Errors.JobBuried) {
      this.#parts.recorderOf(job).count("buried")
      return log("Error", "buried: the server has no memory to release it", cause)
    }
    return refusals.isRefusal(job, error) ? this.#releaseRefused(job, error) : this.#lose(job)
  }

  #lose(job: ReservedJob): Effect.Effect<void> {
    return Effect.andThen(job.end, Effect.sync(() => job.isLost || this.recordLost(job)))
  }

  // The end of the job would close its connection, which counts as a crash of all jobs on it. So the release is tried for a
  // while before, even if nobody tells the priority.
  #releaseRefused(job: ReservedJob, error: Errors.BeanstalkdError, since?: number): Effect.Effect<void> {
    const { inFlight, refusals } = this.#parts
    const now = inFlight.now()
    if (since !== undefined && now - since > RELEASE_PATIENCE_MILLIS) return this.#lose(job)
    return Effect.flatMap(
      refusals.backOff(error),
      (mayGoOn) =>
        Effect.catchCause(this.#release(job, Duration.zero), (cause) => {
          const again = Cause.squash(cause)
          if (!refusals.isRefusal(job, again)) return this.#letGo(job, cause)
          return mayGoOn ? this.#releaseRefused(job, again, since ?? now) : this.#lose(job)
        })
    )
  }
}

const dueAfter = (delay: Duration.Duration) => (now: number): Change => ({
  due: now + Math.ceil(Duration.toSeconds(delay)) * 1000
})
