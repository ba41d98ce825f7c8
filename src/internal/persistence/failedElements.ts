/**
 * Elements that failed for good: how they are recorded, and how old ones are removed.
 *
 * A record is put before its element is deleted. A crash in between leaves two records of it, never none.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Client from "../../Client.ts"
import type * as Claims from "../../Claims.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import { JobRefFromString } from "../protocol/jobRef.ts"
import { countersOf, priorityAfter } from "./attempts.ts"
import * as FailedRecord from "./failedRecord.ts"
import type { TubeNames } from "./tubeNames.ts"

/** An element that failed. */
export interface Failed {
  readonly queue: string
  readonly job: ReservedJob
  readonly what: FailedRecord.What
  readonly attempts: number
  readonly lastFailure: string
}

// How soon the record is tried again that the server refused.
const AGAIN = Duration.seconds(10)

const readRef = Schema.decodeResult(JobRefFromString)

/** The failed elements of all queues of a store. */
export class FailedElements {
  readonly #client: Client.Service
  readonly #claims: Claims.Service
  readonly #tubes: TubeNames
  readonly #clock: Clock.Clock
  /** By tube, the job that keeps the cleanup from going on, of which the log has been told. */
  readonly #inTheWay = new Map<string, string>()

  constructor(client: Client.Service, claims: Claims.Service, tubes: TubeNames, clock: Clock.Clock) {
    this.#client = client
    this.#claims = claims
    this.#tubes = tubes
    this.#clock = clock
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Recording
  // -------------------------------------------------------------------------------------------------------------------

  /** Records that the element failed, and ends its job. If the server refuses, the element is neither lost nor attempted. */
  readonly record = (failed: Failed): Effect.Effect<void> => {
    const { job, queue, what } = failed
    const put = (record: FailedRecord.FailedRecord) =>
      this.#client.put(this.#tubes.failedOf(queue), JSON.stringify(record))
    const recorded = Effect.suspend(() => {
      const record = this.#recordOf(failed)
      const short = FailedRecord.shortened(record)
      // What does not fit stays where it is, buried, with its reason beside it.
      const apart = put(FailedRecord.withoutElement(short, job)).pipe(
        Effect.catchTag("JobTooBig", () => this.#warn(failed, "failed, and there is no room for the reason")),
        Effect.andThen(job.bury())
      )
      return put(record).pipe(
        Effect.catchTag("JobTooBig", () => put(short)),
        Effect.andThen(job.delete),
        Effect.catchTag("JobTooBig", () => apart)
      )
    })
    return Effect.catchCause(recorded, (cause) =>
      Effect.andThen(
        this.#warn(failed, `element ${what.id} failed, which could not be recorded yet`, cause),
        this.#tryAgain(failed)
      ))
  }

  #recordOf({ attempts, lastFailure, queue, what }: Failed): FailedRecord.FailedRecord {
    return { ...what, queue, attempts, lastFailure, failedAt: this.#clock.currentTimeMillisUnsafe() }
  }

  // It counts as attempted, so that whoever reserves it next records it.
  #tryAgain({ attempts, job }: Failed): Effect.Effect<void> {
    const released = Effect.flatMap(
      countersOf(job),
      (counters) => job.release({ delay: AGAIN, priority: priorityAfter(counters, attempts) })
    )
    return Effect.catchCause(released, () => job.end)
  }

  // Loggers are written by others.
  #warn({ job, lastFailure, queue }: Failed, message: string, cause: Cause.Cause<unknown> = Cause.empty) {
    return Effect.logWarning(message, lastFailure, cause).pipe(
      Effect.annotateLogs({ server: job.server, job: job.id, queue }),
      Effect.ignoreCause
    )
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Removing
  // -------------------------------------------------------------------------------------------------------------------

  /** Removes the records that are older, and the claims of their elements. */
  readonly cleanup = (timeToLive: Duration.Duration) =>
    Effect.flatMap(this.#client.listTubes, (tubes) =>
      Effect.forEach(
        tubes.filter((tube) => this.#tubes.isFailed(tube)),
        (tube) => Effect.repeat(this.#removeOldest(tube, Duration.toMillis(timeToLive)), { while: (more) => more }),
        { discard: true }
      ))

  /**
   * Removes the oldest record, which comes first, if it is old enough. Returns whether the next one may be, too. Of what is no
   * record of this store nothing is removed, and the server shows none of those behind it.
   */
  #removeOldest(tube: string, olderThanMillis: number) {
    return Effect.gen({ self: this }, function*() {
      const job = yield* this.#client.peekReady(tube)
      const record = FailedRecord.read(job.text)
      if (record === undefined) return yield* this.#leave(tube, String(job.ref))
      // A store whose prefix begins with this one's has such tubes as well.
      if (this.#tubes.failedOf(record.queue) !== tube) return false
      const { age } = yield* this.#client.statsJob(job)
      if (age * 1000 < olderThanMillis) return false
      yield* this.#forget(record)
      yield* Effect.catchTag(this.#client.delete(job), "NotFound", () => Effect.void)
      return true
    }).pipe(Effect.catchTag("NotFound", () => Effect.succeed(false)))
  }

  /** Once per job, not with each cleanup. */
  #leave(tube: string, job: string): Effect.Effect<false> {
    if (this.#inTheWay.get(tube) === job) return Effect.succeed(false)
    this.#inTheWay.set(tube, job)
    const message =
      `job ${job} is no failed element: it is left, and so are those behind it in ${tube}, until it is removed`
    return Effect.as(Effect.ignoreCause(Effect.logWarning(message)), false)
  }

  #forget({ id, job, queue, token }: FailedRecord.Kept) {
    return Effect.gen({ self: this }, function*() {
      // Not that of a newer element of this id.
      if (token !== undefined && (yield* this.#claims.lookup(queue, id)) === token) {
        yield* this.#claims.remove(queue, id)
      }
      if (job !== undefined) yield* this.#deleteBuried(job)
    })
  }

  #deleteBuried(job: string): Effect.Effect<void> {
    const ref = readRef(job)
    if (Result.isFailure(ref)) return Effect.void
    return Effect.catchTag(this.#client.delete(ref.success), "NotFound", () => Effect.void).pipe(
      Effect.catchCause((cause) => Effect.logWarning(`the failed element in job ${job} could not be removed`, cause))
    )
  }
}
