import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

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
