/**
 * Programs that some tests need beside beanstalkd: whether they are there, and one process of them per Scope.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import { accessSync, constants, globSync } from "node:fs"
import { connect } from "node:net"
import { delimiter, join } from "node:path"
import { describe, test } from "vitest"
import { eventually } from "./Eventually.ts"

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The path of a program, on the PATH or in one of these directories. */
export const find = (name: string, ...directories: ReadonlyArray<string>): string | undefined =>
  [...(process.env["PATH"] ?? "").split(delimiter), ...directories.flatMap((pattern) => globSync(pattern))]
    .map((directory) => join(directory, name))
    .find(isExecutable)

/**
 * `describe` for tests that need a package of Debian. Without it they are skipped, in words; on CI that is a failure.
 */
export const describeWith = (debian: string, isThere: boolean, name: string, body: () => void): void => {
  if (isThere) return void describe(name, body)
  if (process.env["CI"] !== "true") return void describe.skip(`${name} (needs apt-get install -y ${debian})`, body)
  describe(name, () => {
    test(`needs ${debian}`, () => {
      throw new Error(`there is no ${debian} on this CI machine: apt-get install -y ${debian}`)
    })
  })
}

/** A test run that is cut short closes no scopes, and must not leave servers behind. */
const running = new Map<ChildProcess.ChildProcess, NodeJS.Signals>()
process.once("exit", () => running.forEach((signal, child) => child.kill(signal)))

/** A program that runs. */
export interface Running {
  readonly child: ChildProcess.ChildProcess
  /** Ends it, and waits until it has. */
  readonly stop: Effect.Effect<void>
}

/** Runs a program until the Scope ends, which ends it by the `killSignal`, SIGKILL by default. */
export const start = (
  program: string,
  args: ReadonlyArray<string>,
  options: ChildProcess.SpawnOptions & { readonly killSignal?: NodeJS.Signals } = {}
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = ChildProcess.spawn(program, args, { stdio: "ignore", ...options })
      const signal = options.killSignal ?? "SIGKILL"
      running.set(child, signal)
      const stop = Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill(signal)
      })
      return { child, stop: Effect.andThen(stop, Effect.sync(() => void running.delete(child))) }
    }),
    ({ stop }) => stop
  )

/** Waits until something listens on the port. */
export const listens = (port: number): Effect.Effect<void> =>
  eventually(
    Effect.callback<void>((resume) => {
      const socket = connect(port, "127.0.0.1")
      socket.once("connect", () => {
        socket.destroy()
        resume(Effect.void)
      })
      socket.once("error", (error) => resume(Effect.die(error)))
    }),
    { within: "20 seconds" }
  )
