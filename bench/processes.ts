/**
 * Processes that do not outlive the benchmark: each ends with it, also when it fails or is interrupted.
 */
import type { ChildProcess } from "node:child_process"

export const own = (child: ChildProcess): void => {
  const kill = (): void => {
    child.kill("SIGKILL")
  }
  process.once("exit", kill)
  child.once("exit", () => process.off("exit", kill))
}

/** Makes the usual signals end the benchmark in a way that ends its processes. */
export const exitOnSignals = (): void => {
  process.once("SIGINT", () => process.exit(130))
  process.once("SIGTERM", () => process.exit(143))
}
