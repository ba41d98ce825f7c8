/**
 * The times in the records of a job.
 */
import type { LogEntry } from "./logFile.ts"
import type { Times } from "./recordBuffer.ts"
import type { WallClock } from "./wallClock.ts"

/** Tells the times of jobs. */
export class EntryTimes {
  readonly #clock: WallClock
  readonly #now: () => number
  #lastBuriedAt = 0

  constructor(clock: WallClock, now: () => number) {
    this.#clock = clock
    this.#now = now
  }

  of({ buriedAt, job }: LogEntry): Times {
    const createdAt = this.#clock.past(job.createdAt)
    if (job.state === "delayed") return { createdAt, deadlineAt: this.#clock.future(job.deadline) }
    // The order in which jobs were buried stays when they are written again. beanstalkd does not read it.
    return { createdAt, deadlineAt: job.state === "buried" ? buriedAt : 0 }
  }

  /** The time of a job that is buried now. */
  buriedNow(): number {
    return this.buriedAt(this.#clock.future(this.#now()))
  }

  /** The same of a job that was buried at that time, or later if another one was buried at it. */
  buriedAt(time: number): number {
    this.#lastBuriedAt = Math.max(this.#lastBuriedAt + 1, time)
    return this.#lastBuriedAt
  }
}
