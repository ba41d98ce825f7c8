import { readdirSync, readFileSync } from "node:fs"
import { defineConfig, mergeConfig } from "vitest/config"
import base from "./vitest.base.ts"

/** The suites of tubes, workers and streams that run on a server in memory: here their client has three. */
const suites = ["tube", "worker", "consumer"].flatMap((folder) =>
  readdirSync(`${import.meta.dirname}/test/${folder}`)
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `test/${folder}/${name}`)
    .filter((path) => readFileSync(`${import.meta.dirname}/${path}`, "utf8").includes("onMemory"))
)

const { test, ...others } = base

export default mergeConfig(
  { ...others, test: { ...test, include: [] } },
  defineConfig({ test: { include: suites, env: { SERVERS: "3" }, setupFiles: ["test/support/skipOneServer.ts"] } })
)
