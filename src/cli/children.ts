/**
 * Commands that run as children of this process, and end with it.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type ChildProcess, spawn } from "node:child_process"
import { accessSync, constants, statSync } from "node:fs"
import { delimiter, join } from "node:path"

/** A command could not be started. */
export class NotStarted extends Schema.TaggedError<NotStarted>("effect-beanstalkd/cli/NotStarted")("NotStarted", {
  message: Schema.String
}) {}

/** What a command is run with. */
export interface Run {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly stdin: Uint8Array
  /** Added to the environment of this process. */
  readonly env: Readonly<Record<string, string>>
}

/** How a command ended: with an exit code, or by a signal. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** How long a command that was told to end may take. */
const GRACE = "5 seconds"

const IS_WINDOWS = process.platform === "win32"

// The exit of this process leaves no time to wait for anybody.
const running = new Set<ChildProcess>()
process.on("exit", () => running.forEach((child) => signal(child, "SIGKILL")))

// The command and whatever it has started: a shell that is told to end may leave its own command running.
const signal = (child: ChildProcess, signal: NodeJS.Signals): void => {
  try {
    if (child.pid === undefined || IS_WINDOWS) child.kill(signal)
    else process.kill(-child.pid, signal)
  } catch {
    // It has just ended.
  }
}

const toBeEnded = new Set<ChildProcess>()
let isHurried = false

/** Commands that are to end are killed from now on. */
export const hurry = (): void => {
  isHurried = true
  for (const child of toBeEnded) signal(child, "SIGKILL")
}

const end = (child: ChildProcess, ended: Deferred.Deferred<Ended>) =>
  Effect.suspend(() => {
    toBeEnded.add(child)
    signal(child, isHurried ? "SIGKILL" : "SIGTERM")
    return Effect.timeoutOrElse(Deferred.await(ended), {
      duration: GRACE,
      orElse: () => {
        signal(child, "SIGKILL")
        return Deferred.await(ended)
      }
    })
  })

/**
 * Runs a command to its end. It has the stdout and stderr of this process, and a process group of its own, so that a Ctrl-C at
 * the terminal leaves it to this process when the command ends. An interruption ends it, and waits until it has ended.
 */
export const run = ({ args, command, env, stdin }: Run): Effect.Effect<Ended, NotStarted> =>
  Effect.callback((resume) => {
    const ended = Deferred.makeUnsafe<Ended>()
    const failed = (error: Error) => {
      Deferred.doneUnsafe(ended, Effect.succeed({ code: null, signal: null }))
      resume(Effect.fail(new NotStarted({ message: `cannot run ${command}: ${error.message}` })))
    }
    let child: ChildProcess
    try {
      child = spawn(command, args, {
        env: { ...process.env, ...env },
        stdio: ["pipe", "inherit", "inherit"],
        detached: !IS_WINDOWS
      })
    } catch (error) {
      return failed(error as Error)
    }
    running.add(child)
    child.on("error", (error) => {
      // Also that a signal could not be sent, to a command that runs.
      if (child.pid !== undefined) return
      running.delete(child)
      failed(error)
    })
    child.on("exit", (code, signal) => {
      running.delete(child)
      toBeEnded.delete(child)
      Deferred.doneUnsafe(ended, Effect.succeed({ code, signal }))
      resume(Effect.succeed({ code, signal }))
    })
    // A command need not read its stdin.
    child.stdin?.on("error", () => {})
    child.stdin?.end(stdin)
    return end(child, ended)
  })

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Fails if there is no such command, which is known before there is anything to run it on. */
export const check = (command: string, hint: string): Effect.Effect<void, NotStarted> =>
  Effect.suspend(() => {
    if (IS_WINDOWS) return Effect.void
    const isPath = command.includes("/")
    const directories = (process.env["PATH"] ?? "").split(delimiter)
    if (isPath ? isExecutable(command) : directories.some((directory) => isExecutable(join(directory, command)))) {
      return Effect.void
    }
    const why = isPath ? "there is no such file that can be executed" : "the PATH has no such command"
    return new NotStarted({ message: `cannot run ${command === "" ? "\"\"" : command}: ${why}${hint}` })
  })
