import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { FairSemaphore } from "../../src/internal/pool/fairSemaphore.ts"

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

describe("permits", () => {
  it.effect("are granted first come, first served", () =>
    Effect.gen(function*() {
      const semaphore = new FairSemaphore<never>(2)
      const order: Array<number> = []
      const all = Array.from({ length: 5 }, () => semaphore.permit())
      for (const [n, permit] of all.entries()) yield* start(Effect.map(permit.acquire, () => order.push(n)))
      assert.deepStrictEqual([order, semaphore.waiting], [[0, 1], 3])
      for (const permit of all.slice(0, 3)) permit.release()
      assert.deepStrictEqual([order, semaphore.waiting], [[0, 1, 2, 3, 4], 0])
      for (const permit of all) permit.release()
      yield* semaphore.permit().acquire
      yield* semaphore.permit().acquire
      yield* start(semaphore.permit().acquire)
      assert.strictEqual(semaphore.waiting, 1)
    }))

  it.effect("are not granted to those who wait no longer", () =>
    Effect.gen(function*() {
      const semaphore = new FairSemaphore<never>(1)
      const held = semaphore.permit()
      yield* held.acquire
      const first = semaphore.permit()
      const waiting = yield* start(Effect.ensuring(first.acquire, Effect.sync(() => first.release())))
      const second = yield* start(semaphore.permit().acquire)
      yield* Fiber.interrupt(waiting)
      held.release()
      yield* Fiber.join(second)
      assert.strictEqual(semaphore.waiting, 0)
    }))

  it.effect("that are granted in the moment of an interruption are passed on", () =>
    Effect.gen(function*() {
      const semaphore = new FairSemaphore<never>(1)
      const held = semaphore.permit()
      yield* held.acquire
      const first = semaphore.permit()
      let isGranted = false
      const waiting = yield* start(
        first.acquire.pipe(
          Effect.tap(() => Effect.sync(() => isGranted = true)),
          Effect.andThen(Effect.never),
          Effect.ensuring(Effect.sync(() => first.release()))
        )
      )
      const second = yield* start(semaphore.permit().acquire)
      held.release()
      assert.isTrue(isGranted)
      yield* Fiber.interrupt(waiting)
      yield* Fiber.join(second)
    }))

  it.effect("are refused to all who wait when these are failed, and to nobody later", () =>
    Effect.gen(function*() {
      const semaphore = new FairSemaphore<string>(1)
      const held = semaphore.permit()
      yield* held.acquire
      const fibers = yield* Effect.forEach([1, 2, 3], () => start(semaphore.permit().acquire))
      semaphore.failAllWaiting("go")
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(exits, exits.map(() => Exit.fail("go")))
      const late = yield* start(semaphore.permit().acquire)
      held.release()
      yield* Fiber.join(late)
    }))
})
