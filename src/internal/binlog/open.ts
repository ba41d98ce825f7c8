/**
 * Opens the binlog of a directory: reads its files, says what is wrong with them, loads the jobs into a store, and goes on
 * with files of its own.
 */
import * as Effect from "effect/Effect"
import { type MemoryBudget, StoredJob } from "../server/entities.ts"
import { Store } from "../server/store.ts"
import { Binlog, type Options as BinlogOptions } from "./binlog.ts"
import type { Disk } from "./disk.ts"
import { attempt, BinlogFailure, catchFailure, isFull } from "./failure.ts"
import { scan } from "./fileScan.ts"
import { HEADER_BYTES, SHORT_BYTES } from "./format.ts"
import { LogFile, nameOf, numberOf, writeHeader, writeZeros } from "./logFile.ts"
import type { SyncPolicy } from "./policy.ts"
import { RecordReader } from "./recordReader.ts"
import { type Problem, type RecoveredFile, type RecoveredJob, Recovery } from "./recovery.ts"
import { usedSize } from "./space.ts"
import type { WallClock } from "./wallClock.ts"

/** What is opened, and how. */
export interface Options extends BinlogOptions {
  readonly memory: MemoryBudget
  /** Whether to start with what can be read of files that are damaged. */
  readonly salvage: boolean
}

