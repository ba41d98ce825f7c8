/**
 * What the files of a binlog say together: which jobs there are, and what of the files makes no sense.
 *
 * A record that makes no sense is **torn** if its server was ended while it wrote: nothing was acknowledged that is not
 * read. Everything else is **damaged**: jobs may be missing that were acknowledged, so nobody must go on as if they were
 * not.
 */
import type { Body } from "../server/requestParser.ts"
import type { JobRecord } from "./recordReader.ts"

/** What is wrong with a file, at which place of it. */
export interface Problem {
  readonly file: string
  readonly offset: number
  readonly kind: "torn" | "damaged" | "version" | "gap" | "unreadable"
  readonly detail: string
}

/** A job as its last record has it. */
export interface RecoveredJob {
  readonly tube: string
  readonly body: Body
  /** The number of the file with its last full record, and how many bytes that takes. */
  readonly file: number
  readonly size: number
  record: JobRecord
  /** Whether a file of ours has its last record, where a buried job keeps the time at which it was buried. */
  isOurs: boolean
  /** The place of its last record among all. */
  order: number
}

/** A file that was read. */
export interface RecoveredFile {
  readonly number: number
  /** Where the last record that made sense ends. */
  readonly end: number
  readonly bytes: number
  /** Whether it holds nothing and is ours to go on with: there is no record in it but a marker, and zeros behind. */
  readonly isEmpty: boolean
  readonly hasMarker: boolean
  readonly hasChecksums: boolean
  /** Whether records that make sense are behind its end. */
  readonly hasMore: boolean
}

/** The jobs, gathered record by record. */
export class Recovery {
  readonly jobs = new Map<number, RecoveredJob>()
  readonly files: Array<RecoveredFile> = []
  readonly problems: Array<Problem> = []
  nextId = 1
  lastEpoch = 0
  #order = 0

  problem(kind: Problem["kind"], file: string, offset: number, detail: string): void {
    this.problems.push({ kind, file, offset, detail })
  }

  /** No job may get an id up to this one. */
  hasSeen(id: number): void {
    if (id >= this.nextId) this.nextId = id + 1
  }

  put(record: JobRecord, tube: string, body: Body, file: number, size: number, isOurs: boolean): void {
    this.hasSeen(record.id)
    // beanstalkd leaves a job where the first of its records put it.
    const name = this.jobs.get(record.id)?.tube ?? tube
    this.jobs.set(record.id, { tube: name, body, file, size, record, isOurs, order: ++this.#order })
  }

  /** A change of a job, which is of no job any more if the job was deleted or written again. */
  change(record: JobRecord, isOurs: boolean): void {
    const job = this.jobs.get(record.id)
    if (job === undefined) return
    if (record.state === "deleted") {
      this.jobs.delete(record.id)
      return
    }
    job.record = record
    job.isOurs = isOurs
    job.order = ++this.#order
  }

  /** The buried jobs in the order in which they were buried. */
  buried(): ReadonlyArray<RecoveredJob> {
    const all = [...this.jobs.values()].filter(({ record }) => record.state === "buried")
    const inOrder = all.toSorted((a, b) => a.order - b.order)
    // A job that was written again is at another place; ours has its time besides.
    const ours = inOrder.filter(({ isOurs }) => isOurs).toSorted((a, b) =>
      a.record.deadlineAt - b.record.deadlineAt || a.order - b.order
    )
    let next = 0
    return inOrder.map((job) => job.isOurs ? ours[next++]! : job)
  }
}
