/**
 * A stream reserves the jobs that were pulled and a few more, and keeps their leases.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Pull, Scope, Stream } from "effect"
import { Client, Consumer, type Job } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { describeServers } from "../support/AnyServer.ts"
import { eventually } from "../support/Eventually.ts"
import { onMemory } from "../support/Fixture.ts"
import { areIn, statesOf, TUBE } from "../support/Workplace.ts"

/** A stream that the test pulls. */
const puller = Effect.fnUntraced(function*(options?: Consumer.Options) {
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const pull = yield* Scope.provide(Stream.toPull(Consumer.stream(TUBE, options)), scope)
  const next = Effect.map(pull, (jobs): Job.Job => {
    assert.strictEqual(jobs.length, 1, "one element per pull")
    return jobs[0]
  }).pipe(Pull.catchDone(() => Effect.die(new Error("it has ended"))))
  return { next, end: Scope.close(scope, Exit.void) }
})

describeServers("a consumer", (target) => {
  it.live.each([1, 16, 64])(
    "that pulls 10 of 10,000 and stops has at most 10 and %i reserved",
    (prefetch) =>
      Effect.gen(function*() {
        const server = yield* target.make()
        const beanstalkd = yield* Client.make(server.clientOptions)
        yield* beanstalkd.putAll(TUBE, Array.from({ length: 10_000 }, (_, n) => `${n}`))
        const { end, next } = yield* Effect.provideService(puller({ prefetch }), Client.Beanstalkd, beanstalkd)
        for (let n = 0; n < 10; n++) assert.strictEqual((yield* next).text, `${n}`)
        // With a server in memory no reserve waits, so the stream prefetches one job less.
        const hasEnough = Effect.map(statesOf(beanstalkd), ({ ready, reserved }) => {
          assert.isAtLeast(reserved, 10 + prefetch - 1)
          assert.isAtMost(reserved, 10 + prefetch)
          assert.strictEqual(ready, 10_000 - reserved)
        })
        yield* eventually(hasEnough)
        // It does not reserve more later either.
        yield* Effect.sleep("100 millis")
        yield* hasEnough
        yield* end
        yield* eventually(areIn(beanstalkd, { ready: 10_000 }))
      })
  )

  it.live("that takes 10 gives back at once what it has prefetched", () =>
    Effect.gen(function*() {
      const server = yield* target.make()
      const beanstalkd = yield* Client.make(server.clientOptions)
      yield* beanstalkd.putAll(TUBE, Array.from({ length: 100 }, (_, n) => `${n}`))
      const texts = yield* Consumer.stream(TUBE).pipe(
        Stream.mapEffect((job) => Effect.as(job.delete, job.text)),
        Stream.take(10),
        Stream.runCollect,
        Effect.provideService(Client.Beanstalkd, beanstalkd)
      )
      assert.deepStrictEqual(texts, Array.from({ length: 10 }, (_, n) => `${n}`))
      yield* eventually(areIn(beanstalkd, { ready: 90 }))
      yield* eventually(Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-connections"], "2")))
    }))
}, { concurrent: true })

describe("a stream", () => {
  it.effect.each([[16, 1], [16, 4], [2, 40], [64, 64]] as const)(
    "with prefetch %i and maxInFlight %i has no more in hand",
    ([prefetch, maxInFlight]) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd) {
        yield* beanstalkd.putAll(TUBE, Array.from({ length: 1000 }, () => "x"))
        const { next } = yield* puller({ prefetch, maxInFlight })
        const jobs: Array<Job.Job> = []
        while (jobs.length < maxInFlight) {
          jobs.push(yield* next)
          const { reserved } = yield* statesOf(beanstalkd)
          assert.isAtMost(reserved, Math.min(maxInFlight, jobs.length + prefetch))
        }
        const pulling = yield* Effect.forkScoped(next)
        yield* TestClock.adjust("10 seconds")
        assert.isUndefined(pulling.pollUnsafe())
        yield* areIn(beanstalkd, { ready: 1000 - maxInFlight, reserved: maxInFlight })
        yield* jobs[0]!.delete
        yield* TestClock.adjust("20 millis")
        assert.isDefined(pulling.pollUnsafe())
      }))
  )

  it.effect("touches what it has prefetched for as long as it takes to pull it", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, Array.from({ length: 17 }, (_, n) => `${n}`), { ttr: "2 seconds" })
      const { next } = yield* puller()
      yield* (yield* next).delete
      yield* TestClock.adjust("1 hour")
      for (let n = 1; n < 17; n++) {
        const job = yield* next
        assert.strictEqual(job.text, `${n}`)
        assert.deepInclude(yield* job.stats, { reserves: 1, timeouts: 0 })
        yield* job.delete
      }
      yield* areIn(beanstalkd, {})
    })))

  it.effect("lets the time of a job run out that was pulled", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello", { ttr: "10 seconds" })
      const { next } = yield* puller()
      const job = yield* next
      yield* TestClock.adjust("9999 millis")
      yield* areIn(beanstalkd, { reserved: 1 })
      yield* TestClock.adjust("1 millis")
      // The stream has reserved the job again on another connection, so the handle of the first lease is stale.
      assert.strictEqual((yield* Effect.flip(job.delete))._tag, "NotFound")
      const again = yield* next
      assert.deepInclude(yield* again.stats, { id: job.id, reserves: 2, timeouts: 1 })
      yield* again.delete
    })))

  it.effect("keeps it with keepLeases, until it is settled", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { id } = yield* beanstalkd.put(TUBE, "hello", { ttr: "1 second" })
      const { next } = yield* puller({ keepLeases: true })
      const job = yield* next
      yield* TestClock.adjust("1 hour")
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "reserved", reserves: 1, timeouts: 0 })
      yield* job.delete
      const { cmdTouch } = yield* beanstalkd.stats
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* beanstalkd.stats).cmdTouch, cmdTouch)
    })))

  it.effect("drops what it has prefetched and lost, and gives it when it comes again", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c"])
      const { next } = yield* puller()
      const first = yield* next
      yield* server.dropConnections
      assert.deepInclude(yield* Effect.flip(first.delete), { _tag: "NotFound" })
      const rest = yield* Effect.forkScoped(Effect.all([next, next, next]))
      yield* TestClock.adjust("1 second")
      const jobs = rest.pollUnsafe()
      assert.isDefined(jobs)
      const texts = yield* Effect.forEach(yield* jobs, (job) => Effect.as(job.delete, job.text))
      assert.deepStrictEqual(texts, ["a", "b", "c"])
      yield* areIn(beanstalkd, {})
    })))

  it.effect("ends with a pull that is interrupted, and gives everything back", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const { next } = yield* puller({ maxInFlight: 3 })
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c", "d"])
      for (let n = 0; n < 3; n++) yield* next
      yield* areIn(beanstalkd, { ready: 1, reserved: 3 })
      const pulling = yield* Effect.forkScoped(next, { startImmediately: true })
      yield* Fiber.interrupt(pulling)
      yield* areIn(beanstalkd, { ready: 4 })
      assert.strictEqual(yield* server.connectionCount, 1)
    })))
})

describe("a stream that is told nothing", () => {
  it.effect("prefetches 16 jobs", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, Array.from({ length: 40 }, () => "x"))
      const pull = yield* Stream.toPull(Consumer.stream(TUBE))
      yield* pull
      yield* pull
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, { reserved: 18, ready: 22 })
    })))
})