/** An open binlog, and the store whose journal it is. `told` are the lines that its user must see. */
export interface Opened {
  readonly store: Store
  readonly binlog: Binlog
  readonly told: ReadonlyArray<string>
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading
// ---------------------------------------------------------------------------------------------------------------------

const read = (disk: Disk, number: number, isAfterOurs: boolean): RecordReader | Error => {
  try {
    return new RecordReader(disk.read(nameOf(number)), isAfterOurs)
  } catch (error) {
    return error as Error
  }
}

const markerOf = (reader: RecordReader | Error | undefined) =>
  reader instanceof RecordReader && reader.header._tag === "Records" ? reader.header.marker : undefined

const describe = (error: Error) => "code" in error ? String(error.code) : error.message

/** Reads all files, oldest first. Other fibers run between two files. */
const recover = Effect.fnUntraced(function*(disk: Disk, salvage: boolean) {
  const recovery = new Recovery()
  const numbers = attempt(disk.path, "read", () => disk.list())
    .flatMap((name) => numberOf(name) ?? []).toSorted((a, b) => a - b)
  let isOurs = false
  let next = numbers[0] === undefined ? undefined : read(disk, numbers[0], isOurs)
  for (const [i, number] of numbers.entries()) {
    const reader = next!
    const following = numbers[i + 1]
    if (reader instanceof RecordReader && reader.header._tag === "Records") isOurs = reader.header.hasChecksums
    next = following === undefined ? undefined : read(disk, following, isOurs)
    const name = nameOf(number)
    if (reader instanceof RecordReader) {
      const marker = following === number + 1 ? markerOf(next) : undefined
      scan({ name, number, reader, next: marker, salvage }, recovery)
    } else {
      recovery.problem("unreadable", name, 0, `it cannot be read: ${describe(reader)}`)
      recovery.files.push({
        number,
        bytes: 0,
        end: 0,
        isEmpty: false,
        hasMarker: false,
        hasChecksums: false,
        hasMore: false
      })
    }
    yield* Effect.yieldNow
  }
  findGaps(recovery)
  return recovery
})

const isSpare = ({ hasMarker, isEmpty }: RecoveredFile) => isEmpty && !hasMarker

// A spare file may be there without the one before it, after a power failure. But a file that was cut off was left, and
// another one was written to.
const isHarmless = (before: RecoveredFile, behind: ReadonlyArray<RecoveredFile>) =>
  before.bytes - before.end >= SHORT_BYTES && behind.every(isSpare)

const findGaps = (recovery: Recovery): void => {
  const { files } = recovery
  for (const [i, { number }] of files.entries()) {
    const before = files[i - 1]
    if (before === undefined || number === before.number + 1 || isHarmless(before, files.slice(i))) continue
    recovery.problem("gap", nameOf(before.number + 1), 0, "it is missing, and a later file is there")
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// What is told
// ---------------------------------------------------------------------------------------------------------------------

const isTorn = ({ kind }: Problem) => kind === "torn"

// Without a sync before each reply, what a power failure tore may have been acknowledged.
const tornLine = ({ detail, file, offset }: Problem, sync: SyncPolicy): string => {
  const why = sync === "always" ? "It was never acknowledged and" : "It was never acknowledged, or not synced yet, and"
  return `${file}: the record at ${offset} is incomplete: ${detail}. ${why} is dropped`
}

const damagedLine = ({ detail, file, kind, offset }: Problem): string =>
  kind === "damaged" ? `${file} is damaged at ${offset}: ${detail}` : `${file}: ${detail}`

const READ_FIRST = "Make it readable first: with salvage its jobs would be missing"

const HINT =
  "With salvage (beanstalk serve --salvage) the server starts with the jobs that it can read, and moves the " +
  "files that it cannot understand to the directory damaged in this one"

// So many lines say enough.
const MOST_TOLD = 5

const refuse = (disk: Disk, problems: ReadonlyArray<Problem>): BinlogFailure => {
  const [{ file, offset }] = problems as readonly [Problem, ...Array<Problem>]
  const lines = problems.slice(0, MOST_TOLD).map(damagedLine)
  const rest = problems.length > MOST_TOLD ? [`and ${problems.length - MOST_TOLD} more`] : []
  const hint = problems.some(({ kind }) => kind === "unreadable") ? `${READ_FIRST}. ${HINT}` : HINT
  const cause = new Error(`${[...lines, ...rest].join("; ")}. ${hint}`)
  return new BinlogFailure({ path: `${disk.path}/${file}`, operation: "read", offset, cause })
}

// ---------------------------------------------------------------------------------------------------------------------
// Going on
// ---------------------------------------------------------------------------------------------------------------------

/** Resizes a file that holds nothing, and gives it back with zeros behind its beginning. */
const adopt = (
  disk: Disk,
  { bytes, hasMarker, number }: RecoveredFile,
  fileSize: number,
  isFirst: boolean
): LogFile => {
  const keepsMarker = hasMarker && isFirst
  const handle = disk.open(nameOf(number))
  writeHeader(handle)
  if (hasMarker && !keepsMarker) writeZeros(handle, HEADER_BYTES, HEADER_BYTES + SHORT_BYTES)
  if (bytes > fileSize) handle.truncate(fileSize)
  else writeZeros(handle, Math.max(bytes, HEADER_BYTES), fileSize)
  handle.syncNow()
  const file = new LogFile(number, fileSize, keepsMarker ? HEADER_BYTES + SHORT_BYTES : HEADER_BYTES, handle)
  file.synced = file.end
  file.isKnown = true
  return file
}

/** An old file is durable from now on, without what was torn behind its records, unless that has something of use in it. */
const keep = (
  disk: Disk,
  { bytes, end, hasChecksums, hasMore, number }: RecoveredFile,
  isSound: boolean
): LogFile => {
  const name = nameOf(number)
  const isCut = isSound && hasChecksums && !hasMore
  if (isCut && bytes > end) {
    const handle = disk.open(name)
    handle.truncate(end)
    handle.syncNow()
    handle.close()
  } else if (isSound) {
    disk.syncFile(name)
  }
  const file = new LogFile(number, isCut ? end : bytes, end)
  file.synced = end
  file.isKnown = true
  return file
}

/** The files to go on with: the old ones, and those at the end that hold nothing. */
const filesOf = (disk: Disk, { files, problems }: Recovery, fileSize: number) => {
  const isSound = (number: number) => problems.every(({ file, kind }) => kind === "torn" || file !== nameOf(number))
  const lastUsed = files.findLastIndex(({ isEmpty, number }) => !isEmpty || !isSound(number))
  const old = files.slice(0, lastUsed + 1).map((file) =>
    attempt(`${disk.path}/${nameOf(file.number)}`, "write", () => keep(disk, file, isSound(file.number)))
  )
  const unused = files.slice(lastUsed + 1)
  const first = files[lastUsed]?.number ?? unused[0]?.number ?? 0
  // Behind a gap, records would be out of reach at the next start.
  const isNext = ({ number }: RecoveredFile, i: number) => number === first + i + (lastUsed < 0 ? 0 : 1)
  const empty = unused.filter(isNext).map((file, i) =>
    attempt(`${disk.path}/${nameOf(file.number)}`, "write", () => adopt(disk, file, fileSize, i === 0))
  )
  for (const file of unused) {
    if (empty.every(({ number }) => number !== file.number)) {
      attempt(`${disk.path}/${nameOf(file.number)}`, "remove", () => disk.remove(nameOf(file.number)))
    }
  }
  if (unused.length > 0) attempt(disk.path, "sync", () => disk.syncDirectoryNow())
  return { old, empty }
}

const storedJob = (store: Store, { body, record, tube }: RecoveredJob, clock: WallClock): StoredJob => {
  const { createdAt, deadlineAt, delay, id, pri, state, ttr } = record
  const deadline = clock.moment(deadlineAt)
  const isReady = state === "reserved" || state === "deleted" || (state === "delayed" && deadline <= store.now)
  const now = isReady ? "ready" : state
  const job = new StoredJob(
    id,
    store.tubes.load(tube),
    body,
    pri,
    Math.trunc(delay),
    Math.trunc(ttr),
    now,
    clock.moment(createdAt)
  )
  if (now === "delayed") job.deadline = deadline
  job.reserves = record.reserves
  job.timeouts = record.timeouts
  job.releases = record.releases
  job.buries = record.buries
  job.kicks = record.kicks
  return job
}

/** Puts the jobs into the store, and tells the log where it has them. */
const load = (recovery: Recovery, store: Store, binlog: Binlog, old: ReadonlyArray<LogFile>, clock: WallClock) => {
  const files = new Map(old.map((file) => [file.number, file]))
  const buried = new Map<RecoveredJob, StoredJob>()
  const queue = (job: StoredJob, { file, isOurs, record, size }: RecoveredJob) => {
    store.queue(job)
    binlog.loaded(job, files.get(file)!, size, isOurs ? record.deadlineAt : 0)
  }
  for (const recovered of [...recovery.jobs.values()].toSorted((a, b) => a.record.id - b.record.id)) {
    const job = storedJob(store, recovered, clock)
    store.hold(job)
    if (job.state === "buried") buried.set(recovered, job)
    else queue(job, recovered)
  }
  // These have an order of their own.
  for (const recovered of recovery.buried()) queue(buried.get(recovered)!, recovered)
  store.lastId = recovery.nextId - 1
}

type Files = ReturnType<typeof filesOf>

const NO_ROOM = "the disk has no room for a file to go on with, in which deletes are recorded: make room first"

/** Goes on with these files. If that cannot be, none of them stays open. */
const begin = (options: Options, recovery: Recovery, { empty, old }: Files) => {
  const { clock, disk, memory, now } = options
  const { lastEpoch, nextId } = recovery
  let binlog: Binlog | undefined
  try {
    binlog = new Binlog(options, { old, empty, nextId, lastEpoch })
    const store = new Store(now, memory, binlog)
    load(recovery, store, binlog, old, clock)
    binlog.start()
    return { binlog, store }
  } catch (error) {
    binlog?.closeFiles()
    for (const file of empty) file.close()
    const cause = isFull(error) ? new Error(NO_ROOM, { cause: error }) : error
    throw new BinlogFailure({ path: disk.path, operation: "write", cause })
  }
}

/** Moves away what was not understood, once all that was is in a file of its own. */
const setAside = (disk: Disk, recovery: Recovery, binlog: Binlog): ReadonlyArray<string> => {
  const bad = new Set(recovery.problems.filter((problem) => !isTorn(problem)).map(({ file }) => file))
  return attempt(disk.path, "write", () => binlog.startAnew((name) => bad.has(name) ? disk.setAside(name) : undefined))
    .map((path) => `moved to ${path}: a file that was not understood as a whole`)
}

/** Opens a binlog. Nothing is changed on the disk before it is known that all was understood, or is to be salvaged. */
export const open = Effect.fnUntraced(function*(options: Options) {
  const { disk, fileSize, salvage } = options
  const recovery = yield* recover(disk, salvage)
  const damage = recovery.problems.filter((problem) => !isTorn(problem))
  if (damage.length > 0 && !salvage) throw refuse(disk, damage)
  if (damage.length > 0) attempt(disk.path, "write", () => disk.prepareToSetAside())
  const files = filesOf(disk, recovery, usedSize(fileSize))
  const { binlog, store } = begin(options, recovery, files)
  const moved = damage.length > 0 ? setAside(disk, recovery, binlog) : []
  const told = recovery.problems.map((problem) =>
    isTorn(problem) ? tornLine(problem, options.sync) : damagedLine(problem)
  )
  return { binlog, store, told: [...told, ...moved] } satisfies Opened
}, catchFailure)
