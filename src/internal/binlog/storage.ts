/**
 * A binlog as the storage of a server: the lock of its directory, its clocks, and what its server hears of it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { setImmediate } from "node:timers"
import type { OpenStorage } from "../server/storage.ts"
import type { LogObserver, SyncPolicy } from "./policy.ts"
import { lockDirectory, type Sqlite } from "./directoryLock.ts"
import { nodeDisk } from "./disk.ts"
import { catchFailure, type Failure } from "./failure.ts"
import type { Trouble } from "./groupCommit.ts"
import { open } from "./open.ts"
import { WallClock } from "./wallClock.ts"

/** A binlog to be opened. */
export interface Options {
  readonly directory: string
  readonly sync: SyncPolicy
  readonly fileSize: number
  readonly salvage: boolean
  readonly observer: LogObserver
}

const NO_LOCK = "a directory needs node:sqlite, which holds its lock: Node 22.13 or later has it"

// Node 22 warns of SQLite as a whole, of which a lock uses what has not changed in twenty years.
const withoutWarning = Effect.acquireRelease(
  Effect.sync(() => {
    const before = Object.getOwnPropertyDescriptor(process, "emitWarning")
    const emit = process.emitWarning.bind(process)
    process.emitWarning = (warning: string | Error, ...rest: ReadonlyArray<never>) => {
      if (!String(warning).includes("SQLite")) emit(warning, ...rest)
    }
    return before
  }),
  (before) => Effect.sync(() => before && Object.defineProperty(process, "emitWarning", before))
)

// Only a server with a directory needs it, and not every runtime has it.
const loadSqlite = (directory: string): Effect.Effect<Sqlite, Failure> =>
  Effect.andThen(
    withoutWarning,
    Effect.tryPromise({
      try: () => import("node:sqlite"),
      catch: (cause): Failure => ({ path: directory, operation: "lock", cause: new Error(NO_LOCK, { cause }) })
    })
  ).pipe(Effect.scoped)

const lock = (directory: string): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.flatMap(loadSqlite(directory), (sqlite) =>
    Effect.acquireRelease(
      catchFailure(Effect.sync(() => lockDirectory(sqlite, directory))),
      ({ release }) => Effect.sync(release)
    ))

const failureOf = (directory: string, { cause, file, operation }: Trouble): Failure => ({
  path: `${directory}/${file}`,
  operation,
  cause
})

const describe = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

/** The storage of a directory, which nobody else can have until the Scope is closed. */
export const make = Effect.fnUntraced(function*(
  { directory, fileSize, observer, salvage, sync }: Options
): Effect.fn.Return<OpenStorage<Failure>, Failure, Scope.Scope> {
  yield* lock(directory)
  const clock = yield* Clock.Clock
  const disk = nodeDisk(directory)
  return Effect.fnUntraced(function*({ after, memory, now, onFailure, warn }) {
    const wall = new WallClock(now, () => clock.currentTimeMillisUnsafe())
    const { binlog, store, told } = yield* open({
      disk,
      fileSize,
      sync,
      salvage,
      memory,
      now,
      after,
      clock: wall,
      observer,
      atEndOfTurn: (task) => setImmediate(task),
      onFull: (cause) => warn(`${directory}: ${describe(cause)}: no put is accepted until there is room`),
      onTrouble: (trouble) => onFailure(failureOf(directory, trouble))
    })
    for (const line of told) warn(line)
    const ended = (end: (done: () => void) => void) => Effect.callback<void>((resume) => end(() => resume(Effect.void)))
    return {
      store,
      gate: binlog.gate,
      facts: () => binlog.facts,
      close: ended((done) => binlog.close(done)),
      kill: ended((done) => binlog.kill(done))
    }
  })
})
