/**
 * The runtime that the tests run on: Node, Bun or Deno. Programs that tests start run on it too.
 */
import type { ChildProcess } from "node:child_process"

export const isBun: boolean = "Bun" in globalThis

export const isDeno: boolean = "Deno" in globalThis

/** How a shell runs a program on this runtime. `spawn` of Deno does the same by itself. Without `-q`, Deno clears lines of the terminal. */
export const command: ReadonlyArray<string> = isDeno ? [process.execPath, "run", "-A", "-q"] : [process.execPath]

/** `command` as text for a shell. */
export const commandLine: string = command.map((word) => `'${word}'`).join(" ")

/**
 * Sends a signal to a child, and tells whether it still ran. Deno's own `child.kill` says that the child has ended, whatever
 * the child does with the signal.
 */
export const signal = (child: ChildProcess, name: NodeJS.Signals): boolean => {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return false
  try {
    return process.kill(child.pid, name)
  } catch {
    // It has just ended.
    return false
  }
}
