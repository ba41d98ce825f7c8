/**
 * The journal of a store in files of beanstalkd's format.
 *
 * It records more than beanstalkd does: a release without a delay, and a reserve that takes a buried or a delayed job. It does
 * not record what a restart brings about by itself: a delay that ends, a lease that ends, a connection that ends.
 */
import type { StoredJob } from "../server/entities.ts"
import type { BinlogFacts, Journal } from "../server/journal.ts"
import type { Gate } from "../server/heldOutput.ts"
import { Compaction } from "./compaction.ts"
import type { Disk } from "./disk.ts"
import { EntryTimes } from "./entryTimes.ts"
import { isFull } from "./failure.ts"
import { HEADER_BYTES, type RecordState, SHORT_BYTES } from "./format.ts"
import { GroupCommit, type Trouble } from "./groupCommit.ts"
import { Housekeeping } from "./housekeeping.ts"
import { LogEntry, type LogFile } from "./logFile.ts"
import { fullSize } from "./recordBuffer.ts"
import type { LogObserver, SyncPolicy } from "./policy.ts"
import { Space } from "./space.ts"
import { Stamps } from "./stamps.ts"
import { Unsynced } from "./sync.ts"
import { Vouching } from "./vouching.ts"
import type { WallClock } from "./wallClock.ts"

/** What a log works with. */
export interface Options {
  readonly disk: Disk
  readonly fileSize: number
  readonly sync: SyncPolicy
  readonly clock: WallClock
  /** In milliseconds. */
  readonly now: () => number
  readonly after: (millis: number, task: () => void) => void
  readonly atEndOfTurn: (task: () => void) => void
  readonly onTrouble: (trouble: Trouble) => void
  /** The disk is full: puts are refused, until it no longer is. */
  readonly onFull: (cause: unknown) => void
  readonly observer: LogObserver
}

/** What the files had when the log was opened. */
export interface Beginning {
  readonly old: ReadonlyArray<LogFile>
  /** Files without a record, to go on with. */
  readonly empty: ReadonlyArray<LogFile>
  readonly nextId: number
  readonly lastEpoch: number
}

// Files that are to be removed do not wait longer than this for a sync.
const LONG_MILLIS = 1000

// How soon a disk that was full is asked again.
const RETRY_MILLIS = 1000

const changesOf = ({ buries, kicks, releases }: StoredJob): number => releases + buries + kicks

/** A log that is written. */
export class Binlog implements Journal {
  readonly #options: Options
  /** The number of the last file that it did not write. */
  readonly #before: number
  readonly #space: Space
  readonly #stamps: Stamps
  readonly #unsynced: Unsynced
  readonly #commit: GroupCommit
  readonly #compaction: Compaction
  #nextId: number
  readonly #times: EntryTimes
  #written = 0
  #isTimerSet = false
  readonly #vouching: Vouching
  readonly #housekeeping: Housekeeping
  #isSyncing = false
  #isClosed = false

