/**
 * Reads the records of a file. It says of each place in it what is there: a record, the end, or what is wrong.
 *
 * The bytes of a file without checksums may be anything, so a record must make sense in every field.
 */
import { TUBE_NAME_PATTERN } from "../protocol/scalars.ts"
import {
  at,
  checksum,
  HEADER_BYTES,
  MAGIC,
  MAX_TUBE,
  OLD_VERSION,
  readUnsignedWide,
  readWide,
  RECORD_BYTES,
  type RecordState,
  SHORT_BYTES,
  STATES,
  VERSION
} from "./format.ts"
import type { Marker } from "./recordBuffer.ts"

/** A job as a record has it: `delay` and `ttr` in seconds, the other times in microseconds since 1970. */
export interface JobRecord {
  readonly id: number
  readonly pri: number
  readonly delay: number
  readonly ttr: number
  /** With its CR LF. */
  readonly bodySize: number
  readonly createdAt: number
  readonly deadlineAt: number
  readonly reserves: number
  readonly timeouts: number
  readonly releases: number
  readonly buries: number
  readonly kicks: number
  readonly state: RecordState
  readonly stamp: number
}

/** What is at one place of a file. `end` is where the next record begins. */
export type Found =
  | {
    readonly _tag: "Full"
    readonly record: JobRecord
    readonly tube: string
    readonly body: number
    readonly end: number
  }
  | { readonly _tag: "Short"; readonly record: JobRecord; readonly end: number }
  /** A full record whose body does not end in CR LF. */
  | { readonly _tag: "Unended"; readonly record: JobRecord; readonly end: number }
  | { readonly _tag: "End" }
  /** `id` is that of the job of which there is too little. */
  | { readonly _tag: "Bad"; readonly why: string; readonly end: number; readonly id: number }

const END: Found = { _tag: "End" }

const SECOND = 1e9
const MAX_SECONDS = 2 ** 32 - 1

const CR = 13
const LF = 10

const ZEROS = Buffer.alloc(64 * 1024)

const OLD = { length: 8, record: 77, perSecond: 1e6, perMicro: 1 }
const CURRENT = { length: 4, record: RECORD_BYTES, perSecond: SECOND, perMicro: 1000 }

/** What the first bytes of a file say that it is. */
export type Header =
  | {
    readonly _tag: "Records"
    readonly version: number
    readonly hasChecksums: boolean
    readonly marker: Marker | undefined
  }
  /** Zeros, or fewer bytes than a version has: its server was ended before it wrote the version. */
  | { readonly _tag: "Unborn" }
  | { readonly _tag: "Unknown"; readonly why: string }

/** The records of one file. */
export class RecordReader {
  readonly bytes: Buffer
  readonly header: Header
  readonly #view: DataView
  #layout: typeof CURRENT
  readonly #hasChecksums: boolean

  /** `isAfterOurs`: the file before this one is ours. */
  constructor(bytes: Buffer, isAfterOurs = false) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const version = bytes.length < HEADER_BYTES ? 0 : this.#view.getInt32(0, true)
    const magic = this.#magic()
    this.#hasChecksums = version === OLD_VERSION
      ? isNearly(magic, MAGIC)
      : magic !== 0 || (isAfterOurs && this.#isHeadless)
    this.#layout = version === OLD_VERSION && !this.#hasChecksums ? OLD : CURRENT
    this.header = this.#readHeader(version, magic === MAGIC)
  }

  // beanstalkd leaves these bytes of a record alone, so any others than its zeros were those of a marker.
  #magic(): number {
    const { bytes } = this
    if (bytes.length < HEADER_BYTES + SHORT_BYTES || this.#view.getInt32(HEADER_BYTES, true) !== 0) return 0
    return this.#view.getUint32(HEADER_BYTES + 4 + at.magic, true)
  }

