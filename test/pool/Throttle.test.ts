/**
 * How often something is told.
 */
import { assert, describe, it } from "@effect/vitest"
import { Throttle } from "../../src/internal/pool/throttle.ts"

describe("a throttle", () => {
  it("lets so many of a kind pass in a while, and tells of those that it held back", () => {
    const throttle = new Throttle(2, 1000)
    const at = (now: number) => throttle.admit(now, "a")
    assert.deepStrictEqual([at(0), at(10), at(20), at(999)], [1, 1, 0, 0])
    assert.deepStrictEqual([at(1000), at(1001), at(1010), at(1011)], [3, 0, 2, 0])
    assert.deepStrictEqual([at(10_000), at(10_000)], [2, 1])
  })

  it("keeps kinds apart", () => {
    const throttle = new Throttle(1, 1000)
    assert.deepStrictEqual([throttle.admit(0, "a"), throttle.admit(1, "b"), throttle.admit(2, "a")], [1, 1, 0])
  })
})
