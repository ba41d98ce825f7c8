import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, type Scope } from "effect"
import { Turns } from "../src/Turns.ts"

const start = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.forkChild(effect, { startImmediately: true })

describe("turns", () => {
  it.effect("are taken first come, first served", () =>
    Effect.gen(function*() {
      const turns = new Turns<never>(2)
      const order: Array<number> = []
      const taken: Array<() => void> = []
      const take = (n: number) =>
        Effect.map(turns.take(), (giveBack) => {
          order.push(n)
          taken.push(giveBack)
        })
      yield* Effect.forEach([1, 2, 3, 4, 5], (n) => start(take(n)))
      assert.deepStrictEqual([order, turns.waiting], [[1, 2], 3])
      for (let i = 0; i < 3; i++) taken[i]!()
      assert.deepStrictEqual([order, turns.waiting], [[1, 2, 3, 4, 5], 0])
      taken[3]!()
      taken[4]!()
      yield* turns.take()
      yield* turns.take()
      yield* start(turns.take())
      assert.strictEqual(turns.waiting, 1)
    }))

  it.effect("end with their Scope, and once however often they are given back", () =>
    Effect.gen(function*() {
      const turns = new Turns<never>(1)
      const giveBack = yield* Effect.scoped(turns.take())
      yield* turns.take()
      giveBack()
      yield* start(turns.take())
      assert.strictEqual(turns.waiting, 1)
    }))

  it.effect("pass over those who were interrupted, or had no patience", () =>
    Effect.gen(function*() {
      const turns = new Turns<string>(1)
      const giveBack = yield* turns.take()
      const first = yield* start(turns.take())
      const second = yield* start(
        turns.take((wait) => Effect.andThen(Effect.raceFirst(wait, Effect.void), Effect.fail("no")))
      )
      const third = yield* start(turns.take())
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual(yield* Fiber.await(second), Exit.fail("no"))
      giveBack()
      yield* Fiber.join(third)
      assert.strictEqual(turns.waiting, 0)
    }))

  it.effect("are refused to all who wait when these are sent away, and to nobody later", () =>
    Effect.gen(function*() {
      const turns = new Turns<string>(1)
      const giveBack = yield* turns.take()
      const fibers = yield* Effect.forEach([1, 2, 3], () => start(turns.take()))
      turns.sendAway("go")
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(exits, exits.map(() => Exit.fail("go")))
      const late = yield* start(turns.take())
      giveBack()
      yield* Fiber.join(late)
    }))
})
