/**
 * A worker keeps the lease of a job for as long as its handler runs, and interrupts the handler when the lease is lost.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Latch } from "effect"
import { Client, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { eventually } from "../support/Eventually.ts"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"
import { onMemory } from "../support/Fixture.ts"
import { areIn, inFlight, keepLog, outcomes, silently, Texts, TUBE, work } from "../support/Workplace.ts"

describe("a job whose handler runs", () => {
  it.effect("for 10 seconds, with a ttr of 1, is reserved once and does not time out", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const ended: Array<number> = []
      const { id } = yield* beanstalkd.put(TUBE, "hello", { ttr: "1 second" })
      yield* work((_, job) =>
        Effect.sleep("10 seconds").pipe(
          Effect.andThen(job.stats),
          Effect.tap((stats) => Effect.sync(() => assert.deepInclude(stats, { reserves: 1, timeouts: 0 }))),
          Effect.andThen(Effect.map(Clock.currentTimeMillis, (now) => ended.push(now)))
        )
      )
      // A second worker would reserve the job as soon as it were ready.
      yield* work(() => Effect.die(new Error("reserved twice")))
      yield* TestClock.adjust("9 seconds")
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "reserved", reserves: 1, timeouts: 0 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(ended, [10_000])
      yield* areIn(beanstalkd, {})
      const { cmdTouch, jobTimeouts } = yield* beanstalkd.stats
      assert.strictEqual(jobTimeouts, 0)
      assert.isAtMost(cmdTouch, 20)
    })))

  it.effect("is kept for hours, along with a hundred others, by touches at half its ttr", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const goOn = yield* Latch.make()
      for (let n = 0; n < 100; n++) yield* beanstalkd.put(TUBE, "x", { ttr: `${600 + n} seconds` })
      yield* work(() => goOn.await, { concurrency: 100, touchInterval: "1 hour" })
      yield* TestClock.adjust("6 hours")
      yield* areIn(beanstalkd, { reserved: 100 })
      const { cmdTouch, jobTimeouts } = yield* beanstalkd.stats
      assert.strictEqual(jobTimeouts, 0)
      // 6 hours are 66 times half of 650 seconds.
      assert.isAbove(cmdTouch, 100 * 60)
      assert.isBelow(cmdTouch, 100 * 72)
      yield* goOn.open
      yield* TestClock.adjust(0)
      yield* areIn(beanstalkd, {})
    })))

  it.effect("is touched every 20 seconds however long its ttr, or as often as it is told", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const touchesIn = Effect.fnUntraced(function*(options: Worker.Options<string, never, never>) {
        const before = (yield* beanstalkd.stats).cmdTouch
        yield* beanstalkd.put(TUBE, "x", { ttr: "1 hour" })
        const worker = yield* work(() => Effect.sleep("61 seconds"), options)
        yield* TestClock.adjust("61 seconds")
        yield* areIn(beanstalkd, {})
        yield* Fiber.interrupt(worker)
        return (yield* beanstalkd.stats).cmdTouch - before
      })
      assert.strictEqual(yield* touchesIn({}), 3)
      assert.strictEqual(yield* touchesIn({ touchInterval: "5 seconds" }), 12)
      assert.strictEqual(yield* touchesIn({ touchInterval: "1 hour" }), 0)
    })))

  it.effect("for less than 250 milliseconds costs a reserve and a delete, no more", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, Array.from({ length: 50 }, () => "x"), { ttr: "5 seconds" })
      yield* work(() => Effect.sleep("249 millis"), { concurrency: 50, crashGuard: false })
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, {})
      const { cmdDelete, cmdStatsJob, cmdTouch } = yield* beanstalkd.stats
      assert.deepStrictEqual({ cmdDelete, cmdStatsJob, cmdTouch }, { cmdDelete: 50, cmdStatsJob: 0, cmdTouch: 0 })
    })))

  it.effect("is kept while the shutdown waits for it", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello", { ttr: "1 second" })
      const worker = yield* work(() => Effect.sleep("20 seconds"), { shutdownTimeout: "30 seconds" })
      yield* Effect.forkScoped(Fiber.interrupt(worker))
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.await(worker)
      yield* areIn(beanstalkd, {})
      assert.strictEqual((yield* beanstalkd.stats).jobTimeouts, 0)
    })))

  it.effect("is kept while a hook takes its time", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { id } = yield* beanstalkd.put(TUBE, "hello", { ttr: "1 second" })
      yield* work(() => Effect.fail("no"), { onFailure: () => Effect.sleep("20 seconds") })
      yield* TestClock.adjust("20 seconds")
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "delayed", reserves: 1, timeouts: 0 })
    })))
})

describe("a lost lease", () => {
  it.effect("interrupts the handler, is told and counted, and the job runs again", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const events: Array<string> = []
      yield* beanstalkd.putAll(TUBE, ["a", "b"])
      yield* work(
        (value, job) =>
          Effect.flatMap(job.attempt, (attempt) => {
            events.push(`${value} ${attempt}`)
            return attempt === 1 ? Effect.never : Effect.void
          }).pipe(
            Effect.onInterrupt(() => Effect.sync(() => events.push(`${value} interrupted`)))
          ),
        { concurrency: 2, onLost: (job) => Effect.sync(() => events.push(`${job.text} lost`)) }
      )
      assert.strictEqual(yield* inFlight(beanstalkd.server), 2)
      yield* server.dropConnections
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(events.filter((event) => event.startsWith("a")), [
        "a 1",
        "a lost",
        "a interrupted",
        "a 2"
      ])
      assert.strictEqual(events.length, 8)
      yield* areIn(beanstalkd, {})
      assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 4, succeeded: 2, lost: 2 })
      assert.strictEqual(yield* inFlight(beanstalkd.server), 0)
      const warnings = log.filter(({ annotations, level }) => level === "Warn" && "job" in annotations)
      for (const { message } of warnings) {
        assert.strictEqual(
          message,
          "the lease is lost: its connection was lost: the connection is closed: the server dropped it"
        )
      }
      assert.deepStrictEqual(warnings.map(({ annotations }) => annotations), [
        { server: "memory", tube: TUBE, job: 1, attempt: 1 },
        { server: "memory", tube: TUBE, job: 2, attempt: 1 }
      ])
    })).pipe(logged)
  })

  it.effect("keeps the place of a handler that does not end, so that no more run than there may", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const goOn = yield* Latch.make()
      let most = 0
      let running = 0
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c"])
      const one = Effect.suspend(() => {
        most = Math.max(most, ++running)
        return goOn.await
      }).pipe(Effect.ensuring(Effect.sync(() => running--)), Effect.uninterruptible)
      yield* work(() => one, { concurrency: 2 })
      for (let times = 0; times < 3; times++) {
        yield* server.dropConnections
        yield* TestClock.adjust("10 seconds")
      }
      assert.deepStrictEqual([most, running], [2, 2])
      yield* areIn(beanstalkd, { ready: 3 })
      yield* goOn.open
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, {})
      assert.strictEqual(most, 2)
    })))

  it.effect("by what the handler did itself interrupts it too", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      let interrupted = 0
      yield* beanstalkd.put(TUBE, "hello")
      yield* work(() =>
        interrupted > 0 ? Effect.void : Effect.andThen(server.dropConnections, Effect.never).pipe(
          Effect.onInterrupt(() => Effect.sync(() => interrupted++))
        )
      )
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(interrupted, 1)
      yield* areIn(beanstalkd, {})
    })))
})

RealServer.describeReal("a server on its binlog that is killed and started again", () => {
  it.live("has the handler interrupted, and the job run again", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make({ binlogDir: yield* tempDir, args: ["-f0"] })
      const client = yield* Client.make({ port: server.port })
      const events: Array<string> = []
      yield* client.put(TUBE, "hello")
      const worker = yield* Effect.forkScoped(
        Worker.run(Texts, () => {
          events.push("began")
          return events.length > 1
            ? Effect.void
            : Effect.onInterrupt(Effect.never, () => Effect.sync(() => events.push("interrupted")))
        }).pipe(Effect.provideService(Client.Beanstalkd, client), silently)
      )
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(events, ["began"])))
      yield* server.kill
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(events, ["began", "interrupted"])))
      yield* server.restart
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(events, ["began", "interrupted", "began"])))
      yield* eventually(Effect.map(server.stats, (stats) => assert.strictEqual(stats["cmd-delete"], "1")))
      yield* Fiber.interrupt(worker)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(worker)))
    }))
})
