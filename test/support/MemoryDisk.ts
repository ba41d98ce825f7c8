/**
 * The disk of a binlog in memory. It knows what is durable and what is not, so it can be had as a kill of the process leaves
 * it, and as a power failure does. It can be full, read-only, slow, and fail.
 */
import type { Disk, DiskFile, Done } from "../../src/internal/binlog/disk.ts"
import type { Dice } from "../conformance/Dice.ts"

/** A change of a file, which may not be durable: bytes at a place, or another size. */
interface Change {
  readonly at: number
  readonly bytes: Buffer | undefined
  readonly isDurable: boolean
}

const applied = (bytes: Buffer, { at, bytes: written }: Change): Buffer => {
  const size = written === undefined ? at : Math.max(bytes.length, at + written.length)
  const next = Buffer.alloc(size)
  bytes.copy(next)
  written?.copy(next, at)
  return next
}

/** A file, with or without a name. */
class Inode {
  /** As the system has it. */
  bytes: Buffer
  /** As the disk has it for sure, before the changes. */
  durable: Buffer
  changes: Array<Change> = []

  constructor(bytes: Buffer, durable: Buffer = bytes) {
    this.bytes = bytes
    this.durable = durable
  }

  change(change: Change): void {
    this.bytes = applied(this.bytes, change)
    this.changes.push(change)
    this.#settle()
  }

  /** Makes these changes durable. */
  sync(changes: ReadonlyArray<Change> = this.changes): void {
    const synced = new Set(changes)
    this.changes = this.changes.map((change) => synced.has(change) ? { ...change, isDurable: true } : change)
    this.#settle()
  }

  // A change that is durable stays among those before it that may come to the disk later.
  #settle(): void {
    while (this.changes[0]?.isDurable === true) this.durable = applied(this.durable, this.changes.shift()!)
  }

  clone(): Inode {
    const copy = new Inode(this.bytes, this.durable)
    copy.changes = [...this.changes]
    return copy
  }
}

/** A name that came or went, which may not be durable. */
interface Naming {
  readonly name: string
  readonly inode: Inode | undefined
}

/** All that a disk has. The bytes of its files never change in place. */
export class Image {
  names = new Map<string, Inode>()
  /** The names that the disk has for sure, before the namings. */
  durableNames = new Map<string, Inode>()
  namings: Array<Naming> = []

  get size(): number {
    return [...this.names.values()].reduce((sum, { bytes }) => sum + bytes.length, 0)
  }

  /** The disk as it is: what a process that was killed leaves. */
  clone(): Image {
    const copies = new Map<Inode, Inode>()
    const cloned = (inode: Inode) => {
      const copy = copies.get(inode) ?? inode.clone()
      copies.set(inode, copy)
      return copy
    }
    const copy = new Image()
    for (const [name, inode] of this.names) copy.names.set(name, cloned(inode))
    for (const [name, inode] of this.durableNames) copy.durableNames.set(name, cloned(inode))
    copy.namings = this.namings.map(({ inode, name }) => ({ name, inode: inode && cloned(inode) }))
    return copy
  }

  /** Makes these namings durable. */
  syncNames(namings: ReadonlyArray<Naming> = this.namings): void {
    for (const { inode, name } of this.namings.filter((naming) => namings.includes(naming))) {
      if (inode === undefined) this.durableNames.delete(name)
      else this.durableNames.set(name, inode)
    }
    this.namings = this.namings.filter((naming) => !namings.includes(naming))
  }

  /**
   * What a power failure leaves. Each sector of a file is as it was at some moment since it was last durable, and so is the
   * size of the file. Of the names, as file systems that keep a journal have it, there are all up to some moment.
   */
  afterPowerFailure(dice: Dice): Image {
    const names = new Map(this.durableNames)
    for (const { inode, name } of this.namings.slice(0, dice.int(0, this.namings.length))) {
      if (inode === undefined) names.delete(name)
      else names.set(name, inode)
    }
    const left = new Image()
    for (const [name, inode] of names) left.names.set(name, new Inode(afterPowerFailure(inode, dice)))
    left.durableNames = new Map(left.names)
    return left
  }
}

