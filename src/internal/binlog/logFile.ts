/**
 * A file of the log, and the jobs whose last full record it has.
 */
import { List } from "../server/collections.ts"
import type { StoredJob } from "../server/entities.ts"
import type { JournalEntry } from "../server/journal.ts"
import type { DiskFile } from "./disk.ts"
import { HEADER_BYTES, VERSION } from "./format.ts"

/** The name of a file. */
export const nameOf = (number: number): string => `binlog.${number}`

// beanstalkd has no larger number, and the next one must fit too.
const MAX_NUMBER = 2 ** 31 - 2

/** The number of a file, or undefined if this is no name of one. */
export const numberOf = (name: string): number | undefined => {
  const found = /^binlog\.([1-9]\d*)$/.exec(name)
  const number = Number(found?.[1])
  return number <= MAX_NUMBER ? number : undefined
}

const HEADER = Buffer.of(VERSION, 0, 0, 0)
const ZEROS = Buffer.alloc(1024 * 1024)

/** Writes the version of a file, without which it is none. */
export const writeHeader = (handle: DiskFile): void => handle.write(HEADER, 0, HEADER_BYTES, 0)

/** Writes zeros, so that the disk has room for what is to come there. */
export const writeZeros = (handle: DiskFile, from: number, to: number): void => {
  for (let at = from; at < to; at += ZEROS.length) handle.write(ZEROS, 0, Math.min(ZEROS.length, to - at), at)
}

/** What the log knows of a job. */
export class LogEntry implements JournalEntry {
  readonly job: StoredJob
  file: LogFile
  /** How many bytes its full record takes. */
  readonly size: number
  /** In microseconds since 1970, if it is buried. */
  buriedAt: number
  /** How often it had been released, buried or kicked when it was last recorded. */
  changes = 0
  previous: LogEntry | undefined
  next: LogEntry | undefined

  constructor(job: StoredJob, file: LogFile, size: number, buriedAt: number) {
    this.job = job
    this.file = file
    this.size = size
    this.buriedAt = buriedAt
  }

  get fileNumber(): number {
    return this.file.number
  }
}

/** A file. */
export class LogFile {
  readonly number: number
  readonly entries = new List<LogEntry>()
  /** Only of a file that is written to. */
  handle: DiskFile | undefined
  /** How many bytes it has on the disk. */
  size: number
  /** Where the next record goes. */
  end: number
  /** How many of its bytes the system has. */
  written: number
  /** How many of its bytes are durable. */
  synced = 0
  /** Whether it is durable that it exists. */
  isKnown = false

  constructor(number: number, size: number, end: number, handle?: DiskFile) {
    this.number = number
    this.size = size
    this.end = this.written = end
    this.handle = handle
  }

  get name(): string {
    return nameOf(this.number)
  }

  /** How many bytes are left. */
  get rest(): number {
    return this.size - this.end
  }

  /** Cuts off what is behind its records. */
  trim(): void {
    if (this.rest === 0) return
    this.handle!.truncate(this.end)
    this.size = this.end
  }

  close(): void {
    this.handle?.close()
    this.handle = undefined
  }
}
