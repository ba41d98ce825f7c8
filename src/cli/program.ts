/**
 * The command line as an effect: from the arguments of a process to the command that they name. Requested help goes to
 * stdout. Usage that is printed because of wrong arguments goes to stderr.
 */
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type * as HelpDoc from "effect/cli/HelpDoc"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as References from "effect/References"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import * as Terminal from "effect/Terminal"
import { readFileSync } from "node:fs"
import { all } from "./commands/all.ts"
import { normalize } from "./argv.ts"
import { wrongUsage } from "./failures.ts"
import { dashH } from "./hosts.ts"
import { note } from "./terminal/output.ts"
import { layer as stdio } from "./terminal/stdio.ts"

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

const unused = Effect.die("no command uses this service")

/**
 * The services that `effect/cli` requires. But for stdin they are for prompts and for arguments that name files. No command has
 * either, so these stand in for the services of `@effect/platform-node`: with them the commands run without that package.
 */
const services = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  stdio,
  Layer.succeed(Terminal.Terminal)(Terminal.make({
    columns: unused,
    rows: unused,
    size: unused,
    readInput: unused,
    readLine: unused,
    display: () => unused
  })),
  Layer.succeed(ChildProcessSpawner.ChildProcessSpawner)(ChildProcessSpawner.make(() => unused))
)

const commandNames = new Set(Completions.fromCommand(all).subcommands.map(({ name }) => name))

const refuseDashH = (args: ReadonlyArray<string>) => {
  const hint = dashH(args, (word) => commandNames.has(word))
  return hint === undefined ? Effect.void : Effect.andThen(note(`beanstalk: ${hint}`), wrongUsage(hint))
}

/** Runs the command that the arguments name. */
export const program = (args: ReadonlyArray<string>) =>
  Effect.suspend(() => Effect.andThen(refuseDashH(args), Command.runWith(all, { version })(normalize(args, all)))).pipe(
    Effect.provideService(CliOutput.Presenter, presenter),
    Effect.provideService(
      CliConfig.CliConfig,
      CliConfig.make({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
    ),
    Effect.provide(services),
    // What the client logs is no result. That contact is lost is said once, by the command that fails.
    Effect.provideService(References.LogToStderr, true),
    Effect.provideService(References.MinimumLogLevel, "Error")
  )
