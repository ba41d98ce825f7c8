/**
 * What workers tell of themselves, for an endpoint that tells whether a program is alive.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Schema } from "effect"
import { Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { onMemory } from "../support/Fixture.ts"
import { TUBE, work } from "../support/Workplace.ts"

describe("the health of workers", () => {
  it.effect("tells which there are, what runs, whether they are ending, and how their clients are doing", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      assert.deepStrictEqual(yield* Worker.health, [])
      const goOn = yield* Latch.make()
      yield* beanstalkd.putAll(TUBE, ["a", "b"])
      const worker = yield* work(() => goOn.await, { concurrency: 3, shutdownTimeout: "1 hour" })
      const [one] = yield* Worker.health
      assert.deepInclude(one, { tube: TUBE, isStopping: false, concurrency: 3, running: 2 })
      assert.deepInclude(one!.client, { server: beanstalkd.server, isReachable: true, jobsInFlight: 2 })
      const json = yield* Schema.encodeEffect(Worker.Health)(one!)
      assert.deepInclude(json, { tube: TUBE, running: 2 })

      yield* server.injectFaults({ refuse: true })
      yield* server.dropConnections
      yield* TestClock.adjust("1 second")
      assert.isFalse((yield* Worker.health)[0]!.client.isReachable)
      yield* server.injectFaults({})
      yield* TestClock.adjust("1 minute")
      assert.isTrue((yield* Worker.health)[0]!.client.isReachable)

      const ending = yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      assert.isTrue((yield* Worker.health)[0]!.isStopping)
      yield* goOn.open
      yield* Fiber.join(ending)
      assert.deepStrictEqual(yield* Worker.health, [])
    })))
})
