/**
 * The files of the log: the old ones with their jobs, the one that is written to, and spare ones, full of zeros, whose room
 * is on the disk already.
 *
 * There is always room for the delete of every job, so that a delete never fails. Whatever else is to be recorded must ask
 * first.
 */
import type { Disk } from "./disk.ts"
import { HEADER_BYTES, SHORT_BYTES } from "./format.ts"
import { LogFile, writeHeader, writeZeros } from "./logFile.ts"

/** The least that a file can be told to take: a marker and a few records. */
const LEAST_SIZE = 512

/** How large files get that were told to be of this size. */
export const usedSize = (fileSize: number): number => Math.max(fileSize, LEAST_SIZE)

// What a file has before its first record.
const PREFIX = HEADER_BYTES + SHORT_BYTES

/** How many records without a body go into so many bytes. */
const slots = (bytes: number): number => Math.max(0, Math.floor(bytes / SHORT_BYTES))

const spareSlots = ({ size }: LogFile): number => slots(size - PREFIX)

/** How many bytes an old file counts for at least, so that many small ones are put together. */
const leastCount = (fileSize: number): number => Math.floor(fileSize / 8)

/** The files, oldest first. */
export class Space {
  readonly disk: Disk
  readonly fileSize: number
  readonly #retryMillis: number
  readonly #now: () => number
  readonly #onNext: (left: LogFile, next: LogFile) => void
  readonly #onNoRoom: (file: string, cause: unknown) => void
  /** All that were left and still have jobs, or a delete that an older one needs. */
  readonly old: Array<LogFile> = []
  /** How many bytes the old files count for. */
  oldBytes = 0
  /** Those of them that have not been cut and closed. */
  #left: Array<LogFile> = []
  /** Counts the changes of what all files take. */
  changes = 0
  current: LogFile
  readonly spares: Array<LogFile> = []
  #spareSlots = 0
  /** How many deletes are to come. */
  jobs = 0
  #noRoomUntil = -Infinity
  /** Why there was no room the last time. */
  failure: unknown

  /**
   * `empty` are files without a record to go on with. `onNext` is called when the next file is written to, to begin it, and
   * `onNoRoom` when a file cannot be made.
   */
  constructor(
    options: {
      readonly disk: Disk
      readonly fileSize: number
      readonly retryMillis: number
      readonly now: () => number
      readonly onNext: (left: LogFile, next: LogFile) => void
      readonly onNoRoom: (file: string, cause: unknown) => void
    },
    old: ReadonlyArray<LogFile>,
    empty: ReadonlyArray<LogFile>
  ) {
    this.disk = options.disk
    this.fileSize = usedSize(options.fileSize)
    this.#retryMillis = options.retryMillis
    this.#now = options.now
    this.#onNext = options.onNext
    this.#onNoRoom = options.onNoRoom
    for (const file of old) this.#addOld(file)
    for (const file of empty) this.#addSpare(file)
    this.current = this.#takeSpare() ?? this.#make((old.at(-1)?.number ?? 0) + 1)
  }

  /** The oldest file. */
  get oldest(): LogFile {
    return this.old[0] ?? this.current
  }

  /** How many bytes all files have on the disk. */
  get bytes(): number {
    return [...this.old, this.current, ...this.spares].reduce((sum, { size }) => sum + size, 0)
  }

