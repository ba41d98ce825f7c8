/**
 * What the arguments of a process ask for, as an effect. Help that was asked for goes to stdout; usage that is shown because
 * what was typed was wrong goes to stderr.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type * as HelpDoc from "effect/cli/HelpDoc"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { all } from "./commands/all.ts"
import { normalize } from "./argv.ts"
import { note } from "./terminal/output.ts"

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

/** Runs the command that the arguments say. */
export const program = (args: ReadonlyArray<string>) =>
  Effect.suspend(() => Command.runWith(all, { version })(normalize(args, all))).pipe(
    Effect.provideService(CliOutput.Presenter, presenter),
    Effect.provideService(
      CliConfig.CliConfig,
      CliConfig.make({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
    ),
    Effect.provide(NodeServices.layer)
  )
