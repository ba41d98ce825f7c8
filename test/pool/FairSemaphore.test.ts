import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Turns } from "../../src/internal/pool/fairSemaphore.ts"

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

describe("turns", () => {
  it.effect("are taken first come, first served", () =>
    Effect.gen(function*() {
      const turns = new Turns<never>(2)
      const order: Array<number> = []
      const all = Array.from({ length: 5 }, () => turns.ask())
      for (const [n, turn] of all.entries()) yield* start(Effect.map(turn.wait, () => order.push(n)))
      assert.deepStrictEqual([order, turns.waiting], [[0, 1], 3])
      for (const turn of all.slice(0, 3)) turn.end()
      assert.deepStrictEqual([order, turns.waiting], [[0, 1, 2, 3, 4], 0])
      for (const turn of all) turn.end()
      yield* turns.ask().wait
      yield* turns.ask().wait
      yield* start(turns.ask().wait)
      assert.strictEqual(turns.waiting, 1)
    }))

  it.effect("are not given to those who wait no longer", () =>
    Effect.gen(function*() {
      const turns = new Turns<never>(1)
      const taken = turns.ask()
      yield* taken.wait
      const first = turns.ask()
      const waiting = yield* start(Effect.ensuring(first.wait, Effect.sync(() => first.end())))
      const second = yield* start(turns.ask().wait)
      yield* Fiber.interrupt(waiting)
      taken.end()
      yield* Fiber.join(second)
      assert.strictEqual(turns.waiting, 0)
    }))

  it.effect("that came in the moment of an interruption are passed on", () =>
    Effect.gen(function*() {
      const turns = new Turns<never>(1)
      const taken = turns.ask()
      yield* taken.wait
      const first = turns.ask()
      let hasCome = false
      const waiting = yield* start(
        first.wait.pipe(
          Effect.tap(() => Effect.sync(() => hasCome = true)),
          Effect.andThen(Effect.never),
          Effect.ensuring(Effect.sync(() => first.end()))
        )
      )
      const second = yield* start(turns.ask().wait)
      taken.end()
      assert.isTrue(hasCome)
      yield* Fiber.interrupt(waiting)
      yield* Fiber.join(second)
    }))

  it.effect("are refused to all who wait when these are sent away, and to nobody later", () =>
    Effect.gen(function*() {
      const turns = new Turns<string>(1)
      const taken = turns.ask()
      yield* taken.wait
      const fibers = yield* Effect.forEach([1, 2, 3], () => start(turns.ask().wait))
      turns.sendAway("go")
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(exits, exits.map(() => Exit.fail("go")))
      const late = yield* start(turns.ask().wait)
      taken.end()
      yield* Fiber.join(late)
    }))
})
