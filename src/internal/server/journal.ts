/**
 * What a store tells as it happens, so that its jobs can be had back after a restart. Replayed in order into an empty
 * store, a journal gives the same jobs in the same states; those that were reserved are ready.
 */
import type { StoredJob } from "./entities.ts"

/** What a journal knows of a job. */
export interface JournalEntry {
  /** The number of the file that has the job. */
  readonly fileNumber: number
}

/** What the statistics say of a journal. */
export interface BinlogFacts {
  readonly oldest: number
  readonly current: number
  readonly migrated: number
  readonly written: number
  readonly maxSize: number
}

/** Hears of every durable change. It is called before any client can hear of the change. */
export interface Journal {
  /** Whether there is room for a new job, which the journal must be asked before each. */
  readonly hasRoomForPut: (tube: string, bodySize: number) => boolean
  /** The same for a job that is released, buried or kicked, or reserved while it is delayed or buried. */
  readonly hasRoomForChange: () => boolean
  /** There is a new job: with its id, tube, body, `pri`, `delay` and `ttr`, in its first state. */
  readonly put: (job: StoredJob) => void
  /**
   * A job has gone into another state: `ready`, `delayed` (until its `deadline`) or `buried`, with the `pri` and `delay` that
   * it has now. Of a reserve it hears only when that takes a delayed or a buried job, by its id: this job is reserved, and
   * after a restart it is ready, as all that were reserved are.
   */
  readonly state: (job: StoredJob) => void
  /** A job has gone. It is as it was last, for a record that repeats it. There is always room for this. */
  readonly deleted: (job: StoredJob) => void
}