  get count(): number {
    return this.old.length + 1 + this.spares.length
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Room
  // -------------------------------------------------------------------------------------------------------------------

  /** Whether a record of so many bytes leaves room for `deletes`; makes that room if it can. */
  hasRoomFor(bytes: number, deletes: number): boolean {
    while (this.#slotsAfter(bytes) < deletes) {
      if (!this.#makeRoom(bytes)) return false
    }
    return true
  }

  /** How many deletes have room behind a record of so many bytes, or -1 if that itself has none. */
  #slotsAfter(bytes: number): number {
    const { rest } = this.current
    if (bytes <= rest) return slots(rest - bytes) + this.#spareSlots
    const next = this.spares[0]
    if (next === undefined || bytes > next.size - PREFIX) return -1
    return slots(next.size - PREFIX - bytes) + this.#spareSlots - spareSlots(next)
  }

  #makeRoom(bytes: number): boolean {
    if (this.#now() < this.#noRoomUntil) return false
    try {
      const next = this.spares[0]
      // A record that is larger than a file has one to itself.
      const isOversized = next !== undefined && bytes > this.current.rest && bytes > next.size - PREFIX
      if (isOversized) this.#grow(next, PREFIX + bytes)
      else this.#addSpare(this.#make((this.spares.at(-1) ?? this.current).number + 1))
      return true
    } catch (error) {
      // It fills the disk each time that it is tried.
      this.#noRoomUntil = this.#now() + this.#retryMillis
      this.failure = error
      this.#onNoRoom((this.spares.at(-1) ?? this.current).name, error)
      return false
    }
  }

  /** Whether a spare file should be made before it is needed. */
  get wantsSpare(): boolean {
    const next = this.spares[0]
    if (next === undefined) return true
    const isSoonNeeded = this.current.rest < this.current.size / 2
    return this.#spareSlots - (isSoonNeeded ? spareSlots(next) : 0) < this.jobs
  }

  /** Makes a spare file, and gives it if there was room. */
  prepare(): LogFile | undefined {
    return this.#makeRoom(0) ? this.spares.at(-1) : undefined
  }

  /** Removes a spare file that jobs needed which have gone. */
  dropSurplus(): void {
    const last = this.spares.at(-1)
    if (last === undefined || this.spares.length < 3 || this.#spareSlots - 2 * spareSlots(last) < this.jobs) return
    this.spares.pop()
    this.#spareSlots -= spareSlots(last)
    last.close()
    this.disk.remove(last.name)
    this.changes++
  }

  #make(number: number): LogFile {
    const file = new LogFile(number, this.fileSize, HEADER_BYTES)
    file.handle = this.disk.create(file.name)
    try {
      writeHeader(file.handle)
      writeZeros(file.handle, HEADER_BYTES, this.fileSize)
      this.changes++
      return file
    } catch (error) {
      file.close()
      this.disk.remove(file.name)
      throw error
    }
  }

  #grow(file: LogFile, size: number): void {
    try {
      writeZeros(file.handle!, file.size, size)
    } catch (error) {
      file.handle!.truncate(file.size)
      throw error
    }
    this.#spareSlots -= spareSlots(file)
    file.size = size
    file.isKnown = false
    this.changes++
    this.#spareSlots += spareSlots(file)
  }

  #addSpare(file: LogFile): void {
    this.spares.push(file)
    this.#spareSlots += spareSlots(file)
  }

  #takeSpare(): LogFile | undefined {
    const file = this.spares.shift()
    if (file !== undefined) this.#spareSlots -= spareSlots(file)
    return file
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Use
  // -------------------------------------------------------------------------------------------------------------------

  /** The file that a record of so many bytes goes into, for which there must be room. */
  claim(bytes: number): LogFile {
    if (bytes > this.current.rest) this.#next()
    return this.current
  }

  #next(): void {
    const left = this.current
    this.#addOld(left)
    this.#left.push(left)
    this.current = this.#takeSpare()!
    this.#onNext(left, this.current)
  }

  #addOld(file: LogFile): void {
    this.old.push(file)
    this.oldBytes += this.#counted(file)
  }

  #removeOld(): void {
    this.oldBytes -= this.#counted(this.old.shift()!)
    this.changes++
  }

  /** How many of these bytes are those of the first files, which no job needs. */
  get unusedBytes(): number {
    let bytes = 0
    for (const file of this.old) {
      if (file.entries.size > 0) break
      bytes += this.#counted(file)
    }
    return bytes
  }

  #counted({ end }: LogFile): number {
    return Math.max(end, leastCount(this.fileSize))
  }

  /** Cuts and closes the old files of which all is where it has to be. */
  closeLeft(): void {
    if (this.#left.length === 0) return
    for (const file of this.#left) {
      if (file.handle === undefined || file.written < file.end) continue
      file.trim()
      if (file.synced === file.end) file.close()
    }
    this.#left = this.#left.filter(({ handle }) => handle !== undefined)
    this.changes++
  }

  /** Removes the oldest file. */
  removeOldest(): void {
    const file = this.old[0]!
    file.close()
    this.disk.remove(file.name)
    this.#removeOld()
  }

  /** Removes the files up to this number, or gives the paths to which they were moved instead. */
  removeUpTo(number: number, setAside: (name: string) => string | undefined): ReadonlyArray<string> {
    const moved: Array<string> = []
    for (let file = this.old[0]; file !== undefined && file.number <= number; file = this.old[0]) {
      const path = setAside(file.name)
      if (path === undefined) this.disk.remove(file.name)
      else moved.push(path)
      this.#removeOld()
      this.disk.syncDirectoryNow()
    }
    return moved
  }

  close(): void {
    for (const file of [...this.old, this.current, ...this.spares]) file.close()
  }
}
