/**
 * Records on their way to the disk: bytes one after another, and which file each run of them belongs to.
 */
import type { StoredJob } from "../server/entities.ts"
import { at, checksum, MAGIC, type RecordState, SHORT_BYTES, stateNumber, writeMicros, writeWide } from "./format.ts"
import type { LogFile } from "./logFile.ts"

/** A run of bytes of one file. `offset` is where it goes there. */
export interface Piece {
  readonly file: LogFile
  readonly offset: number
  readonly from: number
  to: number
}

/** The times of a record, in microseconds since 1970. */
export interface Times {
  readonly createdAt: number
  readonly deadlineAt: number
}

/** What a marker says. */
export interface Marker {
  readonly nextId: number
  /** How many bytes of the file before it were used, and how many of them were durable when it was left. 0 if there is none. */
  readonly previousEnd: number
  readonly previousSynced: number
}

const CR = 13
const LF = 10

const FIRST_ROOM = 64 * 1024

// A burst must not keep its memory for good.
const MOST_KEPT = 4 * 1024 * 1024

/** A buffer that grows. */
export class RecordBuffer {
  bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_ROOM)
  #view = new DataView(this.bytes.buffer)
  length = 0
  pieces: Array<Piece> = []

  clear(): void {
    this.length = 0
    this.pieces = []
    if (this.bytes.length > MOST_KEPT) this.#resize(FIRST_ROOM)
  }

  #resize(size: number): void {
    const bytes = Buffer.allocUnsafeSlow(size)
    this.bytes.copy(bytes, 0, 0, this.length)
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }

  #claim(file: LogFile, size: number): number {
    const from = this.length
    const to = from + size
    if (to > this.bytes.length) this.#resize(Math.max(to, 2 * this.bytes.length))
    const last = this.pieces.at(-1)
    if (last?.file === file) last.to = to
    else this.pieces.push({ file, offset: file.end, from, to })
    file.end += size
    this.length = to
    return from
  }

  /** Appends a job as it is, with its tube and body. */
  full(file: LogFile, job: StoredJob, times: Times, stamp: number): void {
    const { body, state, tube: { name } } = job
    const from = this.#claim(file, fullSize(name, body.length))
    const { bytes } = this
    this.#view.setInt32(from, name.length, true)
    bytes.write(name, from + 4, "latin1")
    const record = from + 4 + name.length
    this.#record(record, job, state, times, stamp)
    const start = record + SHORT_BYTES - 4
    if (typeof body === "string") bytes.write(body, start, "latin1")
    else bytes.set(body, start)
    bytes[start + body.length] = CR
    bytes[start + body.length + 1] = LF
    this.#seal(from, record)
  }

  /** Appends a change of a job. */
  short(file: LogFile, job: StoredJob, state: RecordState, times: Times, stamp: number): void {
    const from = this.#claim(file, SHORT_BYTES)
    this.#view.setInt32(from, 0, true)
    this.#record(from + 4, job, state, times, stamp)
    this.#seal(from, from + 4)
  }

  /** Appends the first record of a file. */
  marker(file: LogFile, { nextId, previousEnd, previousSynced }: Marker, stamp: number): void {
    const from = this.#claim(file, SHORT_BYTES)
    const record = from + 4
    const view = this.#view
    this.bytes.fill(0, from, from + SHORT_BYTES)
    writeWide(view, record + at.id, nextId)
    view.setUint32(record + at.magic, MAGIC, true)
    writeWide(view, record + at.createdAt, previousEnd)
    writeWide(view, record + at.deadlineAt, previousSynced)
    view.setUint32(record + at.state, stamp * 256, true)
    this.#seal(from, record)
  }

  #seal(from: number, record: number): void {
    this.#view.setUint32(record + at.crc, checksum(this.bytes, from, this.length, record), true)
  }

  #record(record: number, job: StoredJob, state: RecordState, { createdAt, deadlineAt }: Times, stamp: number): void {
    const view = this.#view
    writeWide(view, record + at.id, job.id)
    view.setUint32(record + at.pri, job.pri, true)
    writeMicros(view, record + at.delay, job.delay * 1e6)
    writeMicros(view, record + at.ttr, job.ttr * 1e6)
    view.setInt32(record + at.bodySize, job.body.length + 2, true)
    view.setUint32(record + at.magic, 0, true)
    writeMicros(view, record + at.createdAt, createdAt)
    writeMicros(view, record + at.deadlineAt, deadlineAt)
    view.setUint32(record + at.reserves, job.reserves, true)
    view.setUint32(record + at.timeouts, job.timeouts, true)
    view.setUint32(record + at.releases, job.releases, true)
    view.setUint32(record + at.buries, job.buries, true)
    view.setUint32(record + at.kicks, job.kicks, true)
    view.setUint32(record + at.state, stamp * 256 + stateNumber[state], true)
  }
}

/** How many bytes the full record of a job takes. */
export const fullSize = (tube: string, bodySize: number): number => SHORT_BYTES + tube.length + bodySize + 2
