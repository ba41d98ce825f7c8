/**
 * The command line without a process of its own, which costs next to nothing, for tests of every command. Some of them also
 * run as a process, to prove that it prints and ends alike.
 */
import { ConfigProvider, Console, Effect } from "effect"
import { TerminalCapabilities } from "effect/cli"
import * as NodeConsole from "node:console"
import { vi } from "vitest"
import * as failures from "../../src/cli/failures.ts"
import { program } from "../../src/cli/program.ts"
import type { Ended } from "../support/Cli.ts"

const capture = (stream: NodeJS.WriteStream) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let text = ""
      const write = (chunk: string, done?: () => void) => {
        text += chunk
        done?.()
        return true
      }
      const spy = vi.spyOn(stream, "write").mockImplementation(write as typeof stream.write)
      return { text: () => text, restore: () => spy.mockRestore() }
    }),
    ({ restore }) => Effect.sync(restore)
  )

/** The exit code of the process, and its last line. `env` is its whole environment. */
export const ending = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  program(args).pipe(
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })),
    Effect.provideService(TerminalCapabilities.TerminalCapabilities, {
      canColor: false,
      canAnimate: false,
      canPrompt: false
    }),
    Effect.exit,
    Effect.map(failures.ending)
  )

/** The value of an effect, and everything that was printed meanwhile. */
export const printedBy = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const stdout = yield* capture(process.stdout)
  const stderr = yield* capture(process.stderr)
  const console = new NodeConsole.Console(process.stdout, process.stderr)
  const value = yield* Effect.provideService(effect, Console.Console, console)
  return { value, stdout: stdout.text(), stderr: stderr.text() }
}, Effect.scoped)

/** Like `run` of a process. Never run two at a time: their output would be mixed. */
export const run = (args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.map(printedBy(ending(args)), ({ stderr, stdout, value: { code, line } }) => ({
    code,
    stdout,
    stderr: line === undefined ? stderr : `${stderr}${line}\n`
  }))