// What a disk writes as a whole.
const SECTOR = 512

/** A moment between the changes for each sector, which has what the file had there then. */
const momentOf = ({ changes }: Inode, dice: Dice): (from: number) => number => {
  const outcome = dice.one(["none", "all", "any", "any"] as const)
  return (from) => {
    const isHere = ({ at, bytes, isDurable }: Change) =>
      isDurable && bytes !== undefined && at < from + SECTOR && at + bytes.length > from
    const least = changes.findLastIndex(isHere) + 1
    if (outcome === "any") return dice.int(least, changes.length)
    return outcome === "none" ? least : changes.length
  }
}

const afterPowerFailure = (inode: Inode, dice: Dice): Buffer => {
  const { changes, durable } = inode
  if (changes.length === 0) return durable
  const states = [durable]
  for (const change of changes) states.push(applied(states.at(-1)!, change))
  const moment = momentOf(inode, dice)
  const lastDurable = changes.findLastIndex(({ isDurable }) => isDurable) + 1
  const left = Buffer.alloc(states[dice.int(lastDurable, changes.length)]!.length)
  for (let from = 0; from < left.length; from += SECTOR) {
    states[moment(from)]!.subarray(from, from + SECTOR).copy(left, from)
  }
  return left
}

/** What is done with a disk. */
export type Operation =
  | "list"
  | "read"
  | "create"
  | "open"
  | "write"
  | "writeDurably"
  | "sync"
  | "truncate"
  | "remove"
  | "setAside"
  | "syncDirectory"

export interface MemoryDiskOptions {
  readonly path?: string | undefined
  readonly image?: Image | undefined
  /** Runs what happens in the background. Default: in a later turn of the event loop. */
  readonly background?: ((task: () => void) => void) | undefined
  /** Called before each operation that changes something, and in the middle of each write. */
  readonly onMoment?: ((operation: Operation) => void) | undefined
}

/** What the system says, with its code. */
export const systemError = (code: string, operation: string): Error =>
  Object.assign(new Error(`${code}: ${operation}`), { code })

/** A disk. */
export class MemoryDisk implements Disk {
  readonly path: string
  readonly image: Image
  readonly background: (task: () => void) => void
  readonly #onMoment: (operation: Operation) => void
  /** How many bytes its files can have. */
  capacity = Infinity
  isReadOnly = false
  /** Whether it says that it has synced, and has not. */
  lies = false
  /** Asked before each operation: why it fails. */
  fault: (operation: Operation, name: string) => Error | undefined = () => undefined
  readonly setAsideFiles = new Map<string, Buffer>()

  constructor({ background, image = new Image(), onMoment = () => {}, path = "/memory" }: MemoryDiskOptions = {}) {
    this.path = path
    this.image = image
    this.background = background ?? ((task) => setImmediate(task))
    this.#onMoment = onMoment
  }

  get files(): ReadonlyArray<string> {
    return [...this.image.names.keys()].toSorted()
  }

  /** An operation begins. It throws if that fails. */
  begin(operation: Operation, name: string): void {
    const isReading = operation === "list" || operation === "read"
    if (!isReading) this.moment(operation)
    const error = this.fault(operation, name)
    if (error !== undefined) throw error
    if (this.isReadOnly && !isReading) throw systemError("EROFS", operation)
  }

  moment(operation: Operation): void {
    this.#onMoment(operation)
  }

  /** There must be room for so many bytes more. */
  grow(bytes: number): void {
    if (this.image.size + bytes > this.capacity) throw systemError("ENOSPC", "write")
  }

  list(): ReadonlyArray<string> {
    this.begin("list", "")
    return this.files
  }

  read(name: string): Buffer {
    this.begin("read", name)
    return Buffer.from(this.#inode(name).bytes)
  }

  #inode(name: string): Inode {
    const inode = this.image.names.get(name)
    if (inode === undefined) throw systemError("ENOENT", name)
    return inode
  }

