/**
 * Reads one file of a binlog into a recovery, and judges what makes no sense in it.
 */
import { bodyOf } from "../server/requestParser.ts"
import { endedOf, epochOf, epochsBetween, HEADER_BYTES, isFirstOf } from "./format.ts"
import type { Marker } from "./recordBuffer.ts"
import type { Found, JobRecord, RecordReader } from "./recordReader.ts"
import type { Recovery } from "./recovery.ts"

type Full = Extract<Found, { _tag: "Full" }>

/** How a file is read. */
export interface Options {
  readonly name: string
  readonly number: number
  readonly reader: RecordReader
  /** What the file behind it says of this one. */
  readonly next: Marker | undefined
  /** Whether to go on behind what is damaged. */
  readonly salvage: boolean
}

/** The reading of one file. */
class FileScan {
  readonly #options: Options
  readonly #recovery: Recovery
  readonly #hasChecksums: boolean
  readonly #end: number
  #isEmpty = true

  constructor(options: Options, recovery: Recovery, hasChecksums: boolean) {
    this.#options = options
    this.#recovery = recovery
    this.#hasChecksums = hasChecksums
    // What is behind the end that the next file knows was torn then, and has been told.
    this.#end = options.next !== undefined && options.next.previousEnd > 0 ? options.next.previousEnd : Infinity
  }

  /** Whether records were dropped that make sense. */
  hasMore = false

  run(): { readonly end: number; readonly isEmpty: boolean } {
    const { reader } = this.#options
    let from = HEADER_BYTES
    let sound = from
    while (from < this.#end) {
      const found = reader.read(from)
      const next = this.#take(found, from)
      if (next !== undefined) {
        from = sound = next
        continue
      }
      if (found._tag === "End" && reader.lastByte(from) < from) {
        if (this.#end !== Infinity) this.#missing(from)
        return { end: from, isEmpty: this.#isEmpty }
      }
      this.#isEmpty = false
      const on = this.#judge(found, from)
      if (on === undefined) return { end: sound, isEmpty: false }
      from = on
    }
    return { end: sound, isEmpty: this.#isEmpty }
  }

  /** Takes what makes sense, and gives the place behind it. */
  #take(found: Found, from: number): number | undefined {
    if (found._tag === "Full") {
      this.#full(found, from)
      return found.end
    }
    if (found._tag !== "Short") return undefined
    const { end, record } = found
    if (from === HEADER_BYTES && this.#hasChecksums) {
      this.#recovery.hasSeen(record.id - 1)
      this.#stamped(record)
      return end
    }
    const known = this.#recovery.jobs.get(record.id)
    if (!this.#hasChecksums && known !== undefined) {
      const isLast = this.#options.reader.lastByte(from) < end
      if (!isSame(known.record, record) || (isLast && isTornDelete(known.record, record))) return undefined
    }
    this.#isEmpty = false
    this.#stamped(record)
    this.#recovery.change(record, this.#hasChecksums)
    return end
  }

  #full({ body, end, record, tube }: Full, from: number): void {
    const { name, number, reader } = this.#options
    this.#isEmpty = false
    if (record.id >= Number.MAX_SAFE_INTEGER) {
      const most = Number.MAX_SAFE_INTEGER - 1
      return this.#recovery.problem(
        "damaged",
        name,
        from,
        `a job whose id is above ${most}, the largest that this server has`
      )
    }
    this.#stamped(record)
    const bytes = bodyOf(reader.bytes, body, record.bodySize - 2, true)
    this.#recovery.put(record, tube, bytes, number, end - from, this.#hasChecksums)
  }

  #stamped({ stamp }: JobRecord): void {
    if (this.#hasChecksums && stamp !== 0) this.#recovery.lastEpoch = epochOf(stamp)
  }

