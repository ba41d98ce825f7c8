/**
 * The example about reactivity: a query runs again when a job has changed what it reads, and only then.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import { balanceOf, Payments, total, worker } from "../../examples/reactivity.ts"
import { settle } from "../fleet/Fleets.ts"
import { onMemory } from "../support/Fixture.ts"

describe("the example about reactivity", () => {
  it.effect("queries again after a job of its account, not after one of another, nor after one that failed", () =>
    onMemory(Effect.fnUntraced(function*() {
      const seen: Array<number> = []
      const totals: Array<number> = []
      yield* Effect.gen(function*() {
        yield* Effect.forkScoped(Stream.runForEach(balanceOf("eve"), (euros) => Effect.sync(() => seen.push(euros))))
        yield* Effect.forkScoped(Stream.runForEach(total, (euros) => Effect.sync(() => totals.push(euros))))
        yield* Effect.forkScoped(worker)
        yield* settle
        assert.deepStrictEqual(seen, [0])
        yield* Payments.put({ account: "bob", euros: 5 })
        yield* Payments.put({ account: "eve", euros: -5 })
        yield* settle
        assert.strictEqual((yield* Payments.stats).currentJobsBuried, 1)
        assert.deepStrictEqual(seen, [0])
        for (const euros of [1, 2]) {
          yield* Payments.put({ account: "eve", euros })
          yield* settle
        }
        assert.deepStrictEqual(seen, [0, 1, 3])
        assert.deepStrictEqual(totals, [0, 5, 6, 8])
      }).pipe(Effect.scoped, Effect.provide(Reactivity.layer))
    })))
})
