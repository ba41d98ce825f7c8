/**
 * The network is cut in the middle of sessions that use all there is, at some places here, and at every byte by
 * `npm run faults`: no command hangs, none gives what is wrong, what is promised is there, what was not sent is not, and
 * the pool goes on as good as new.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { describeReal } from "../../support/RealServer.ts"
import * as Cuts from "./Cuts.ts"

const test = (name: string, target: Cuts.Target, offset: number) =>
  it.live("is survived by every command, the pool, a stream and a worker", () =>
    Effect.gen(function*() {
      const { answered, cut, failed, violations } = yield* Cuts.run(target, { oneOf: 300, offset, concurrency: 24 })
      console.log(`${name}: cut at ${cut} positions, ${answered} commands were answered, ${failed} failed`)
      assert.deepStrictEqual(violations, [])
      assert.isAtLeast(cut, 80)
      assert.isAbove(failed, 0)
    }))

describeReal("a cut (real server)", () => test("real server", Cuts.real, 0))

describe("a cut (embedded server)", () => test("embedded server", Cuts.embedded, 150))
