/**
 * How long the server takes to answer: the commands of one write count from that write, reserves that wait do not count.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Metric } from "effect"
import { Metrics } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { Latency } from "../../src/internal/telemetry/commandRecorder.ts"
import { onMemory } from "../support/Fixture.ts"
import { TUBE, work } from "../support/Workplace.ts"

const duration = (server: string, command: string) =>
  Metric.value(Metric.withAttributes(Metrics.commandDuration, { server, command }))

const counts = (server: string, commands: ReadonlyArray<string>) =>
  Effect.forEach(commands, (command) => Effect.map(duration(server, command), ({ count }) => count))

describe("the latency of commands", () => {
  it.effect("counts from the write that they left with to their reply", () =>
    Effect.gen(function*() {
      const latency = new Latency(yield* Effect.context())
      latency.sent(2)
      yield* TestClock.adjust(100)
      latency.sent(1)
      yield* TestClock.adjust(150)
      assert.approximately(latency.answered(false)!, 0.25, 1e-9)
      // These replies came together, however long it takes to read them.
      yield* TestClock.adjust(500)
      assert.approximately(latency.answered(false)!, 0.25, 1e-9)
      latency.read()
      assert.approximately(latency.answered(false)!, 0.65, 1e-9)
    }))

  it.effect("leaves out reserves that wait, and counts commands behind one from its end", () =>
    Effect.gen(function*() {
      const latency = new Latency(yield* Effect.context())
      latency.sent(2)
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(latency.answered(true))
      latency.read()
      yield* TestClock.adjust(30)
      assert.approximately(latency.answered(false)!, 0.03, 1e-9)
      assert.isUndefined(latency.answered(false))
    }))

  it.effect("is measured by the clock of the connection, in buckets from 0.1 milliseconds to 13 seconds", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, { injectFaults }) {
      yield* injectFaults({ delay: "3 seconds" })
      const both = yield* Effect.forkChild(
        Effect.forEach([1, 2], (id) => Effect.exit(beanstalkd.delete(id as never)), { concurrency: 2 }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(both)
      const { buckets, count, max, min } = yield* duration(beanstalkd.server, "delete")
      assert.deepStrictEqual({ count, min, max }, { count: 2, min: 3, max: 3 })
      const finite = buckets.map(([boundary]) => boundary).filter(Number.isFinite)
      assert.deepStrictEqual([finite[0], finite.at(-1), finite.length], [0.0001, 13.1072, 18])
    })))

  it.effect("is there for every command that was answered, and for no reserve that may wait", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { server } = beanstalkd
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c"])
      yield* Effect.scoped(Effect.flatMap(beanstalkd.reserve(TUBE, { timeout: 0 }), (job) => job.delete))
      yield* Effect.scoped(Effect.flatMap(beanstalkd.reserve(TUBE, { timeout: "5 seconds" }), (job) => job.delete))
      yield* Effect.scoped(Effect.flatMap(beanstalkd.reserve(TUBE), (job) => job.delete))
      yield* Effect.flip(beanstalkd.delete(4_711 as never))
      assert.deepStrictEqual(yield* counts(server, ["put", "delete", "reserve-with-timeout"]), [3, 4, 1])
    })))

  it.effect("is there for the commands of a worker, without the wait for its next job", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, { awaitReservers }) {
      yield* work(() => Effect.void)
      yield* awaitReservers(TUBE)
      yield* TestClock.adjust("1 minute")
      yield* beanstalkd.put(TUBE, "a")
      yield* awaitReservers(TUBE)
      const { max } = yield* duration(beanstalkd.server, "reserve-with-timeout")
      assert.isBelow(max, 60)
      assert.deepStrictEqual(yield* counts(beanstalkd.server, ["delete", "stats-job"]), [1, 1])
    })))
})
