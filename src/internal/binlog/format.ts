/**
 * The binlog of beanstalkd, byte by byte: version 7, which 1.5 to 1.13 write, and version 5 of 1.4. All numbers are
 * little-endian. A file is its version and then records:
 *
 * - a full one for a new job, or one that was written again: `[i32 length][tube][80 bytes][body CRLF]`;
 * - a short one for any later change: `[i32 0][80 bytes]`.
 *
 * beanstalkd copies the padding of the 80 bytes and never reads it. There a file of ours has what makes every damage
 * visible: a CRC-32 of the record, and the sync after which it was written.
 */
import { crc32 } from "node:zlib"

/** The version that is written. */
export const VERSION = 7

/** The version of beanstalkd 1.4: an eight-byte length, microseconds, and no padding at the end. */
export const OLD_VERSION = 5

/** The version of a file. */
export const HEADER_BYTES = 4

/** A record without its length, tube and body. */
export const RECORD_BYTES = 80

/** A short record. */
export const SHORT_BYTES = 4 + RECORD_BYTES

/** The longest name of a tube. */
export const MAX_TUBE = 200

/** Where the fields of a record are. */
export const at = {
  id: 0,
  pri: 8,
  crc: 12,
  delay: 16,
  ttr: 24,
  bodySize: 32,
  magic: 36,
  createdAt: 40,
  deadlineAt: 48,
  reserves: 56,
  timeouts: 60,
  releases: 64,
  buries: 68,
  kicks: 72,
  state: 76
} as const

/** The states of a job by their numbers. 0 is one that was deleted. */
export const STATES = ["deleted", "ready", "reserved", "buried", "delayed"] as const

/** A state of a record. */
export type RecordState = typeof STATES[number]

/** The number of each state. */
export const stateNumber: Readonly<Record<RecordState, number>> = {
  deleted: 0,
  ready: 1,
  reserved: 2,
  buried: 3,
  delayed: 4
}

/**
 * The first record of a file of ours is a marker: to beanstalkd the delete of a job that is not there yet. It says that the
 * records of the file have checksums, and which id comes next, so that no id comes back when all jobs are gone.
 */
export const MAGIC = 0x31424245

const WORD = 2 ** 32

/** Writes microseconds as the nanoseconds of the format, which are too large for a number. */
export const writeMicros = (view: DataView, offset: number, micros: number): void => {
  const high = Math.floor(micros / WORD)
  const low = (micros - high * WORD) * 1000
  const carry = Math.floor(low / WORD)
  view.setUint32(offset, low - carry * WORD, true)
  view.setUint32(offset + 4, high * 1000 + carry, true)
}

/** A 64-bit number. It is exact up to 2^53; above, it is the nearest that a number can be. */
export const readWide = (view: DataView, offset: number): number =>
  view.getInt32(offset + 4, true) * WORD + view.getUint32(offset, true)

/** A 64-bit number without a sign. */
export const readUnsignedWide = (view: DataView, offset: number): number =>
  view.getUint32(offset + 4, true) * WORD + view.getUint32(offset, true)

/** Writes a number up to 2^53 into 64 bits. */
export const writeWide = (view: DataView, offset: number, value: number): void => {
  view.setUint32(offset, value % WORD, true)
  view.setUint32(offset + 4, Math.floor(value / WORD), true)
}

/** The checksum of the record from `from` to `to` whose 80 bytes begin at `record`. It leaves out itself, and is never 0. */
export const checksum = (bytes: Buffer, from: number, to: number, record: number): number =>
  crc32(bytes.subarray(record + at.crc + 4, to), crc32(bytes.subarray(from, record + at.crc))) || 1

// ---------------------------------------------------------------------------------------------------------------------
// Stamps
// ---------------------------------------------------------------------------------------------------------------------

const FIRST = 2 ** 23
const SYNCING = 2 ** 22

/** The largest number of a sync. After it comes 1 again. */
export const LAST_EPOCH = SYNCING - 1

/**
 * The stamp of a record, 24 bits: how many syncs had begun when it was written, whether it is the first record since then,
 * and whether that sync had yet to end. What no sync has made durable can be torn by a power failure in any order; damage
 * to what was durable is another matter, and the stamps of the records behind it tell. 0 is the stamp of a record that
 * nobody syncs.
 */
export const stampOf = (epoch: number, isFirst: boolean, isSyncing: boolean): number =>
  epoch + (isFirst ? FIRST : 0) + (isSyncing ? SYNCING : 0)

/** How many syncs had begun. */
export const epochOf = (stamp: number): number => stamp & LAST_EPOCH

/** Whether the record is the first one since a sync had begun. */
export const isFirstOf = (stamp: number): boolean => (stamp & FIRST) !== 0

/** How many syncs had ended. */
export const endedOf = (stamp: number): number => epochOf(stamp) - ((stamp & SYNCING) === 0 ? 0 : 1)

/** The number after another. */
export const nextEpoch = (epoch: number): number => epoch >= LAST_EPOCH ? 1 : epoch + 1

/** How many syncs lie between two numbers, of which the later one may have begun at 1 again. */
export const epochsBetween = (from: number, to: number): number => {
  const distance = (to - from) % LAST_EPOCH
  return 2 * Math.abs(distance) <= LAST_EPOCH ? distance : distance - Math.sign(distance) * LAST_EPOCH
}
