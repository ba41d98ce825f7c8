/**
 * A client, a worker and a server in memory need nothing but `effect`: only a server on a socket loads
 * `@effect/platform-node`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Program from "../support/Program.ts"

describe("importing the package", () => {
  it.live("loads effect and itself, and no other package", () =>
    Effect.gen(function*() {
      const outcome = yield* Program.run(new URL("programs/LoadedModules.ts", import.meta.url))
      assert.deepInclude(outcome, { code: 0, stderr: "" })
      const urls = outcome.report as ReadonlyArray<string>
      assert.isTrue(urls.some((url) => url.endsWith("/dist/internal/server/engineHost.js")))
      assert.isFalse(urls.some((url) => url.endsWith("/dist/internal/server/listen.js")))
      const packages = urls.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? [])
      assert.deepStrictEqual([...new Set(packages)], ["effect"])
    }))
})

describe("where @effect/platform-node is not installed", () => {
  it.live("a worker handles a job of a server in memory, and a server on a socket says what to install", () =>
    Effect.gen(function*() {
      const outcome = yield* Program.run(new URL("programs/WithoutPlatform.ts", import.meta.url))
      assert.deepInclude(outcome, { code: 0, stderr: "" })
      assert.deepStrictEqual(outcome.report, {
        handled: "ada",
        refused: "cannot listen on 127.0.0.1:0: a server on a socket needs the package @effect/platform-node: " +
          "npm install @effect/platform-node"
      })
    }))
})
