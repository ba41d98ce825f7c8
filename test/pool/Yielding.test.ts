/**
 * Fibers that have to yield between any two steps: what is decided in one must still be true in the next. The simulation
 * found each of these.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Scheduler, Stream } from "effect"
import { Client, Consumer, Pool, Server } from "effect-beanstalkd"

/** After so many operations, so that in one of them it happens where it hurts. */
const BUDGETS = Array.from({ length: 20 }, (_, i) => i + 3)

const yielding = <A, E>(effect: Effect.Effect<A, E, Client.Beanstalkd | Server.Server>) =>
  Effect.forEach(BUDGETS, (budget) =>
    effect.pipe(
      Effect.provide(Server.layerMemory()),
      Effect.provideService(Scheduler.MaxOpsBeforeYield, budget)
    ))

describe("where fibers yield all the time", () => {
  it.live("putAll gives the ids in the order of the bodies", () =>
    yielding(Effect.gen(function*() {
      const beanstalkd = yield* Client.Beanstalkd
      const bodies = Array.from({ length: 40 }, (_, i) => `job ${i}`)
      for (const source of [bodies, Stream.fromIterable(bodies)]) {
        const ids = (yield* beanstalkd.putAll("emails", source)).map(({ id }) => id)
        const texts = yield* Effect.forEach(ids, (id) => Effect.map(beanstalkd.peek(id), ({ text }) => text))
        assert.deepStrictEqual(texts, bodies)
      }
    })))

  it.live("a stream passes on every job, though it may hold but one", () =>
    yielding(Effect.gen(function*() {
      const beanstalkd = yield* Client.Beanstalkd
      const readers = yield* Effect.forkChild(
        Consumer.stream("emails", { prefetch: 1, maxInFlight: 1 }).pipe(
          Stream.mapEffect((job) => job.delete),
          Stream.take(40),
          Stream.runDrain
        )
      )
      for (let n = 0; n < 40; n++) {
        yield* beanstalkd.put("emails", `job ${n}`)
        for (let i = 0; i < n % 8; i++) yield* Effect.yieldNow
      }
      yield* Fiber.join(readers)
    })))

  it.live("a pool grows for who comes at any step of its growing for another", () =>
    yielding(
      Effect.gen(function*() {
        const { clientOptions } = yield* Server.Server
        for (let steps = 0; steps < 40; steps++) {
          const pool = yield* Pool.make({ ...clientOptions, maxConnections: 2 })
          const isServed = yield* Latch.make()
          const first = yield* Effect.forkChild(pool.use(() => isServed.await))
          for (let i = 0; i < steps; i++) yield* Effect.yieldNow
          yield* pool.use(() => Effect.void)
          yield* isServed.open
          yield* Fiber.join(first)
        }
      }).pipe(Effect.scoped, Effect.timeout("10 seconds"))
    ))
})
