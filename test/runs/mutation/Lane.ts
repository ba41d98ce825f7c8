/**
 * A copy of the project in which one mutant at a time is tried, so that nothing happens to the project itself, whatever
 * becomes of this process.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFileSync, spawn } from "node:child_process"
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"

/** How a command ended; `undefined` if it was ended because it took too long. */
export interface Ended {
  readonly code: number | undefined
  readonly output: string
}

/** One copy. */
export interface Lane {
  readonly root: string
  readonly read: (file: string) => string
  readonly write: (file: string, text: string) => void
  /** Runs a command of `node_modules/.bin` in it, for so long at most, and ends with it all that it has started. */
  readonly run: (command: string, args: ReadonlyArray<string>, millis: number) => Effect.Effect<Ended>
}

const OUTPUT_KEPT = 100_000

const endGroup = (pid: number | undefined) => {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL")
  } catch {
    // It has ended already.
  }
}

/** Copies what git knows of and what is new, but nothing that it ignores. The packages are linked to. */
const copy = (from: string, to: string): void => {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: from })
  for (const file of listed.toString().split("\0")) {
    if (file === "" || statSync(join(from, file), { throwIfNoEntry: false }) === undefined) continue
    mkdirSync(dirname(join(to, file)), { recursive: true })
    cpSync(join(from, file), join(to, file), { preserveTimestamps: true })
  }
  // One by one, so that what tools keep beside them is a lane's own.
  mkdirSync(join(to, "node_modules"))
  for (const name of readdirSync(join(from, "node_modules"))) {
    if (name !== ".vite") symlinkSync(join(from, "node_modules", name), join(to, "node_modules", name))
  }
}

/** A copy of the project at `from`, which is gone when the Scope ends. */
export const make = (from: string): Effect.Effect<Lane, never, Scope.Scope> =>
  Effect.gen(function*() {
    const root = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "mutation-"))),
      (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true, maxRetries: 3 }))
    )
    yield* Effect.sync(() => copy(from, root))
    const PATH = `${join(root, "node_modules/.bin")}${delimiter}${process.env["PATH"] ?? ""}`
    const env = { ...process.env, PATH, CI: "", NO_COLOR: "1", FORCE_COLOR: "0" }
    const run: Lane["run"] = (command, args, millis) =>
      Effect.callback<Ended>((resume) => {
        const child = spawn(command, args, { cwd: root, env, detached: true, stdio: ["ignore", "pipe", "pipe"] })
        let output = ""
        const keep = (piece: Buffer) => {
          output = (output + piece.toString()).slice(-OUTPUT_KEPT)
        }
        child.stdout.on("data", keep)
        child.stderr.on("data", keep)
        child.on("error", (error) => resume(Effect.die(error)))
        child.on("close", (code) => {
          endGroup(child.pid)
          resume(Effect.succeed({ code: code ?? undefined, output }))
        })
        return Effect.sync(() => endGroup(child.pid))
      }).pipe(
        Effect.timeoutOrElse({ duration: millis, orElse: () => Effect.succeed({ code: undefined, output: "" }) })
      )
    return {
      root,
      read: (file) => readFileSync(join(root, file), "utf8"),
      write: (file, text) => writeFileSync(join(root, file), text),
      run
    }
  })
