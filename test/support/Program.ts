/**
 * Runs a program in a process of its own, where a test can measure memory and notice that the program does not end.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as RealTime from "./RealTime.ts"

export interface Outcome {
  readonly code: number | null
  /** The output of the program, parsed as JSON if it is JSON. */
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

/**
 * Runs a file and waits until the program has ended by itself; dies if that takes longer than 25 seconds.
 */
export const run = (program: URL, ...args: ReadonlyArray<string | number>): Effect.Effect<Outcome> => {
  const file = fileURLToPath(program)
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
    orElse: () => Effect.die(new Error(`${file} ${args.join(" ")} did not end by itself: ${JSON.stringify(texts)}`))
  })
}