  constructor(options: Options, beginning: Beginning) {
    const { after, atEndOfTurn, clock, disk, fileSize, now, observer, sync } = options
    this.#options = options
    this.#nextId = beginning.nextId
    this.#before = beginning.old.at(-1)?.number ?? 0
    this.#stamps = new Stamps(beginning.lastEpoch)
    this.#times = new EntryTimes(clock, now)
    this.#unsynced = new Unsynced(disk)
    this.#space = new Space(
      {
        disk,
        fileSize,
        retryMillis: RETRY_MILLIS,
        now,
        onNext: (left, next) => this.#begin(next, left),
        onNoRoom: (file, cause) => this.#onNoRoom(file, cause)
      },
      beginning.old,
      beginning.empty
    )
    this.#commit = new GroupCommit({
      disk,
      stamps: this.#stamps,
      unsynced: this.#unsynced,
      isDurable: sync === "always",
      atEndOfTurn,
      onSeal: () => this.#onSeal(),
      onTrouble: options.onTrouble,
      onWritten: observer.onWritten
    })
    this.#compaction = new Compaction({
      space: this.#space,
      rewrite: (entry) => this.#rewrite(entry),
      onTrouble: (trouble) => this.#commit.fail(trouble)
    })
    this.#vouching = new Vouching({
      after,
      written: () => this.#written,
      isQuiet: () => this.#commit.isOpen && this.#unsynced.isEmpty && !this.#isSyncing,
      vouch: () => this.#vouch()
    })
    this.#housekeeping = new Housekeeping({
      space: this.#space,
      compaction: this.#compaction,
      isSynced: sync !== "never",
      atEndOfTurn,
      onFiles: observer.onFiles,
      onTrouble: (trouble) => this.#commit.fail(trouble)
    })
    if (this.#space.current.end === HEADER_BYTES) this.#begin(this.#space.current, beginning.old.at(-1))
  }

  /** All jobs have been loaded. It throws what the system says if the disk has no room for their deletes. */
  start(): void {
    if (!this.#space.hasRoomFor(0, this.#space.jobs)) throw this.#space.failure
    // Its files are known by the beginning of the first one.
    if (this.#options.sync !== "never") this.#writeAndSync()
    this.#commit.request()
  }

  /**
   * Writes all jobs again, and removes the old files: those that `setAside` has moved elsewhere, to the paths that it gave,
   * are not removed.
   */
  startAnew(setAside: (name: string) => string | undefined): ReadonlyArray<string> {
    // A file that gets full meanwhile is an old one too.
    for (const { entries } of this.#space.old.filter(({ number }) => number <= this.#before)) {
      for (let entry = entries.head; entry !== undefined; entry = entries.head) {
        if (!this.#rewrite(entry)) throw this.#space.failure
      }
    }
    this.#writeAndSync()
    return this.#space.removeUpTo(this.#before, setAside)
  }

  // While it is opened, what fails is thrown.
  #writeAndSync(): void {
    if (!this.#commit.writeNow()) throw this.#commit.trouble?.cause
    this.#unsynced.syncNow()
    this.#stamps.begin(true)
  }

  /** What replies wait for. */
  get gate(): Gate {
    return this.#commit
  }

  get facts(): BinlogFacts {
    return {
      oldest: this.#space.oldest.number,
      current: this.#space.current.number,
      migrated: this.#compaction.moved,
      written: this.#written,
      maxSize: this.#options.fileSize
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Records
  // -------------------------------------------------------------------------------------------------------------------

  hasRoomForPut(tube: string, bodySize: number): boolean {
    return this.#space.hasRoomFor(fullSize(tube, bodySize), this.#space.jobs + 1)
  }

  hasRoomForChange(): boolean {
    return this.#space.hasRoomFor(SHORT_BYTES, this.#space.jobs)
  }

  /** A job that the log had when it was opened. `recordedAt` is when it was buried, in microseconds since 1970, or 0 if that is not known. */
  loaded(job: StoredJob, file: LogFile, size: number, recordedAt: number): void {
    const buriedAt = job.state === "buried" ? this.#times.buriedAt(recordedAt) : 0
    this.#enter(new LogEntry(job, file, size, buriedAt))
  }

  put(job: StoredJob): void {
    if (job.id >= this.#nextId) this.#nextId = job.id + 1
    const size = fullSize(job.tube.name, job.body.length)
    const file = this.#space.claim(size)
    const entry = new LogEntry(job, file, size, job.state === "buried" ? this.#times.buriedNow() : 0)
    this.#enter(entry)
    this.#writeFull(entry)
  }

  state(job: StoredJob): void {
    const entry = job.entry as LogEntry
    const changes = changesOf(job)
    if (job.state === "ready" && changes === entry.changes) return
    entry.changes = changes
    if (job.state === "buried") entry.buriedAt = this.#times.buriedNow()
    this.#writeShort(entry, job.state)
  }

  deleted(job: StoredJob): void {
    const entry = job.entry as LogEntry
    this.#writeShort(entry, "deleted")
    entry.file.entries.remove(entry)
    this.#space.jobs--
    this.#compaction.living -= entry.size
  }

  #enter(entry: LogEntry): void {
    const { job, size } = entry
    job.entry = entry
    entry.changes = changesOf(job)
    entry.file.entries.append(entry)
    this.#space.jobs++
    this.#compaction.living += size
  }

  #rewrite(entry: LogEntry): boolean {
    if (!this.#space.hasRoomFor(entry.size, this.#space.jobs)) return false
    entry.file.entries.remove(entry)
    entry.file = this.#space.claim(entry.size)
    entry.file.entries.append(entry)
    entry.changes = changesOf(entry.job)
    this.#writeFull(entry)
    return true
  }

  #writeFull(entry: LogEntry): void {
    this.#vouching.isDue = true
    this.#commit.buffer.full(entry.file, entry.job, this.#times.of(entry), this.#stamp())
    this.#written++
    this.#commit.request()
  }

  #writeShort(entry: LogEntry, state: RecordState): void {
    this.#vouching.isDue = true
    const file = this.#space.claim(SHORT_BYTES)
    this.#commit.buffer.short(file, entry.job, state, this.#times.of(entry), this.#stamp())
    this.#written++
    this.#commit.request()
  }

  #onNoRoom(file: string, cause: unknown): void {
    if (isFull(cause)) this.#options.onFull(cause)
    else this.#commit.fail({ operation: "write", file, cause })
  }

  #stamp(): number {
    return this.#options.sync === "never" ? 0 : this.#stamps.take()
  }

  /** Writes the first record of a file. */
  #begin(file: LogFile, left: LogFile | undefined): void {
    if (file.end > HEADER_BYTES) return
    const isDurable = this.#options.sync === "always"
    const previousEnd = left?.end ?? 0
    const previousSynced = isDurable ? previousEnd : left?.synced ?? 0
    this.#commit.buffer.marker(file, { nextId: this.#nextId, previousEnd, previousSynced }, this.#stamp())
    this.#commit.request()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Syncs, and what follows them
  // -------------------------------------------------------------------------------------------------------------------

  /** A batch is about to be written. */
  #onSeal(): () => void {
    const isDurable = this.#options.sync === "always"
    const unused = this.#compaction.unused
    const { now, observer } = this.#options
    const startedAt = now()
    return () => {
      if (isDurable) {
        observer.onSynced((now() - startedAt) / 1000)
        this.#compaction.remove(unused)
        this.#vouching.later()
      } else {
        this.#syncLater()
      }
      this.#housekeeping.run()
    }
  }

  #syncLater(): void {
    const { after, sync } = this.#options
    const hasUnused = this.#compaction.isWaiting
    // What is about to be removed must be elsewhere for good, also if nobody has asked for syncs.
    if (typeof sync !== "number" || (hasUnused && sync > LONG_MILLIS)) return hasUnused ? this.#sync() : undefined
    if (this.#isTimerSet || this.#isSyncing || (this.#unsynced.isEmpty && !hasUnused)) return
    this.#isTimerSet = true
    after(sync, () => {
      this.#isTimerSet = false
      this.#sync()
    })
  }

  #sync(): void {
    if (this.#isSyncing || this.#isClosed) return
    // What is recorded by now counts as written before this sync: by its stamps, and for the files that it makes unused.
    if (!this.#commit.writeNow()) return
    this.#isSyncing = true
    const unused = this.#compaction.unused
    const { now, observer } = this.#options
    const startedAt = now()
    this.#stamps.begin(false)
    this.#unsynced.sync((cause) => {
      this.#isSyncing = false
      this.#stamps.end()
      if (this.#isClosed) return
      if (cause !== null) return this.#commit.fail({ operation: "sync", file: this.#space.current.name, cause })
      observer.onSynced((now() - startedAt) / 1000)
      this.#compaction.remove(unused)
      if (typeof this.#options.sync !== "number") return
      this.#vouching.later()
      this.#syncLater()
    })
  }

  #vouch(): void {
    if (!this.#vouching.isDue || this.#options.sync === "never" || !this.hasRoomForChange()) return
    this.#vouching.isDue = false
    const marker = { nextId: this.#nextId, previousEnd: 0, previousSynced: 0 }
    this.#commit.buffer.marker(this.#space.claim(SHORT_BYTES), marker, this.#stamp())
    this.#commit.request()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The end
  // -------------------------------------------------------------------------------------------------------------------

  /** Writes and syncs what is left, and calls back when all is done. */
  close(done: () => void): void {
    this.#isClosed = this.#vouching.isOver = this.#housekeeping.isOver = true
    this.#commit.whenIdle(() => {
      try {
        if (this.#options.sync !== "never") this.#syncAndVouch()
      } catch (cause) {
        this.#options.onTrouble({ operation: "sync", file: this.#space.current.name, cause })
      }
      this.#commit.finish()
      this.#whenQuiet(done)
    })
  }

  #syncAndVouch(): void {
    if (!this.#commit.writeNow()) return
    this.#unsynced.syncNow()
    this.#stamps.begin(true)
    this.#vouch()
    if (this.#commit.writeNow()) this.#unsynced.syncNow()
  }

  /** Ends as if it were killed: what is not written is lost. */
  kill(done: () => void): void {
    this.#isClosed = this.#vouching.isOver = this.#housekeeping.isOver = true
    this.#commit.abandon()
    this.#whenQuiet(done)
  }

  /** It could not be started. */
  closeFiles(): void {
    this.kill(() => {})
    this.#space.close()
  }

  // Files must not be closed while something in the background has them.
  #whenQuiet(done: () => void): void {
    const parts = [this.#housekeeping, this.#compaction]
    const isBusy = this.#isSyncing || this.#commit.isWriting || parts.some((part) => part.isBusy)
    if (isBusy) return this.#options.atEndOfTurn(() => this.#whenQuiet(done))
    this.#space.close()
    done()
  }
}
