/**
 * Runs the command line of this process, and ends it with the right exit code. Help that was asked for goes to stdout;
 * usage that is shown because what was typed was wrong goes to stderr.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type * as HelpDoc from "effect/cli/HelpDoc"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { all } from "./all.ts"
import { normalize } from "./argv.ts"
import { ending } from "./failures.ts"
import { note } from "./output.ts"

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string
}

const usageOf = ({ examples, usage }: HelpDoc.HelpDoc, path: string): string =>
  [
    `Usage: ${usage}`,
    ...(examples ?? []).map(({ command }) => `  e.g.  ${command}`),
    `All about it: ${path} --help`
  ].join("\n")

const presenter: CliOutput.Presenter = {
  present: Effect.fnUntraced(function*(event) {
    if (event._tag === "InvalidInvocation") {
      const path = event.commandPath.join(" ")
      const errors = event.errors.map(({ message }) => `${path}: ${message.replace(/\s*\n\s*/g, " ")}`)
      return yield* note([...errors, usageOf(event.helpDoc, path)].join("\n"))
    }
    if (event._tag === "Help" && event.reason === "Implicit") {
      const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
      return yield* note(CliOutput.defaultFormatter({ colors: canColor }).formatHelpDoc(event.helpDoc))
    }
    return yield* CliOutput.defaultPresenter.present(event)
  })
}

const program = Effect.suspend(() => Command.runWith(all, { version })(normalize(process.argv.slice(2), all))).pipe(
  Effect.provideService(CliOutput.Presenter, presenter),
  Effect.provideService(
    CliConfig.CliConfig,
    CliConfig.make({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
  ),
  Effect.provide(NodeServices.layer)
)

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

NodeRuntime.runMain(program, {
  disableErrorReporting: true,
  teardown: (exit) => {
    const { code, line } = ending(exit)
    if (line !== undefined) process.stderr.write(`${line}\n`)
    process.exit(code === 130 ? process.exitCode ?? code : code)
  }
})
