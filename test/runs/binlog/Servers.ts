/**
 * The servers that share a directory: the real one and ours, each as a process, and ours in this process to read a directory.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import { cpSync, mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Server from "../../../src/Server.ts"
import * as RealServer from "../../support/RealServer.ts"
import { tempDir } from "../../support/TempDir.ts"
import { Peer, type Place } from "./Peer.ts"

const MAIN = join(import.meta.dirname, "../../../src/cli/main.ts")

/** Our server as a process. */
export interface Ours {
  readonly place: Place
  /** Whether it listens; false if it has ended before. */
  readonly listens: Effect.Effect<boolean>
  /** SIGKILL, if it still runs; returns when it is gone. */
  readonly kill: Effect.Effect<void>
  /** Waits until it has ended, and gives the signal that ended it. */
  readonly ended: Effect.Effect<NodeJS.Signals | null>
  readonly stderr: () => string
}

/** What our server is started with. */
export interface OursOptions {
  readonly directory: string
  readonly args: ReadonlyArray<string>
  /** A module that is loaded before it, and its environment. */
  readonly preload?: { readonly module: string; readonly env: Readonly<Record<string, string>> } | undefined
}

// A test run that is cut short closes no scopes.
const running = new Set<ChildProcess.ChildProcess>()
process.once("exit", () => running.forEach((child) => child.kill("SIGKILL")))

/** Starts our command line. */
export const startOurs = Effect.fnUntraced(function*(
  { args, directory, preload }: OursOptions
): Effect.fn.Return<Ours, never, Scope.Scope> {
  const path = join(yield* tempDir, "socket")
  const before = preload === undefined ? [] : ["--import", preload.module]
  const { NODE_V8_COVERAGE: _, ...env } = process.env
  const child = ChildProcess.spawn(
    process.execPath,
    [...before, MAIN, "serve", "--unix", path, "-b", directory, ...args],
    { env: { ...env, ...preload?.env }, stdio: ["ignore", "pipe", "pipe"] }
  )
  running.add(child)
  const ended = Deferred.makeUnsafe<NodeJS.Signals | null>()
  const listens = Deferred.makeUnsafe<boolean>()
  let stderr = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
  child.stdout.once("data", () => Deferred.doneUnsafe(listens, Effect.succeed(true)))
  child.on("close", (_, signal) => {
    running.delete(child)
    Deferred.doneUnsafe(listens, Effect.succeed(false))
    Deferred.doneUnsafe(ended, Effect.succeed(signal))
  })
  const kill = Effect.suspend(() => {
    child.kill("SIGKILL")
    return Effect.asVoid(Deferred.await(ended))
  })
  yield* Effect.addFinalizer(() => kill)
  return { place: { path }, listens: Deferred.await(listens), kill, ended: Deferred.await(ended), stderr: () => stderr }
})

const copy = (from: string, to: string) =>
  // The lock is empty, and may be held.
  cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith("/lock") })

/** A copy of a directory for the time of a scope. */
const copyOf = Effect.fnUntraced(function*(directory: string) {
  const to = yield* tempDir
  yield* Effect.sync(() => copy(directory, to))
  return to
})

/** A copy of a directory that stays, to be looked at. */
export const keep = (directory: string): string => {
  const to = mkdtempSync(join(tmpdir(), "binlog-"))
  copy(directory, to)
  return to
}

/** A connection for the time of a scope. */
export const connect = (place: Place): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.promise(() => Peer.connect(place)), (peer) => Effect.sync(() => peer.close()))

/** A connection to the real server that has started on a copy of a directory. */
export const onReal = Effect.fnUntraced(function*(directory: string, fileSize: number) {
  const binlogDir = yield* copyOf(directory)
  const { port } = yield* RealServer.make({ binlogDir, args: ["-F", "-s", String(fileSize)] })
  return yield* connect({ port })
})

/** A connection to a server of ours that has started on a copy of a directory. */
export const onOurs = Effect.fnUntraced(function*(directory: string, fileSize: number) {
  const copy = yield* copyOf(directory)
  const path = join(copy, "socket")
  yield* Server.make({ directory: copy, path, fileSize, sync: "never" })
  return yield* connect({ path })
})
