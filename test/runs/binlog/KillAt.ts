/**
 * Loaded before a server: kills its process at one of its calls to the file system that concern a binlog. Which one, and how
 * many bytes of a write come before, is in the environment: `KILL_AT` counts from 1, `KILL_PART` is the part that is done, from
 * 0 (nothing) to 1 (the call has been done, and nobody has heard of it), and `KILL_DIRECTORY` is the directory.
 */
import Fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

const KILL_AT = Number(process.env["KILL_AT"])
const KILL_PART = Number(process.env["KILL_PART"])

const original = { ...Fs }

/** The binlog files and directories that are open. */
const names = new Map<number, string>()

let calls = 0

const DIRECTORY = process.env["KILL_DIRECTORY"]!

const nameOf = (path: unknown) => path === DIRECTORY ? "directory" : /(?:^|\/)(binlog\.\d+)$/.exec(String(path))?.[1]

const isDue = () => ++calls === KILL_AT

/** Says what has been cut short, and ends. */
const die = (what: string, done: number, of: number): never => {
  original.writeSync(2, `KILLED ${what} ${done} ${of}\n`)
  process.kill(process.pid, "SIGKILL")
  // The signal may take another thread first.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
}

/** The call is the last one, and is done or not. */
const atCall = (what: string, call: () => unknown): void => {
  if (!isDue()) return
  const isDone = KILL_PART >= 0.5
  if (isDone) call()
  die(what, isDone ? 1 : 0, 1)
}

const atWrite = (fd: number, bytes: Uint8Array, from: number, length: number, position: number): void => {
  if (!isDue()) return
  const part = Math.round(KILL_PART * length)
  for (let done = 0; done < part;) done += original.writeSync(fd, bytes, from + done, part - done, position + done)
  die(`write-${names.get(fd)}`, part, length)
}

Object.assign(Fs, {
  openSync: (path: Fs.PathLike, ...rest: [Fs.OpenMode, Fs.Mode?]) => {
    const name = nameOf(path)
    if (name === undefined) return original.openSync(path, ...rest)
    atCall(`open-${name}`, () => original.openSync(path, ...rest))
    const fd = original.openSync(path, ...rest)
    names.set(fd, name)
    return fd
  },
  open: (path: Fs.PathLike, flags: Fs.OpenMode, done: (error: Error | null, fd: number) => void) =>
    original.open(path, flags, (error, fd) => {
      const name = nameOf(path)
      if (error === null && name !== undefined) names.set(fd, name)
      done(error, fd)
    }),
  closeSync: (fd: number) => {
    names.delete(fd)
    original.closeSync(fd)
  },
  close: (fd: number, done: (error: Error | null) => void) => {
    names.delete(fd)
    original.close(fd, done)
  },
  writeSync: (fd: number, bytes: Uint8Array, from: number, length: number, position: number) => {
    if (names.has(fd)) atWrite(fd, bytes, from, length, position)
    return original.writeSync(fd, bytes, from, length, position)
  },
  write: (
    fd: number,
    bytes: Uint8Array,
    from: number,
    length: number,
    position: number,
    done: (error: Error | null, written: number) => void
  ) => {
    if (names.has(fd)) atWrite(fd, bytes, from, length, position)
    original.write(fd, bytes, from, length, position, done)
  },
  ftruncateSync: (fd: number, size: number) => {
    if (names.has(fd)) atCall(`truncate-${names.get(fd)}`, () => original.ftruncateSync(fd, size))
    original.ftruncateSync(fd, size)
  },
  unlinkSync: (path: string) => {
    const name = nameOf(path)
    if (name !== undefined) atCall(`remove-${name}`, () => original.unlinkSync(path))
    original.unlinkSync(path)
  },
  fsync: (fd: number, done: (error: Error | null) => void) => {
    if (names.has(fd)) atCall(`sync-${names.get(fd)}`, () => original.fsyncSync(fd))
    original.fsync(fd, done)
  },
  fdatasync: (fd: number, done: (error: Error | null) => void) => {
    if (names.has(fd)) atCall(`sync-${names.get(fd)}`, () => original.fdatasyncSync(fd))
    original.fdatasync(fd, done)
  },
  fsyncSync: (fd: number) => {
    if (names.has(fd)) atCall(`sync-${names.get(fd)}`, () => original.fsyncSync(fd))
    original.fsyncSync(fd)
  },
  fdatasyncSync: (fd: number) => {
    if (names.has(fd)) atCall(`sync-${names.get(fd)}`, () => original.fdatasyncSync(fd))
    original.fdatasyncSync(fd)
  }
})
syncBuiltinESMExports()