  // Zeros from a record on are what a power failure leaves of what was not durable.
  #missing(from: number): void {
    const { name, next } = this.#options
    const kind = from < next!.previousSynced ? "damaged" : "torn"
    this.#recovery.problem(kind, name, from, `it ended at ${this.#end}, and the bytes from here on are missing`)
  }

  /** What makes no sense is told; the place where to go on is given, if that is meant to be. */
  #judge(found: Found, from: number): number | undefined {
    const { name, next, salvage } = this.#options
    const why = this.#why(found)
    const follower = this.#follower(from + 1)
    if (!this.#hasChecksums) this.#recovery.hasSeen(idOf(found))
    // beanstalkd keeps a job whose body it never wrote, and writes others behind it.
    if (found._tag === "Unended" && !this.#hasChecksums && follower !== undefined) {
      this.#recovery.problem("torn", name, from, why)
      return found.end
    }
    const wasDurable = next !== undefined && from < next.previousSynced
    if (!wasDurable && (follower === undefined || this.#mayBeTorn(follower))) {
      const rest = follower === undefined ? "" : ", and what is behind it was not durable either"
      if (follower !== undefined) this.#pass(follower)
      this.#recovery.problem("torn", name, from, `${why}${rest}`)
      return undefined
    }
    this.#recovery.problem("damaged", name, from, why)
    return salvage ? follower : undefined
  }

  /** The ids of jobs that are dropped must not come back. */
  #pass(from: number): void {
    this.hasMore = true
    for (let at: number | undefined = from; at !== undefined;) {
      const found = this.#options.reader.read(at)
      if (found._tag === "Full") this.#recovery.hasSeen(found.record.id)
      at = found._tag === "Full" || found._tag === "Short" ? found.end : this.#follower(at + 1)
    }
  }

  #why(found: Found): string {
    switch (found._tag) {
      case "Bad":
        return found.why
      case "Unended":
        return `job ${found.record.id} has no end`
      case "End":
        return "zeros, and something behind them"
      case "Full":
      case "Short":
        return `a change of job ${found.record.id} that does not fit it`
    }
  }

  /** The next place at which a record makes sense. */
  #follower(from: number): number | undefined {
    const { reader } = this.#options
    const last = Math.min(reader.lastByte(from), this.#end - 1)
    for (let at = from; at <= last; at++) {
      const found = reader.read(at)
      if (found._tag === "Full") return at
      if (found._tag !== "Short") continue
      if (this.#hasChecksums) return at
      const known = this.#recovery.jobs.get(found.record.id)
      if (known !== undefined && isSame(known.record, found.record)) return at
    }
    return undefined
  }

  /** Whether what is before this place need not have been durable when the records from here on were written. */
  #mayBeTorn(from: number): boolean {
    if (!this.#hasChecksums) return false
    const { reader } = this.#options
    let epoch: number | undefined
    for (let at: number | undefined = from; at !== undefined;) {
      const found = reader.read(at)
      if (found._tag !== "Full" && found._tag !== "Short") {
        at = this.#follower(at + 1)
        continue
      }
      const { stamp } = found.record
      if (stamp === 0) return false
      epoch ??= epochOf(stamp) - (isFirstOf(stamp) ? 1 : 0)
      if (epochsBetween(epoch, endedOf(stamp)) > 0) return false
      at = found.end
    }
    return true
  }
}

/** The id of a job that was not written to its end, or 0. */
const idOf = (found: Found): number => {
  if (found._tag === "Bad") return found.id
  return found._tag === "Unended" && found.record.id < Number.MAX_SAFE_INTEGER ? found.record.id : 0
}

/** What never changes in the life of a job. */
const isSame = (a: JobRecord, b: JobRecord): boolean =>
  a.bodySize === b.bodySize && a.createdAt === b.createdAt && a.ttr === b.ttr

// beanstalkd sets the end of a delay anew when it starts, to some microseconds later.
const RESTART_MICROS = 1e6

const COUNTS = ["reserves", "timeouts", "releases", "buries", "kicks"] as const

// A short record of which the end was never written looks like a delete. A real one is the whole job once more: counts never
// fall, and what else has changed, has changed with one of them, or was touched.
const isTornDelete = (before: JobRecord, record: JobRecord): boolean => {
  if (record.state !== "deleted") return false
  if (COUNTS.some((count) => record[count] < before[count])) return true
  if (COUNTS.some((count) => record[count] > before[count])) return false
  const isUntouched = before.state === "reserved" || Math.abs(before.deadlineAt - record.deadlineAt) < RESTART_MICROS
  return !isUntouched || before.pri !== record.pri || before.delay !== record.delay
}

/** Reads a file. */
export const scan = (options: Options, recovery: Recovery): void => {
  const { name, number, reader } = options
  const { bytes, header } = reader
  const add = (end: number, isEmpty: boolean, hasMarker: boolean, hasChecksums: boolean, hasMore = false) =>
    recovery.files.push({ number, bytes: bytes.length, end, isEmpty, hasMarker, hasChecksums, hasMore })
  switch (header._tag) {
    case "Unknown":
      recovery.problem("version", name, 0, header.why)
      return void add(bytes.length, false, false, false)
    case "Unborn": {
      const kind = (options.next?.previousSynced ?? 0) > 0 ? "damaged" : "torn"
      if (bytes.length > 0 && bytes.length < HEADER_BYTES) {
        recovery.problem(kind, name, 0, "the file ends within its version")
      } else if ((options.next?.previousEnd ?? 0) > HEADER_BYTES) {
        recovery.problem(kind, name, 0, "it had records, and is empty")
      }
      return void add(HEADER_BYTES, true, false, false)
    }
    case "Records": {
      const { hasChecksums, marker, version } = header
      const fileScan = new FileScan(options, recovery, hasChecksums)
      const { end, isEmpty } = fileScan.run()
      add(end, isEmpty && version === 7, marker !== undefined, hasChecksums, fileScan.hasMore)
    }
  }
}