  create(name: string): DiskFile {
    this.begin("create", name)
    if (this.image.names.has(name)) throw systemError("EEXIST", name)
    const inode = new Inode(Buffer.alloc(0))
    this.#name(name, inode)
    return new MemoryFile(this, name, inode)
  }

  #name(name: string, inode: Inode | undefined): void {
    if (inode === undefined) this.image.names.delete(name)
    else this.image.names.set(name, inode)
    this.image.namings.push({ name, inode })
  }

  open(name: string): DiskFile {
    this.begin("open", name)
    return new MemoryFile(this, name, this.#inode(name))
  }

  syncFile(name: string): void {
    this.begin("sync", name)
    if (!this.lies) this.#inode(name).sync()
  }

  remove(name: string): void {
    this.begin("remove", name)
    this.#inode(name)
    this.#name(name, undefined)
  }

  prepareToSetAside(): void {}

  setAside(name: string): string {
    this.begin("setAside", name)
    this.setAsideFiles.set(name, this.#inode(name).bytes)
    this.#name(name, undefined)
    return `${this.path}/damaged/${name}`
  }

  // A sync is for what was there when it was asked for.
  syncDirectory(done: Done): void {
    const namings = [...this.image.namings]
    this.inBackground(done, () => this.#syncDirectory(namings))
  }

  syncDirectoryNow(): void {
    this.#syncDirectory(this.image.namings)
  }

  #syncDirectory(namings: ReadonlyArray<Naming>): void {
    this.begin("syncDirectory", "")
    if (!this.lies) this.image.syncNames(namings)
  }

  inBackground(done: Done, operation: () => void): void {
    this.background(() => {
      try {
        operation()
      } catch (error) {
        return done(error as Error)
      }
      done(null)
    })
  }
}

class MemoryFile implements DiskFile {
  readonly #disk: MemoryDisk
  readonly #name: string
  readonly #inode: Inode
  #isClosed = false

  constructor(disk: MemoryDisk, name: string, inode: Inode) {
    this.#disk = disk
    this.#name = name
    this.#inode = inode
  }

  #begin(operation: Operation): void {
    if (this.#isClosed) throw systemError("EBADF", this.#name)
    this.#disk.begin(operation, this.#name)
  }

  #write(operation: Operation, bytes: Buffer, at: number, isDurable: boolean): void {
    this.#begin(operation)
    this.#disk.grow(Math.max(0, at + bytes.length - this.#inode.bytes.length))
    const half = bytes.length >> 1
    // Nothing is durable before a write has ended.
    this.#inode.change({ at, bytes: bytes.subarray(0, half), isDurable: false })
    this.#disk.moment(operation)
    this.#inode.changes.pop()
    this.#inode.change({ at, bytes, isDurable })
  }

  write(bytes: Uint8Array, from: number, to: number, offset: number): void {
    this.#write("write", Buffer.from(bytes.subarray(from, to)), offset, false)
  }

  writeDurably(bytes: Uint8Array, from: number, to: number, offset: number, done: Done): void {
    this.#disk.inBackground(
      done,
      () => this.#write("writeDurably", Buffer.from(bytes.subarray(from, to)), offset, !this.#disk.lies)
    )
  }

  sync(done: Done): void {
    const changes = [...this.#inode.changes]
    this.#disk.inBackground(done, () => this.#sync(changes))
  }

  syncNow(): void {
    this.#sync(this.#inode.changes)
  }

  #sync(changes: ReadonlyArray<Change>): void {
    this.#begin("sync")
    if (!this.#disk.lies) this.#inode.sync(changes)
  }

  truncate(size: number): void {
    this.#begin("truncate")
    this.#inode.change({ at: size, bytes: undefined, isDurable: false })
  }

  close(): void {
    if (this.#isClosed) throw systemError("EBADF", this.#name)
    this.#isClosed = true
  }
}
