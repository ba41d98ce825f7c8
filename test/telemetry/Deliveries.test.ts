/**
 * Each delivery is counted once, whoever takes the job; and how long the job was ready before that.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Metric, Stream } from "effect"
import { Consumer, Metrics } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { pass, settle } from "../fleet/Fleets.ts"
import { eventually } from "../support/Eventually.ts"
import { onMemory } from "../support/Fixture.ts"
import { areIn, outcomes, Texts, TUBE, work } from "../support/Workplace.ts"

const reserved = (server: string, place: { readonly tube?: string } = { tube: TUBE }) =>
  Effect.map(
    Metric.value(Metric.withAttributes(Metrics.jobs, { server, ...place, outcome: "reserved" })),
    ({ count }) => count
  )

describe("deliveries", () => {
  it.effect("are counted once for a worker, beside what became of its jobs", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, ["good", "bad", "good"])
      yield* work((text) => text === "bad" ? Effect.fail("no") : Effect.void, { maxAttempts: 1 })
      yield* eventually(
        Effect.map(
          outcomes(beanstalkd.server),
          (all) => assert.deepStrictEqual(all, { reserved: 3, succeeded: 2, failed: 1, buried: 1 })
        )
      )
    })))

  it.effect("are counted again for each attempt", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "bad")
      yield* work(() => Effect.fail("no"), { maxAttempts: 3 })
      yield* TestClock.adjust("1 hour")
      yield* eventually(
        Effect.map(outcomes(beanstalkd.server), (all) => assert.deepInclude(all, { reserved: 3, failed: 3 }))
      )
    })))

  it.effect("are counted for streams, typed streams, Consumer.take and reserve", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { server } = beanstalkd
      // One at a time, so that no stream reserves one ahead, which would be delivered again.
      const put = beanstalkd.put(TUBE, "x")
      yield* put
      yield* Consumer.stream(TUBE).pipe(Stream.take(1), Stream.runForEach((job) => job.delete))
      assert.strictEqual(yield* reserved(server), 1)
      yield* put
      yield* Texts.stream().pipe(Stream.take(1), Stream.runForEach((job) => job.delete))
      assert.strictEqual(yield* reserved(server), 2)
      yield* put
      yield* Effect.scoped(Consumer.take(TUBE))
      assert.strictEqual(yield* reserved(server), 3)
      yield* put
      yield* Effect.scoped(Effect.flatMap(beanstalkd.reserve(TUBE), (job) => job.delete))
      assert.strictEqual(yield* reserved(server), 4)
    })))

  it.effect("have no tube where the reserve does not tell it", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { server } = beanstalkd
      const { id } = yield* beanstalkd.put("a", "1")
      yield* beanstalkd.put("b", "2")
      yield* Effect.scoped(Effect.flatMap(beanstalkd.reserve(["a", "b"]), (job) => job.release()))
      yield* Effect.scoped(Effect.flatMap(beanstalkd.reserveJob(id), (job) => job.delete))
      yield* Effect.scoped(Effect.flatMap(beanstalkd.reserve("b"), (job) => job.delete))
      assert.deepStrictEqual(
        [yield* reserved(server, {}), yield* reserved(server, { tube: "a" }), yield* reserved(server, { tube: "b" })],
        [2, 0, 1]
      )
    })))

  it.effect("are counted for a connection of one's own", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put("default", "1")
      yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* beanstalkd.connection
        const { id } = yield* connection.reserve
        yield* connection.delete(id)
      }))
      assert.strictEqual(yield* reserved(beanstalkd.server, { tube: "default" }), 1)
    })))

  it.effect("are not counted for reserves that bring no job, or that nobody waits for any more", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, { awaitReservers }) {
      yield* Effect.flip(Effect.scoped(beanstalkd.reserve(TUBE, { timeout: 0 })))
      const waiting = yield* Effect.forkChild(Effect.scoped(beanstalkd.reserve(TUBE)), { startImmediately: true })
      yield* awaitReservers(TUBE)
      yield* Fiber.interrupt(waiting)
      yield* beanstalkd.put(TUBE, "1")
      assert.strictEqual(yield* reserved(beanstalkd.server), 0)
    })))
})

describe("a delivery that nobody sees", () => {
  it.effect("counts if a worker has just stopped, which releases the job", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, { injectFaults }) {
      yield* beanstalkd.putAll(TUBE, ["1", "2"])
      yield* injectFaults({ delay: "1 second" })
      const handled: Array<string> = []
      const working = yield* work((text) => Effect.andThen(Effect.sync(() => handled.push(text)), Effect.never), {
        concurrency: 2,
        crashGuard: false,
        maxAttempts: Infinity
      })
      // The answers to its tubes and to its first reserve have come, and the one to its second is on the way.
      yield* Effect.repeat(Effect.andThen(TestClock.adjust("100 millis"), settle), { until: () => handled.length > 0 })
      yield* settle
      yield* Effect.forkScoped(Fiber.interrupt(working), { startImmediately: true })
      yield* pass(3_000)
      yield* injectFaults({})
      assert.deepStrictEqual(handled, ["1"])
      yield* areIn(beanstalkd, { ready: 2 })
      assert.strictEqual(yield* reserved(beanstalkd.server), 2)
    })))

  it.effect("does not count if the job is larger than allowed", () =>
    onMemory(
      Effect.fnUntraced(function*(beanstalkd) {
        yield* beanstalkd.put(TUBE, "x".repeat(2_000))
        assert.strictEqual((yield* Effect.flip(Effect.scoped(beanstalkd.reserve(TUBE))))._tag, "ReplyTooLarge")
        assert.strictEqual(yield* reserved(beanstalkd.server), 0)
      }),
      { client: { maxReplySize: 1_000 } }
    ))
})

const waited = (server: string) => Metric.value(Metric.withAttributes(Metrics.jobWait, { server, tube: TUBE }))

describe("the wait of jobs", () => {
  it.effect("is the time that a job was ready before its first handler began, without its delay", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "now")
      yield* beanstalkd.put(TUBE, "later", { delay: "5 seconds" })
      yield* TestClock.adjust("20 seconds")
      yield* work(() => Effect.void)
      yield* eventually(
        Effect.map(
          waited(beanstalkd.server),
          ({ count, max, min, sum }) =>
            assert.deepStrictEqual({ count, max, min, sum }, { count: 2, max: 20, min: 15, sum: 35 })
        )
      )
    })))

  it.effect("is not counted for later attempts, nor after a kick", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { id } = yield* beanstalkd.put(TUBE, "kicked", { delay: "1 hour" })
      yield* beanstalkd.kickJob(id)
      yield* beanstalkd.put(TUBE, "retried")
      yield* TestClock.adjust("7 seconds")
      yield* work((text) => text === "retried" ? Effect.fail("no") : Effect.void, { maxAttempts: 3 })
      yield* TestClock.adjust("1 hour")
      yield* eventually(Effect.map(outcomes(beanstalkd.server), (all) => assert.deepInclude(all, { buried: 1 })))
      const { count, sum } = yield* waited(beanstalkd.server)
      assert.deepStrictEqual({ count, sum }, { count: 1, sum: 7 })
    })))

  it.effect("is unknown to a worker that does not ask for counters", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "1")
      yield* work(() => Effect.void, { crashGuard: false, maxAttempts: Infinity })
      yield* eventually(Effect.map(outcomes(beanstalkd.server), (all) => assert.deepInclude(all, { succeeded: 1 })))
      assert.strictEqual((yield* waited(beanstalkd.server)).count, 0)
    })))
})