  // A power failure can leave the end of what was written, and not its beginning.
  get #isHeadless(): boolean {
    return this.#isBlank(HEADER_BYTES, SHORT_BYTES)
  }

  #readHeader(version: number, isMarked: boolean): Header {
    if (this.bytes.length < HEADER_BYTES || this.lastByte(0) < 0) return { _tag: "Unborn" }
    const isLost = version === 0 && this.#hasChecksums && this.#isHeadless
    if (version !== VERSION && this.#layout !== OLD && !isLost) {
      return { _tag: "Unknown", why: `it is of version ${version}, and this server reads 5 and 7` }
    }
    if (this.#isMislabeled()) return { _tag: "Unknown", why: `it says version ${version}, and its records are not` }
    const marker = isMarked && this.read(HEADER_BYTES)._tag === "Short" ? this.#marker() : undefined
    return { _tag: "Records", version, hasChecksums: this.#hasChecksums, marker }
  }

  // One bit is between the two versions, and read as the other one a file seems to be torn from the beginning.
  #isMislabeled(): boolean {
    if (this.#hasChecksums || makesSense(this.read(HEADER_BYTES))) return false
    const said = this.#layout
    this.#layout = said === OLD ? CURRENT : OLD
    const isOther = makesSense(this.read(HEADER_BYTES))
    this.#layout = said
    return isOther
  }

  #marker(): Marker {
    const record = HEADER_BYTES + 4
    return {
      nextId: readUnsignedWide(this.#view, record + at.id),
      previousEnd: readWide(this.#view, record + at.createdAt),
      previousSynced: readWide(this.#view, record + at.deadlineAt)
    }
  }

  /** The place of the last byte that is not 0, or one before `from` if there is none from there on. */
  lastByte(from: number): number {
    const { bytes } = this
    let end = bytes.length
    // Spare files are nothing but zeros.
    while (end - from >= ZEROS.length && bytes.compare(ZEROS, 0, ZEROS.length, end - ZEROS.length, end) === 0) {
      end -= ZEROS.length
    }
    let last = end - 1
    while (last >= from && bytes[last] === 0) last--
    return Math.max(last, from - 1)
  }

  /** What is at this place. */
  read(from: number): Found {
    const { bytes } = this
    const layout = this.#layout
    const left = bytes.length - from
    if (left < layout.length || this.#isBlank(from, layout.length + layout.record)) return END
    const length = this.#nameLength(from)
    const record = from + layout.length + length
    const end = record + layout.record
    if (length < 0 || length > MAX_TUBE) return bad(`a tube name of ${length} bytes`, from + layout.length)
    if (end > bytes.length) return bad("the file ends within a record", bytes.length)
    const fields = this.#fields(record)
    if (fields === undefined) return bad(`state ${bytes[record + at.state]!}`, end)
    if (fields.id === 0) return bad("a record without an id", end)
    if (length === 0) {
      return this.#isSound(from, end, record) ? { _tag: "Short", record: fields, end } : bad("a wrong checksum", end)
    }
    return this.#full(from, record, fields)
  }

  #full(from: number, record: number, fields: JobRecord): Found {
    const { bytes } = this
    const layout = this.#layout
    const body = record + layout.record
    const tube = bytes.toString("latin1", from + layout.length, record)
    const why = oddity(tube, fields)
    if (why !== undefined) return bad(why, body)
    const end = body + fields.bodySize
    if (end > bytes.length) {
      return bad("the file ends within a body", bytes.length, fields.id < Number.MAX_SAFE_INTEGER ? fields.id : 0)
    }
    if (bytes[end - 2] !== CR || bytes[end - 1] !== LF) return { _tag: "Unended", record: fields, end }
    if (!this.#isSound(from, end, record)) return bad("a wrong checksum", end)
    return { _tag: "Full", record: fields, tube, body, end }
  }

  #isBlank(from: number, size: number): boolean {
    const to = Math.min(this.bytes.length, from + size)
    for (let i = from; i < to; i++) if (this.bytes[i] !== 0) return false
    return true
  }

  #nameLength(from: number): number {
    return this.#layout === OLD ? readWide(this.#view, from) : this.#view.getInt32(from, true)
  }

  #isSound(from: number, end: number, record: number): boolean {
    return !this.#hasChecksums ||
      this.#view.getUint32(record + at.crc, true) === checksum(this.bytes, from, end, record)
  }

  #fields(record: number): JobRecord | undefined {
    const view = this.#view
    const { perMicro, perSecond } = this.#layout
    const state = STATES[this.bytes[record + at.state]!]
    if (state === undefined) return undefined
    return {
      id: readUnsignedWide(view, record + at.id),
      pri: view.getUint32(record + at.pri, true),
      delay: readWide(view, record + at.delay) / perSecond,
      ttr: readWide(view, record + at.ttr) / perSecond,
      bodySize: view.getInt32(record + at.bodySize, true),
      createdAt: Math.round(readWide(view, record + at.createdAt) / perMicro),
      deadlineAt: Math.round(readWide(view, record + at.deadlineAt) / perMicro),
      reserves: view.getUint32(record + at.reserves, true),
      timeouts: view.getUint32(record + at.timeouts, true),
      releases: view.getUint32(record + at.releases, true),
      buries: view.getUint32(record + at.buries, true),
      kicks: view.getUint32(record + at.kicks, true),
      state,
      stamp: this.#layout === OLD ? 0 : view.getUint32(record + at.state, true) >>> 8
    }
  }
}

/** Whether two words differ in a few bits only, as one does that was damaged. */
const isNearly = (a: number, b: number): boolean => {
  let different = a ^ b
  let count = 0
  for (; different !== 0; different &= different - 1) count++
  return count <= 4
}

const bad = (why: string, end: number, id = 0): Found => ({ _tag: "Bad", why, end, id })

// The largest body that a server can be told to take, with its CR LF.
const MAX_BODY = 1_073_741_824 + 2

const isSeconds = (seconds: number, least: number): boolean => seconds >= least && seconds <= MAX_SECONDS

/** What no job that was put can have. */
const oddity = (tube: string, record: JobRecord): string | undefined => {
  if (!TUBE_NAME_PATTERN.test(tube)) return "a tube name that is none"
  return oddNumber(record) ?? (record.state === "deleted" ? "a job that was put as deleted" : undefined)
}

const oddNumber = ({ bodySize, delay, ttr }: JobRecord): string | undefined => {
  if (bodySize < 2 || bodySize > MAX_BODY) return `a body of ${bodySize} bytes`
  if (!isSeconds(ttr, 1)) return `a ttr of ${ttr} s`
  return isSeconds(delay, 0) ? undefined : `a delay of ${delay} s`
}

const makesSense = (found: Found): boolean =>
  found._tag === "Full" || (found._tag === "Short" && oddNumber(found.record) === undefined)
