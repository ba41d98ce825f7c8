/**
 * Runs a program in a process of its own, where memory can be measured, and where it shows whether the process ends by
 * itself.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as RealTime from "../support/RealTime.ts"

export interface Outcome {
  readonly code: number | null
  /** Its output, parsed as JSON. */
  readonly report: unknown
  readonly stderr: string
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Runs a file of test/connection/programs by its name, or another one. Waits until it has ended by itself; dies when that takes more than half a minute. */
export const run = (name: string | URL, ...args: ReadonlyArray<string | number>): Effect.Effect<Outcome> => {
  const file = fileURLToPath(name instanceof URL ? name : new URL(`programs/${name}.ts`, import.meta.url))
  const texts = { stdout: "", stderr: "" }
  const ended = Effect.callback<Outcome>((resume) => {
    const child = spawn(process.execPath, ["--expose-gc", file, ...args.map(String)], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        texts[name] += text
      })
    }
    child.on("error", (error) => resume(Effect.die(error)))
    child.on("close", (code) => resume(Effect.succeed({ code, report: parse(texts.stdout), stderr: texts.stderr })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })
  return RealTime.timeoutOrElse(ended, {
    duration: "25 seconds",
    orElse: () =>
      Effect.die(new Error(`${String(name)} ${args.join(" ")} did not end by itself: ${JSON.stringify(texts)}`))
  })
}
