/**
 * Jobs on which the worker has come to a final verdict that could not be carried out: the handler has succeeded but the
 * lease was lost meanwhile, or the server refused to delete or to bury the job, or has not answered yet. When the worker
 * reserves one of them again, it carries out the verdict instead of doing the work a second time.
 */
import * as Hash from "effect/Hash"
import type { JobCounters } from "../job/lease.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import type { JobId } from "../protocol/scalars.ts"
import type { Bury, GiveUp } from "./policy.ts"

/** The oldest are forgotten first: they run again, as every job may. */
const MAX_REMEMBERED = 10_000

/** A verdict after which a job does not run again. */
export type FinalVerdict<E> = { readonly _tag: "Delete" } | GiveUp<E> | Bury<E>

interface Finished<E> {
  /** A moment at which the job was there, in milliseconds. */
  readonly since: number
  readonly reserves: number
  readonly body: number
  readonly verdict: FinalVerdict<E>
}

const DELETE = { _tag: "Delete" } as const

interface Deleting {
  readonly job: ReservedJob
  /** When its handler began. */
  readonly since: number
  readonly reserves: number
}

const reservesOf = (job: ReservedJob): number => job.known?.reserves ?? 1

const keyOf = (job: ReservedJob): string => job.ref.toString()

const hashOf = (job: ReservedJob): number => Hash.array([...job.body])

/** By server and id: an id alone is that of a job on each of several servers. */
class DeletingJobs {
  readonly #byServer = new Map<string, Map<JobId, Deleting>>()

  get({ id, server }: ReservedJob): Deleting | undefined {
    return this.#byServer.get(server)?.get(id)
  }

  set(deleting: Deleting): void {
    const { id, server } = deleting.job
    const known = this.#byServer.get(server)
    if (known === undefined) this.#byServer.set(server, new Map([[id, deleting]]))
    else known.set(id, deleting)
  }

  delete({ id, server }: ReservedJob): void {
    this.#byServer.get(server)?.delete(id)
  }
}

/** Remembers the jobs of one worker. */
export class FinishedJobs<E> {
  readonly #finished = new Map<string, Finished<E>>()
  /** Jobs that are done and whose delete has not been answered. */
  readonly #deleting = new DeletingJobs()
  /** Jobs that are put once more. Whether they are done is not known until the copy is there and the job is deleted. */
  readonly #replaced = new Map<string, ReservedJob>()

  /**
   * The work is done, and the delete is on its way. The lease may be over, and the next one come here, long before the answer:
   * on another connection, if this one has silently died.
   */
  onDeleting(job: ReservedJob, since: number): void {
    this.#deleting.set({ job, since, reserves: reservesOf(job) })
  }

  /** The delete was answered, or never will be. */
  onDeleteAnswered(job: ReservedJob): void {
    if (this.#deleting.get(job)?.job === job) this.#deleting.delete(job)
  }

  /** A copy of the job is about to be put in its place. */
  onReplacing(job: ReservedJob): void {
    this.#replaced.set(keyOf(job), job)
  }

  /** The job is deleted, or stays. */
  onReplaced(job: ReservedJob): void {
    if (this.#replaced.get(keyOf(job)) === job) this.#replaced.delete(keyOf(job))
  }

  /** Whether a copy is being put in place of this job, for an earlier lease whose time has run out meanwhile. */
  isBeingReplaced(job: ReservedJob): boolean {
    return this.#replaced.size > 0 && this.#replaced.has(keyOf(job))
  }

  /** There is a verdict on this job, which was there at `since`. */
  add(job: ReservedJob, since: number, verdict: FinalVerdict<E>): void {
    const key = keyOf(job)
    this.#finished.delete(key)
    this.#finished.set(key, { since, reserves: this.#reservesOf(job), body: hashOf(job), verdict })
    if (this.#finished.size > MAX_REMEMBERED) this.#finished.delete(this.#finished.keys().next().value!)
  }

  /** Whether there may be a verdict on this job: {@link verdictOn} tells, from its counters. */
  has(job: ReservedJob): boolean {
    return this.#deleting.get(job) !== undefined || this.isBeingReplaced(job) ||
      (this.#finished.size > 0 && this.#finished.has(keyOf(job)))
  }

  /**
   * The verdict on this very job, by its counters as they were asked for at `askedAt`. A server that was restarted without a
   * binlog gives ids a second time: such a job is younger than the one that was finished, and has been reserved less often.
   */
  verdictOn(
    job: ReservedJob,
    { age, reserves }: Pick<JobCounters, "age" | "reserves">,
    askedAt: number
  ): FinalVerdict<E> | undefined {
    if (!this.has(job)) return undefined
    const finished = this.#finished.get(keyOf(job)) ?? this.#beingDeleted(job)
    const isSame = finished !== undefined && reserves > finished.reserves &&
      age >= Math.floor((askedAt - finished.since) / 1000) && finished.body === hashOf(job)
    return isSame ? finished.verdict : undefined
  }

  #beingDeleted(again: ReservedJob): Finished<E> | undefined {
    const deleting = this.#deleting.get(again)
    if (deleting === undefined) return undefined
    const { job, reserves, since } = deleting
    return { since, reserves, body: hashOf(job), verdict: DELETE }
  }

  // What is answered after the delete has left can be the counters of a later lease.
  #reservesOf(job: ReservedJob): number {
    const deleting = this.#deleting.get(job)
    return deleting?.job === job ? deleting.reserves : reservesOf(job)
  }

  /** The verdict was carried out. */
  remove(job: ReservedJob): void {
    if (this.#finished.size > 0) this.#finished.delete(keyOf(job))
  }
}
