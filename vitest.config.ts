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
    testTimeout: 30_000
  }
})
