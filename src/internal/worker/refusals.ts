/**
 * What a server refuses that it should do: a fork that lacks a command, or a server that answers INTERNAL_ERROR. The worker
 * tells it once, and not more often than once a minute while it lasts, and goes on as well as it can without.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Errors from "../../Errors.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import type { Counters } from "./policy.ts"
import { log, type UserCode } from "./userCode.ts"

const QUIET_MILLIS = 60_000

const FIRST_PAUSE_MILLIS = 100
const LONGEST_PAUSE_MILLIS = 60_000

/** Of so many jobs the failed runs are counted here; those that were first are forgotten first. */
const MAX_COUNTED = 10_000

/** The refusals that one worker has met. */
export class Refusals {
  readonly #clock: Clock.Clock
  readonly #saidAt = new Map<string, number>()
  readonly #runs = new Map<string, number>()
  readonly #without = new Set<string>()
  readonly #userCode: UserCode
  #pauseMillis = 0
  #pauseEndsAt = 0

  constructor(clock: Clock.Clock, userCode: UserCode) {
    this.#clock = clock
    this.#userCode = userCode
  }

  /** Whether the server has refused a command about this job, which is still in hand. */
  isRefusal(job: ReservedJob, error: unknown): error is Errors.BeanstalkdError {
    return error instanceof Errors.BeanstalkdError && error.sent && !job.isOver
  }

  /** Says that a command was refused, unless that was said within the last minute. */
  say(command: string, error: Errors.BeanstalkdError): Effect.Effect<void> {
    return Effect.suspend(() => {
      const now = this.#clock.currentTimeMillisUnsafe()
      const saidAt = this.#saidAt.get(command)
      if (saidAt !== undefined && now - saidAt < QUIET_MILLIS) return Effect.void
      this.#saidAt.set(command, now)
      return log("Warn", `the server refuses ${command}: ${error.reason.message}`, Cause.fail(error))
    })
  }

  /**
   * What comes after a refusal, before the job is let go: it is said, and a pause is waited, longer with each refusal until
   * the server has done something again. A shutdown does not wait.
   *
   * @returns whether the pause was waited
   */
  backOff(error: Errors.BeanstalkdError): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const now = this.#clock.currentTimeMillisUnsafe()
      // Jobs that are refused together wait together: otherwise their number would make the pause a long one.
      if (now >= this.#pauseEndsAt) {
        this.#pauseMillis = Math.min(Math.max(FIRST_PAUSE_MILLIS, 2 * this.#pauseMillis), LONGEST_PAUSE_MILLIS)
        this.#pauseEndsAt = now + this.#pauseMillis
      }
      return Effect.andThen(
        this.say(error.command, error),
        Effect.map(this.#userCode.run(Effect.sleep(this.#pauseMillis)), ({ _tag }) => _tag === "Returned")
      )
    })
  }

  /** The server has settled a job. */
  reset(): void {
    this.#pauseMillis = 0
    this.#pauseEndsAt = 0
  }

  /** The server does not have `stats-job`. */
  cannotTell(server: string): boolean {
    return this.#without.has(server)
  }

  /** Remembers what a refused `stats-job` tells about the server: without the command it is of no use to ask again. */
  learn({ reason, server }: Errors.BeanstalkdError): void {
    if (reason._tag === "UnknownCommand") this.#without.add(server)
  }

  /** Counts a failed run of a job of which the server does not tell how often it was reserved. */
  countersOf(job: ReservedJob): Pick<Counters, "reserves" | "kicks"> {
    const key = job.ref.toString()
    const reserves = (this.#runs.get(key) ?? 0) + 1
    this.#runs.delete(key)
    this.#runs.set(key, reserves)
    if (this.#runs.size > MAX_COUNTED) this.#runs.delete(this.#runs.keys().next().value!)
    return { reserves, kicks: 0 }
  }

  /** The job is settled for good. */
  forget(job: ReservedJob): void {
    if (this.#runs.size > 0) this.#runs.delete(job.ref.toString())
  }
}
