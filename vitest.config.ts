import { defineConfig } from "vitest/config"
import base from "./vitest.base.ts"

const { test = {}, ...others } = base
const { globalSetup = [], include = [], maxWorkers = 1, ...each } = test

/** Files that leave nothing behind in their process, so that many have one together, and `effect` is loaded once for all. */
const TOGETHER = [
  "binlog",
  "client",
  "connection",
  "consumer",
  "envelope",
  "fleet",
  "pool",
  "protocol",
  "server",
  "telemetry",
  "tube",
  "worker"
].map((folder) => `test/${folder}/*.test.ts`)

/** Files of these folders that replace functions or modules, or look at all that their process has. */
const APART = [
  "test/binlog/Faults.test.ts",
  "test/connection/Bounds.test.ts",
  "test/connection/Hostile.test.ts",
  "test/connection/Options.test.ts",
  "test/worker/Health.test.ts",
  "test/worker/Shutdown.test.ts"
]

const NEVER = "**/node_modules/**"

const project = (name: string, files: object) => ({ ...others, test: { ...each, name, ...files } })

export default defineConfig({
  ...others,
  test: {
    globalSetup,
    maxWorkers,
    projects: [
      project("others", { include, exclude: [NEVER, ...TOGETHER] }),
      project("apart", { include: APART }),
      project("together", { include: TOGETHER, exclude: [NEVER, ...APART], isolate: false })
    ]
  }
})
