/**
 * Worker services, each in a process of its own that a test can end or kill.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("programs/Service.ts", import.meta.url))

export interface Service {
  readonly child: ChildProcess
  /** The ids of the handlers that have begun, ended or been interrupted so far, in order. */
  readonly told: (what: "began" | "ended" | "interrupted") => ReadonlyArray<number>
  readonly stderr: () => string
  /** Waits until the process has ended. */
  readonly exited: Effect.Effect<void>
}

let services = 0

/** A worker service, which is killed with the Scope. */
export const service = (
  port: number,
  dir: string,
  options: object
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const file = join(dir, `service-${++services}`)
        writeFileSync(file, "")
        const child = spawn(process.execPath, [program, String(port), file, JSON.stringify(options)], {
          stdio: ["ignore", "ignore", "pipe"]
        })
        return { child, file }
      }),
      ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    ({ child, file }) => {
      let stderr = ""
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text
      })
      const exited = Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
      })
      return {
        child,
        exited,
        stderr: () => stderr,
        told: (what) =>
          readFileSync(file, "utf8").split("\n").filter((line) => line.startsWith(`${what} `)).map((line) =>
            Number(line.slice(what.length))
          )
      }
    }
  )
