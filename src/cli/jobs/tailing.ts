/**
 * Taking jobs as they come, printing them and settling them, many at a time. A job is settled only after it was printed, and
 * what could not be printed is released.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Errors from "../../Errors.ts"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import { commands, type Failure, type RawJob } from "../../Protocol.ts"
import { describe, type Failed, type OutputClosed } from "../failures.ts"
import { countOfJobs, note } from "../terminal/output.ts"
import { batch, firstFailure, ifThere, isNotFound, values } from "./batch.ts"
import { isUnsure } from "./taking.ts"
import { releaseAll, reserveSome } from "./reserving.ts"
import { type Ending, needsPriority, settleAll, type Settled } from "./settling.ts"

/** The most jobs, and about the most bytes of bodies, that are held at once. */
const MOST_HELD = 64
const MOST_BYTES = 8 * 1024 * 1024

/** How long one reserve waits, so that a server that is gone is told from one that has no jobs. */
const SLICE_SECONDS = 30

const nothing: Effect.Effect<RawJob | undefined> = Effect.undefined

/** A reserved job, and the tube that it came from. */
export interface Taken extends Settled {
  readonly job: RawJob
  readonly tube: string
}

export interface TailOptions {
  readonly tubes: ReadonlyArray<string>
  readonly ending: Ending
  /** The most jobs, possibly infinite. */
  readonly count: number
  /** How long to wait for the next job, possibly forever. */
  readonly timeoutSeconds: number
  readonly print: (jobs: ReadonlyArray<Taken>) => Effect.Effect<void, OutputClosed | Failed>
}

/** Takes the jobs of tubes, on one connection after the other. */
export class Tail {
  readonly #options: TailOptions
  readonly #clock: Clock.Clock
  #waitingSince: number
  #most = 1
  /** How many jobs have been printed and settled. */
  shown = 0

  constructor(options: TailOptions, clock: Clock.Clock) {
    this.#options = options
    this.#clock = clock
    this.#waitingSince = clock.currentTimeMillisUnsafe()
  }

  /** How many seconds it may wait from now on. */
  get secondsLeft(): number {
    const waited = (this.#clock.currentTimeMillisUnsafe() - this.#waitingSince) / 1000
    return Math.max(0, this.#options.timeoutSeconds - waited)
  }

  /** Takes jobs until enough were shown or none has come for too long. */
  on(pipeline: Pipeline) {
    return Effect.gen({ self: this }, function*() {
      const { count, tubes } = this.#options
      for (const tube of tubes) yield* pipeline.run(commands.watch, tube)
      if (!tubes.includes("default")) yield* pipeline.run(commands.ignore, "default")
      while (this.shown < count) {
        const first = yield* this.#next(pipeline)
        if (first === undefined) return
        yield* this.#takeWith(pipeline, first)
        this.#waitingSince = this.#clock.currentTimeMillisUnsafe()
      }
    })
  }

  #next(pipeline: Pipeline): Effect.Effect<RawJob | undefined, Failure<"reserveWithTimeout">> {
    const seconds = Math.min(Math.ceil(this.secondsLeft), SLICE_SECONDS)
    return pipeline.run(commands.reserveWithTimeout, seconds * 1000).pipe(
      Effect.catchTags({
        TimedOut: () => this.secondsLeft > 0 ? this.#next(pipeline) : nothing,
        // It holds no job.
        DeadlineSoon: () => this.#next(pipeline)
      })
    )
  }

  // With the first job come others that are ready: the more, the more there were before.
  #takeWith(pipeline: Pipeline, first: RawJob) {
    return Effect.gen({ self: this }, function*() {
      const most = Math.min(this.#most, this.#options.count - this.shown)
      const jobs = [first]
      yield* Effect.gen({ self: this }, function*() {
        if (most > 1) jobs.push(...yield* reserveSome(pipeline, most - 1))
        const bytes = jobs.reduce((sum, { body }) => sum + body.length, 0)
        const isFull = jobs.length === most && bytes < MOST_BYTES
        this.#most = isFull ? Math.min(MOST_HELD, most * 2) : Math.max(1, Math.floor(most / 2))
        const taken = yield* this.#describe(pipeline, jobs)
        yield* this.#options.print(taken)
        yield* this.#settle(pipeline, taken, () => jobs.length = 0)
      }).pipe(
        Effect.onExit((exit) =>
          Exit.isSuccess(exit) || jobs.length === 0
            ? Effect.void
            : Effect.ignore(releaseAll(pipeline, jobs.map(({ id }) => id)))
        )
      )
    })
  }

  #describe(pipeline: Pipeline, jobs: ReadonlyArray<RawJob>) {
    const { ending, tubes: [tube, ...others] } = this.#options
    if (tube !== undefined && others.length === 0 && !needsPriority(ending)) {
      return Effect.succeed(jobs.map((job): Taken => ({ id: job.id, job, tube, priority: undefined })))
    }
    return batch(pipeline, ifThere.statsJob, jobs.map(({ id }) => [id])).pipe(
      Effect.flatMap(values),
      Effect.map((stats) =>
        jobs.flatMap((job, i): ReadonlyArray<Taken> => {
          const found = stats[i]
          return found === undefined ? [] : [{ id: job.id, job, tube: found.tube, priority: found.pri }]
        })
      )
    )
  }

  // Uninterruptible, so that the count is exact.
  #settle(pipeline: Pipeline, taken: ReadonlyArray<Taken>, onSettled: () => void) {
    return Effect.gen({ self: this }, function*() {
      const { ending } = this.#options
      const answers = yield* settleAll(pipeline, taken, ending)
      onSettled()
      this.shown += answers.filter(Exit.isSuccess).length
      for (const [i, answer] of answers.entries()) {
        if (isNotFound(answer)) {
          yield* note(`NOT_FOUND: the time of job ${taken[i]!.id} ran out before ${ending.action}: it may come again`)
        } else if (isBuriedInstead(answer)) {
          yield* note(describe(Cause.squash(answer.cause)))
        }
      }
      const lost = answers.filter(isUnsure).length
      if (lost > 0) {
        yield* note(`${countOfJobs(lost)} more printed; whether ${ending.action} was carried out is unknown`)
      }
      yield* firstFailure(answers.filter((answer) => !isBuriedInstead(answer)))
    }).pipe(Effect.uninterruptible)
  }
}

const isBuriedInstead = <A, E>(answer: Exit.Exit<A, E>): answer is Exit.Failure<A, E> =>
  Exit.isFailure(answer) && Cause.squash(answer.cause) instanceof Errors.JobBuried
