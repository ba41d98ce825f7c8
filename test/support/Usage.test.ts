/**
 * The runners refuse options that they do not know: a run that did nothing must not look like one that found nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { join } from "node:path"
import * as Usage from "./Usage.ts"

/** The output of a runner for a command line, and its exit code. */
const run = (runner: string, ...args: ReadonlyArray<string>) =>
  Effect.callback<{ readonly code: unknown; readonly stderr: string }>((resume) => {
    const main = join(import.meta.dirname, "../runs", runner, "main.ts")
    execFile(process.execPath, [main, ...args], { timeout: 20_000 }, (error, _, stderr) => {
      resume(Effect.succeed({ code: error?.code ?? 0, stderr }))
    })
  })

describe("a runner", () => {
  const senseless: ReadonlyArray<readonly [runner: string, name: string, value: string]> = [
    ["simulation", "seeds", "abc"],
    ["simulation", "seeds", "0"],
    ["simulation", "breakage", "x"],
    ["fuzz", "count", "abc"],
    ["faults", "one-of", "x"],
    ["faults", "server", "x"],
    ["load", "jobs", "x"],
    ["chaos", "runs", "-1"],
    ["chaos", "unknown", "1"]
  ]
  it.live.each(senseless)("of %s refuses --%s %s", ([runner, name, value]) =>
    Effect.gen(function*() {
      const { code, stderr } = yield* run(runner, `--${name}`, value)
      assert.strictEqual(code, 2, stderr)
      assert.include(stderr, `--${name}`)
      assert.include(stderr, "usage: npm run ")
    }))
})

describe("a number on a command line", () => {
  it("is whole, and at least 1 where there must be some", () => {
    assert.deepStrictEqual([Usage.whole("seed", "0"), Usage.positive("count", "200000")], [0, 200_000])
    assert.strictEqual(Usage.whole("seed", String(2 ** 32 - 1)), 2 ** 32 - 1)
    for (const text of ["", " 1", "1.5", "-1", "1e3", "0x1", "NaN", "9".repeat(16)]) {
      assert.throws(() => Usage.whole("seed", text), Usage.WrongUsage)
    }
    assert.throws(() => Usage.positive("count", "0"), Usage.WrongUsage)
  })
})
