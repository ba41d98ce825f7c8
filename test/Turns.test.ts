import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Turns } from "../src/Turns.ts"

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

describe("turns", () => {
  it.effect("are taken first come, first served", () =>
    Effect.gen(function*() {
      const turns = new Turns<never>(2)
      const order: Array<number> = []
      yield* Effect.forEach([1, 2, 3, 4, 5], (n) => start(Effect.map(turns.take, () => order.push(n))))
      assert.deepStrictEqual([order, turns.waiting], [[1, 2], 3])
      for (let i = 0; i < 3; i++) turns.giveBack()
      assert.deepStrictEqual([order, turns.waiting], [[1, 2, 3, 4, 5], 0])
      turns.giveBack()
      turns.giveBack()
      yield* turns.take
      yield* turns.take
      yield* start(turns.take)
      assert.strictEqual(turns.waiting, 1)
    }))

  it.effect("pass over those who were interrupted", () =>
    Effect.gen(function*() {
      const turns = new Turns<never>(1)
      yield* turns.take
      const first = yield* start(turns.take)
      const second = yield* start(turns.take)
      yield* Fiber.interrupt(first)
      turns.giveBack()
      yield* Fiber.join(second)
      assert.strictEqual(turns.waiting, 0)
    }))

  it.effect("are refused to all who wait when these are sent away, and to nobody later", () =>
    Effect.gen(function*() {
      const turns = new Turns<string>(1)
      yield* turns.take
      const fibers = yield* Effect.forEach([1, 2, 3], () => start(turns.take))
      turns.sendAway("go")
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(exits, exits.map(() => Exit.fail("go")))
      const late = yield* start(turns.take)
      turns.giveBack()
      yield* Fiber.join(late)
    }))
})
