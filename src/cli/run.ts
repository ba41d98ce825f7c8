/**
 * Runs the command line of this process, and ends the process with the right exit code.
 */
import * as Clock from "effect/Clock"
import * as Runtime from "effect/Runtime"
import { ending } from "./failures.ts"
import { program } from "./program.ts"
import { exitCode, interruptedBy, secondSignal } from "./signals.ts"

// Each write reports its own error. Without these listeners a closed pipe would end in a stack trace.
process.stdout.on("error", () => {})
process.stderr.on("error", () => {})

// The first signal interrupts: commands finish their current step and say how far they came. A second one exits at once.
// `timeout` and `npx` repeat the signal that the terminal has sent already, so signals of the same moment count as one.
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const
const SAME_SIGNAL_MILLIS = 500
const clock = Clock.Clock.defaultValue()
let interruptedAt: number | undefined
const exitAtOnce = () => {
  interruptedAt ??= clock.currentTimeMillisUnsafe()
  if (clock.currentTimeMillisUnsafe() - interruptedAt > SAME_SIGNAL_MILLIS) secondSignal()
}
for (const signal of SIGNALS) process.on(signal, exitAtOnce)

const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  const interrupt = (signal: NodeJS.Signals) => {
    interruptedBy(signal)
    fiber.interruptUnsafe(fiber.id)
  }
  for (const signal of SIGNALS) process.on(signal, interrupt)
  fiber.addObserver((exit) => teardown(exit, (code) => process.exit(code)))
})

runMain(program(process.argv.slice(2)), {
  disableErrorReporting: true,
  teardown: (exit, onExit) => {
    const { code, line } = ending(exit)
    if (line !== undefined) process.stderr.write(`${line}\n`)
    onExit(code === 130 ? exitCode() : code)
  }
})
