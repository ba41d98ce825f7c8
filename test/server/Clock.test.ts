/**
 * The embedded server under a TestClock: what takes a day takes no time, and happens at the same moment every time.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber } from "effect"
import { Client, Connection, type Errors, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { millisOf } from "../../src/internal/server/entities.ts"
import { onLayer } from "../support/Fixture.ts"

/** `EMBEDDED_FULL=1` runs all of it, which takes some ten seconds more. */
const FULL = process.env["EMBEDDED_FULL"] === "1"

/** What happened, and how many seconds after the beginning. */
const makeLog = Effect.gen(function*() {
  const began = yield* Clock.currentTimeMillis
  const log: Array<string> = []
  const tell = (what: string) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      log.push(`${(now - began) / 1000} s: ${what}`)
    })
  return { log, tell }
})

/** All of that in one life. */
const aDay = Effect.fnUntraced(function*(adjust: Effect.Effect<void, Errors.InvalidArgument, Server.Server>) {
  const beanstalkd = yield* Client.Beanstalkd
  const { clientOptions } = yield* Server.Server
  const { log, tell } = yield* makeLog
  const { id } = yield* beanstalkd.put("emails", "hello", { delay: "24 hours", ttr: "1 minute" })
  const worker = yield* Effect.forkScoped(Effect.gen(function*() {
    const connection = yield* Connection.make({ ...clientOptions, watch: ["emails"] })
    yield* connection.reserve
    yield* tell("matured, and was reserved")
    yield* tell((yield* Effect.flip(connection.reserve))._tag)
    yield* Effect.sleep("1 second")
    yield* tell((yield* Effect.flip(connection.touch(id)))._tag)
    yield* connection.reserve
    yield* connection.release(id)
    yield* connection.pauseTube("emails", "1 hour")
    yield* connection.reserve
    yield* tell("the pause is over")
    yield* connection.delete(id)
  }))
  yield* adjust
  yield* Fiber.join(worker)
  assert.deepStrictEqual(log, [
    "86400 s: matured, and was reserved",
    "86459 s: DeadlineSoon",
    "86460 s: NotFound",
    "90060 s: the pause is over"
  ])
  const { currentJobsDelayed, currentJobsReady, currentJobsReserved, jobTimeouts } = yield* beanstalkd.stats
  assert.deepStrictEqual([jobTimeouts, currentJobsDelayed, currentJobsReady, currentJobsReserved], [1, 0, 0, 0])
})

describe("a delay of a day, a ttr, a pause and DEADLINE_SOON", () => {
  const inSteps = Effect.gen(function*() {
    const server = yield* Server.Server
    yield* server.awaitReservers("emails")
    for (const step of ["24 hours", "59 seconds", "1 second", "1 hour"] as const) yield* TestClock.adjust(step)
  })

  it.effect(
    `come ${FULL ? 1000 : 200} times at their time`,
    () => Effect.repeat(onLayer(() => aDay(inSteps)), { times: FULL ? 999 : 199 }),
    60_000
  )

  it.effect("come all in one adjust, before which nobody has waited", () =>
    Effect.repeat(onLayer(() => aDay(TestClock.adjust("26 hours"))), { times: 99 }))
})

const DAY = Duration.toMillis("24 hours")

