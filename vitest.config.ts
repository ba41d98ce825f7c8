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
    // Most tests start processes and wait for them: leaving a core free, as vitest does, leaves one of two idle.
    maxWorkers: "100%",
    testTimeout: 30_000
  }
})
