/**
 * Processes that do not outlive the benchmark: each ends with it, also when it fails or is interrupted.
 */
import type { ChildProcess } from "node:child_process"

const running = new Set<ChildProcess>()
process.once("exit", () => running.forEach((child) => child.kill("SIGKILL")))

export const own = (child: ChildProcess): void => {
  running.add(child)
  child.once("exit", () => running.delete(child))
}

/** Makes the usual signals end the benchmark in a way that ends its processes. */
export const exitOnSignals = (): void => {
  process.once("SIGINT", () => process.exit(130))
  process.once("SIGTERM", () => process.exit(143))
}