describe("under a TestClock", () => {
  it.effect("no delay ends a millisecond too early", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd) {
      const { id } = yield* beanstalkd.put("emails", "hello", { delay: "24 hours" })
      yield* TestClock.adjust(DAY - 1)
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "delayed", age: 86_399 })
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* beanstalkd.statsJob(id)).state, "ready")
    })))

  it.effect("a reserve times out when it should, although it is sent in slices", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd) {
      const { log, tell } = yield* makeLog
      const reserving = yield* Effect.forkScoped(
        Effect.flatMap(Effect.flip(beanstalkd.reserve("emails", { timeout: "95 seconds" })), ({ _tag }) => tell(_tag))
      )
      yield* TestClock.adjust("94 seconds")
      assert.deepStrictEqual(log, [])
      yield* TestClock.adjust("10 minutes")
      yield* Fiber.join(reserving)
      assert.deepStrictEqual(log, ["95 s: TimedOut"])
    })))

  it.effect("no reserve that waits for days is taken for a server that is silent", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      const reserving = yield* Effect.forkScoped(beanstalkd.reserve("emails"))
      yield* server.awaitReservers("emails")
      const connections = (yield* beanstalkd.stats).totalConnections
      for (let day = 0; day < 3; day++) yield* TestClock.adjust("24 hours")
      assert.isUndefined(reserving.pollUnsafe())
      yield* beanstalkd.put("emails", "hello")
      assert.strictEqual((yield* Fiber.join(reserving)).text, "hello")
      const stats = yield* beanstalkd.stats
      assert.strictEqual(stats.totalConnections, connections)
      assert.strictEqual(stats.cmdReserveWithTimeout, 3 * 24 * 60 * 2 + 1)
    })))

  it.effect("touch keeps a job", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd) {
      const { id } = yield* beanstalkd.put("emails", "hello", { ttr: "10 seconds" })
      const job = yield* beanstalkd.reserve("emails")
      yield* Effect.forkScoped(Effect.forever(Effect.delay(job.touch, "9 seconds")))
      yield* TestClock.adjust("1 hour")
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "reserved", timeouts: 0 })
      yield* job.delete
    })))

  it.effect("an idle holder's job expires on time, and goes to who waits", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd) {
      const { log, tell } = yield* makeLog
      yield* beanstalkd.put("emails", "hello", { ttr: "90 seconds" })
      const idle = yield* beanstalkd.reserve("emails")
      const other = yield* Effect.forkScoped(
        Effect.tap(beanstalkd.reserve("emails"), () => tell("reserved by another"))
      )
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* Fiber.join(other)).id, idle.id)
      assert.deepStrictEqual(log, ["90 s: reserved by another"])
      assert.strictEqual((yield* Effect.flip(idle.touch))._tag, "NotFound")
      assert.strictEqual((yield* Effect.flip(idle.delete))._tag, "NotFound")
    })))

  it.effect("workers, producers and pauses do the same things in the same order every time", () =>
    Effect.gen(function*() {
      const first = yield* onLayer(() => manyAtWork)
      assert.strictEqual(first.filter((event) => event.includes("done")).length, 200)
      for (let again = 0; again < 5; again++) assert.deepStrictEqual(yield* onLayer(() => manyAtWork), first)
    }))
})

// Jobs with delays and priorities, of which each seventh is given back once and each eleventh is lost to its ttr.
const manyAtWork = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  const { log, tell } = yield* makeLog
  const workOn = (worker: number) =>
    Effect.gen(function*() {
      const job = yield* beanstalkd.reserve("work")
      const { reserves } = yield* job.stats
      if (reserves === 1 && job.id % 7 === 0) {
        yield* job.release({ delay: "3 seconds" })
        return yield* tell(`${worker} released ${job.id}`)
      }
      yield* Effect.sleep(reserves === 1 && job.id % 11 === 0 ? "20 seconds" : `${job.id % 5} seconds`)
      const settled = yield* Effect.exit(job.delete)
      yield* tell(`${worker} is ${Exit.isSuccess(settled) ? "done with" : "too late for"} ${job.id}`)
    }).pipe(Effect.scoped)
  for (let worker = 0; worker < 8; worker++) yield* Effect.forkScoped(Effect.forever(workOn(worker)))
  yield* Effect.forkScoped(Effect.gen(function*() {
    for (let n = 0; n < 200; n++) {
      yield* beanstalkd.put("work", "x", { delay: `${n % 13} seconds`, priority: n % 3, ttr: "10 seconds" })
      if (n % 20 === 0) yield* beanstalkd.pauseTube("work", "2 seconds")
      yield* Effect.sleep("300 millis")
    }
  }))
  yield* TestClock.adjust("1 hour")
  return log
}).pipe(Effect.scoped)

describe("the time of a store", () => {
  it("can have seconds added and taken away again, on a clock that has just begun as well", () => {
    for (let nanos = 61_000_000n; nanos < 62_000_000n; nanos += 97n) {
      const now = millisOf({ monotonicTimeNanosUnsafe: () => nanos })()
      assert.strictEqual(now + 1000 - 1000, now)
      assert.approximately(now, Number(nanos) / 1e6, 0.001)
    }
  })
})
