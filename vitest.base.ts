import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { defineConfig } from "vitest/config"

// Each test file has a process of its own, and many start others: they need not all compile the same modules.
process.env["NODE_COMPILE_CACHE"] ??= join(tmpdir(), "effect-beanstalkd-compiled")

export default defineConfig({
  resolve: {
    alias: [
      { find: /^effect-beanstalkd$/, replacement: `${import.meta.dirname}/src/index.ts` },
      { find: /^effect-beanstalkd\/(.*)$/, replacement: `${import.meta.dirname}/src/$1.ts` }
    ]
  },
  test: {
    include: ["test/**/*.test.ts", "examples/*.test.ts"],
    globalSetup: ["test/support/announce.ts", "test/support/build.ts"],
    // Most tests start processes and wait for them: with as many workers as cores, the cores are idle half of the time.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    testTimeout: 30_000
  }
})
