/**
 * The built `beanstalk` command as a process: what it prints, where, and how it ends.
 */
import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import { join } from "node:path"
import { vi } from "vitest"
import { eventually } from "./Eventually.ts"
import * as Runtime from "./Runtime.ts"

// Some tests start dozens of processes, and the machine may be busy.
vi.setConfig({ testTimeout: 120_000 })

const MAIN = join(import.meta.dirname, "../../dist/cli/main.js")

export interface CliOptions {
  /** All of its stdin. Default: none. */
  readonly stdin?: string | Uint8Array | undefined
  /** Added to the environment, which names no server. */
  readonly env?: Readonly<Record<string, string>> | undefined
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly pid: number
  /** The output so far. */
  readonly stdout: () => string
  readonly stderr: () => string
  /** Types keys, or feeds stdin. */
  readonly type: (text: string) => Effect.Effect<void>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly closeStdout: Effect.Effect<void>
  /** Waits until the process has ended. */
  readonly ended: Effect.Effect<Ended>
  /** Waits until stdout or stderr shows this. */
  readonly shows: (text: string | RegExp) => Effect.Effect<void>
}

const environment = (own: CliOptions["env"]): NodeJS.ProcessEnv => {
  const { BEANSTALKD_URL: _, FORCE_COLOR: __, NO_COLOR: ___, ...env } = process.env
  return { ...env, ...own }
}

const spawn = Effect.fnUntraced(function*(
  command: string,
  args: ReadonlyArray<string>,
  env: NodeJS.ProcessEnv
): Effect.fn.Return<Running & { readonly child: ChildProcess.ChildProcessWithoutNullStreams }, never, Scope.Scope> {
  const child = ChildProcess.spawn(command, args, { env })
  let stdout = ""
  let stderr = ""
  const ended = Deferred.makeUnsafe<Ended>()
  child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text)
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
  // The process may end before it has read all of its stdin.
  child.stdin.on("error", () => {})
  child.on("close", (code) => Deferred.doneUnsafe(ended, Effect.succeed({ code, stdout, stderr })))
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      child.kill("SIGKILL")
      return Deferred.await(ended)
    })
  )
  return {
    child,
    pid: child.pid!,
    stdout: () => stdout,
    stderr: () => stderr,
    type: (text) => Effect.sync(() => void child.stdin.write(text)),
    signal: (signal) => Effect.sync(() => void Runtime.signal(child, signal)),
    closeStdout: Effect.sync(() => child.stdout.destroy()),
    ended: Deferred.await(ended),
    shows: (text) =>
      eventually(Effect.sync(() => assert.match(stdout + stderr, text instanceof RegExp ? text : literally(text))), {
        within: "20 seconds"
      })
  }
})

const literally = (text: string) => new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))

/** Starts the command with an open stdin, and kills it with the Scope if it still runs. */
export const start = (args: ReadonlyArray<string>, env?: CliOptions["env"]) =>
  spawn(process.execPath, [MAIN, ...args], environment(env))

/** Starts the command on a system that lets no file grow larger than so many KiB. */
export const startWithSmallFiles = (args: ReadonlyArray<string>, kib: number) => {
  const command = `ulimit -f ${kib} && exec "$@"`
  return spawn("bash", ["-c", command, "bash", ...Runtime.command, MAIN, ...args], environment(undefined))
}

/** Runs the command to its end. */
export const run = Effect.fnUntraced(function*(args: ReadonlyArray<string>, options: CliOptions = {}) {
  const { child, ended } = yield* spawn(process.execPath, [MAIN, ...args], environment(options.env))
  child.stdin.end(options.stdin ?? "")
  return yield* ended
}, Effect.scoped)

/** `run` on a server. */
export const on = (server: { readonly port: number }) => (args: ReadonlyArray<string>, options?: CliOptions) =>
  run(["--port", String(server.port), ...args], options)

/** The lines of stdout as JSON. */
export const ndjson = ({ stdout }: Ended): ReadonlyArray<Record<string, unknown>> =>
  stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Record<string, unknown>)

/** Whether the machine has `script` of util-linux, which provides a pseudo-terminal. */
export const hasTerminal: boolean = String(ChildProcess.spawnSync("script", ["--version"]).stdout).includes(
  "util-linux"
)

const quote = (arg: string) => `'${arg.replaceAll("'", `'\\''`)}'`

/**
 * Starts the command in a terminal of 100 columns and 30 lines: stdin, stdout and stderr are one, `shell` wraps its
 * command line.
 */
export const inTerminal = (
  args: ReadonlyArray<string>,
  { env, shell = (command) => command }: {
    readonly env?: CliOptions["env"]
    readonly shell?: (command: string) => string
  } = {}
) => {
  const command = shell([...Runtime.command, MAIN, ...args].map(quote).join(" "))
  const line = `stty rows 30 cols 100; ${command}`
  return spawn("script", ["-qfec", line, "/dev/null"], environment({ TERM: "xterm", ...env }))
}
