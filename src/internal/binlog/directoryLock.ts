/**
 * Keeps two servers from one directory, of which either may be the real one: it takes the lock that beanstalkd takes, a
 * POSIX lock of `DIR/lock`. Node cannot lock a file; its SQLite locks its files in that way.
 */
import { existsSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { DatabaseSync } from "node:sqlite"
import { attempt, BinlogFailure } from "./failure.ts"

/** A directory that is ours. */
export interface DirectoryLock {
  readonly release: () => void
}

// The message of SQLITE_BUSY. Node and Bun have its code as well, Deno has not.
const BUSY = "database is locked"

const NO_LOCK = "it must be an empty file that this user may write, or not be there"

// It is no database, and must not become one: without these, files would appear beside it and stay after a kill.
const TAKE = "PRAGMA journal_mode=MEMORY; PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE"

/** What of Node it needs. */
export interface Sqlite {
  readonly DatabaseSync: typeof DatabaseSync
}

const isBusy = (error: unknown): boolean => error instanceof Error && error.message.startsWith(BUSY)

/** Locks a directory. It throws a `BinlogFailure` if another server has it. */
export const lockDirectory = (sqlite: Sqlite, directory: string): DirectoryLock => {
  const path = join(directory, "lock")
  attempt(directory, "lock", () => {
    const found = statSync(directory, { throwIfNoEntry: false })
    if (found === undefined) throw new Error("there is no such directory: make it first")
    if (!found.isDirectory()) throw new Error("it is not a directory")
  })
  // Only if there is none: whoever closes a file drops all locks of it that the process has.
  attempt(path, "lock", () => existsSync(path) || writeFileSync(path, "", { mode: 0o600 }))
  const refuse = (error: unknown) => {
    const reason = isBusy(error) ? "another server uses this directory" : NO_LOCK
    return new BinlogFailure({ path, operation: "lock", cause: new Error(reason, { cause: error }) })
  }
  let database
  try {
    database = new sqlite.DatabaseSync(path, { timeout: 0 })
  } catch (error) {
    throw refuse(error)
  }
  try {
    database.exec(TAKE)
  } catch (error) {
    database.close()
    throw refuse(error)
  }
  const held = database
  return { release: () => held.close() }
}
