/**
 * Jobs by their ids.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { JobTable } from "../../src/internal/server/collections.ts"
import * as Program from "../support/Program.ts"

describe("JobTable", () => {
  it("is a map, in whatever order ids come and go", () => {
    const table = new JobTable<number>()
    const map = new Map<number, number>()
    let seed = 1
    const random = (below: number): number => (seed = seed * 48_271 % 2_147_483_647) % below
    for (let step = 0; step < 100_000; step++) {
      // Around ids that rise, as they do, and beyond those of 32 bits.
      const id = Math.floor(step / 10) + random(1000) + (step % 3 === 0 ? 2 ** 40 : 0)
      if (map.has(id)) {
        table.remove(id)
        map.delete(id)
      } else {
        table.add(id, step)
        map.set(id, step)
      }
      const other = Math.floor(step / 10) + random(1000)
      assert.strictEqual(table.get(other), map.get(other))
    }
    for (const [id, value] of map) assert.strictEqual(table.get(id), value)
    assert.sameMembers([...table.values()], [...map.values()])
  })

  it.live("keeps no memory for jobs that are gone", () =>
    Effect.gen(function*() {
      const outcome = yield* Program.run(new URL("programs/Jobs.ts", import.meta.url), 2_000_000)
      assert.deepInclude(outcome, { code: 0, stderr: "" })
      const { grown, jobs } = outcome.report as { readonly grown: number; readonly jobs: ReadonlyArray<string> }
      assert.deepStrictEqual(jobs, ["stays"])
      assert.isBelow(grown, 1024 * 1024)
    }))

  it("has nothing under an id that it was never told", () => {
    const table = new JobTable<string>()
    table.add(1, "one")
    for (const id of [0, 2, 255, 256, 257, 2 ** 53 - 1, Infinity]) assert.isUndefined(table.get(id))
    assert.strictEqual(table.get(1), "one")
  })
})
