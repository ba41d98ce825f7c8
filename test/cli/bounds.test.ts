/**
 * The whole numbers that a command takes, to their very ends.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as InProcess from "./inProcess.ts"

const BENCH: ReadonlyArray<readonly [flag: string, value: string, from: number, to: number]> = [
  ["--jobs", "0", 1, 10_000_000],
  ["--jobs", "10000001", 1, 10_000_000],
  ["--size", "-1", 0, 1_048_576],
  ["--size", "1048577", 0, 1_048_576]
]

describe("bench", () => {
  it.live.each(BENCH)(
    "refuses %s %s: it is a whole number from %d to %d",
    ([flag, value, from, to]) =>
      Effect.gen(function*() {
        const { code, stderr } = yield* InProcess.run(["bench", `${flag}=${value}`])
        assert.strictEqual(code, 2)
        assert.include(stderr, `"${value}". Expected: a whole number from ${from} to ${to}`)
      })
  )
})
