/**
 * Runs the command line of this process, and ends it with the right exit code.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Clock from "effect/Clock"
import { ending } from "./failures.ts"
import { program } from "./program.ts"

// Whoever writes hears of it by the callback; without these listeners a closed pipe ends in a stack trace.
process.stdout.on("error", () => {})
process.stderr.on("error", () => {})

// The first Ctrl-C lets commands end what they are at and say how far they came; whoever is in a hurry presses again. What
// comes in the same moment is the same Ctrl-C: `timeout` and `npx` pass on what the terminal has sent already.
const SAME_CTRL_C_MILLIS = 500
const clock = Clock.Clock.defaultValue()
let interruptedAt: number | undefined
process.on("SIGINT", () => {
  interruptedAt ??= clock.currentTimeMillisUnsafe()
  if (clock.currentTimeMillisUnsafe() - interruptedAt > SAME_CTRL_C_MILLIS) process.exit(130)
})

NodeRuntime.runMain(program(process.argv.slice(2)), {
  disableErrorReporting: true,
  teardown: (exit) => {
    const { code, line } = ending(exit)
    if (line !== undefined) process.stderr.write(`${line}\n`)
    process.exit(code === 130 ? process.exitCode ?? code : code)
  }
})
