import { defineConfig, mergeConfig } from "vitest/config"
import { isBun } from "./test/support/Runtime.ts"
import base from "./vitest.base.ts"

// On Bun no process of a pool of processes ever starts.
export default mergeConfig(
  base,
  defineConfig({ test: { pool: isBun ? "threads" : "forks", setupFiles: ["test/support/skipOnRuntime.ts"] } })
)
