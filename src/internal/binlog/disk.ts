/**
 * The directory of a binlog as its journal needs it, so that tests can give it a disk that fails.
 *
 * What must be done before anything else happens is done at once; what waits for the disk itself is done in the background.
 */
import * as Fs from "node:fs"
import { join } from "node:path"

/** Hears that something is done, or why not. */
export type Done = (error: Error | null) => void

/** A file that is written to. */
export interface DiskFile {
  /** Writes at a place. The bytes may not be durable. */
  readonly write: (bytes: Uint8Array, from: number, to: number, offset: number) => void
  /** Writes at a place in the background, and makes the bytes durable. */
  readonly writeDurably: (bytes: Uint8Array, from: number, to: number, offset: number, done: Done) => void
  /** Makes all that was written durable, in the background. */
  readonly sync: (done: Done) => void
  readonly syncNow: () => void
  readonly truncate: (size: number) => void
  readonly close: () => void
}

/** A directory. Each of its functions throws what the system says. */
export interface Disk {
  readonly path: string
  readonly list: () => ReadonlyArray<string>
  readonly read: (name: string) => Buffer
  /** Makes a file that must not exist. */
  readonly create: (name: string) => DiskFile
  /** Opens a file to write to it. */
  readonly open: (name: string) => DiskFile
  /** Makes durable what a file had when it was read. */
  readonly syncFile: (name: string) => void
  readonly remove: (name: string) => void
  /** Makes sure that files can be set aside. */
  readonly prepareToSetAside: () => void
  /** Moves a file into the directory `damaged` in this one, and gives its path there. */
  readonly setAside: (name: string) => string
  /** Makes durable which files there are. */
  readonly syncDirectory: (done: Done) => void
  readonly syncDirectoryNow: () => void
}

const DAMAGED = "damaged"

const MODE = 0o600

// With O_DSYNC a write is durable when it ends, which saves a second way to the thread pool and back. macOS leaves such
// bytes in the memory of the disk, and Windows does not have it.
const DURABLY = process.platform === "linux" ? Fs.constants.O_DSYNC : undefined

class NodeFile implements DiskFile {
  readonly #path: string
  readonly #fd: number
  /** Opened when it is first needed. */
  #durably: number | undefined

  constructor(path: string, flags: number) {
    this.#path = path
    this.#fd = Fs.openSync(path, flags, MODE)
  }

  write(bytes: Uint8Array, from: number, to: number, offset: number): void {
    for (let at = from; at < to;) at += Fs.writeSync(this.#fd, bytes, at, to - at, offset + at - from)
  }

  writeDurably(bytes: Uint8Array, from: number, to: number, offset: number, done: Done): void {
    if (DURABLY === undefined) {
      return this.#write(this.#fd, bytes, from, to, offset, (error) => this.#thenSync(error, done))
    }
    this.#durably ??= Fs.openSync(this.#path, Fs.constants.O_WRONLY | DURABLY)
    this.#write(this.#durably, bytes, from, to, offset, done)
  }

  #write(fd: number, bytes: Uint8Array, from: number, to: number, offset: number, done: Done): void {
    Fs.write(fd, bytes, from, to - from, offset, (error, written) => {
      if (error !== null || written === to - from) return done(error)
      this.#write(fd, bytes, from + written, to, offset + written, done)
    })
  }

  #thenSync(error: Error | null, done: Done): void {
    if (error !== null) return done(error)
    this.sync(done)
  }

  sync(done: Done): void {
    Fs.fdatasync(this.#fd, done)
  }

  syncNow(): void {
    Fs.fdatasyncSync(this.#fd)
  }

  truncate(size: number): void {
    Fs.ftruncateSync(this.#fd, size)
  }

  close(): void {
    Fs.closeSync(this.#fd)
    if (this.#durably !== undefined) Fs.closeSync(this.#durably)
  }
}

// Windows cannot open a directory, and keeps its own order of what happens in one.
const hasDirectories = process.platform !== "win32"

class NodeDisk implements Disk {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  list(): ReadonlyArray<string> {
    return Fs.readdirSync(this.path)
  }

  read(name: string): Buffer {
    return Fs.readFileSync(join(this.path, name))
  }

  create(name: string): DiskFile {
    return new NodeFile(join(this.path, name), Fs.constants.O_WRONLY | Fs.constants.O_CREAT | Fs.constants.O_EXCL)
  }

  open(name: string): DiskFile {
    const path = join(this.path, name)
    // beanstalkd makes its files read-only for all.
    Fs.chmodSync(path, MODE)
    return new NodeFile(path, Fs.constants.O_WRONLY)
  }

  syncFile(name: string): void {
    const fd = Fs.openSync(join(this.path, name), "r")
    try {
      Fs.fsyncSync(fd)
    } finally {
      Fs.closeSync(fd)
    }
  }

  remove(name: string): void {
    Fs.unlinkSync(join(this.path, name))
  }

  prepareToSetAside(): void {
    Fs.mkdirSync(join(this.path, DAMAGED), { recursive: true, mode: 0o700 })
  }

  setAside(name: string): string {
    const directory = join(this.path, DAMAGED)
    let target = join(directory, name)
    for (let n = 2; Fs.existsSync(target); n++) target = join(directory, `${name}-${n}`)
    Fs.renameSync(join(this.path, name), target)
    return target
  }

  syncDirectory(done: Done): void {
    if (!hasDirectories) return done(null)
    Fs.open(this.path, "r", (error, fd) => {
      if (error !== null) return done(error)
      Fs.fsync(fd, (failed) => Fs.close(fd, (unclosed) => done(failed ?? unclosed)))
    })
  }

  syncDirectoryNow(): void {
    if (hasDirectories) this.syncFile(".")
  }
}

/** A directory of this machine. */
export const nodeDisk = (path: string): Disk => new NodeDisk(path)
