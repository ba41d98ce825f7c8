/**
 * Servers that refuse what they should do, and load balancers that cut what is silent: the job is kept, nobody spins, and the
 * log says it once.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Logger, Schedule } from "effect"
import { Client, Server, type Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { Refusals } from "../../src/internal/worker/refusals.ts"
import { UserCode } from "../../src/internal/worker/userCode.ts"
import * as OddDialer from "../support/OddDialer.ts"
import { areIn, keepLog, silently, TUBE, work } from "../support/Workplace.ts"

type Answer = OddDialer.Oddities["answer"]

/** A worker whose server refuses these commands, and the seconds at which its handler began. */
const at = Effect.fnUntraced(function*(commands: ReadonlyArray<string>, answer: Answer = "UNKNOWN_COMMAND") {
  const server = yield* Server.makeMemory()
  const honest = yield* Client.make(server.clientOptions)
  const oddities: OddDialer.Oddities = { refused: new Set(commands), answer }
  const client = yield* Client.make({ dialer: OddDialer.refusing(server.clientOptions.dialer!, oddities) })
  const seconds: Array<number> = []
  const start = <E>(effect: Effect.Effect<unknown, E>, options: Worker.Options<string, E, never> = {}) =>
    work(
      () => Effect.andThen(Effect.map(Clock.currentTimeMillis, (now) => seconds.push(now / 1000)), effect),
      { retrySchedule: Schedule.spaced("1 second"), ...options }
    ).pipe(Effect.provideService(Client.Beanstalkd, client))
  return { honest, server, oddities, seconds, start }
})

const warnings = (log: ReadonlyArray<{ readonly level: string; readonly message: string }>) =>
  log.filter(({ message }) => message.includes("the server refuses"))

const losses = (log: ReadonlyArray<{ readonly level: string; readonly message: string }>) =>
  log.filter(({ message }) => message.includes("the lease is lost"))

describe("a server that lacks stats-job", () => {
  for (const crashGuard of [true, false]) {
    it.effect(`has its jobs run as often as maxAttempts says, with crashGuard ${crashGuard}, and that is said once`, () => {
      const { log, logged } = keepLog()
      return Effect.gen(function*() {
        const { honest, seconds, start } = yield* at(["stats-job"])
        yield* honest.put(TUBE, "hello", { ttr: "2 seconds" })
        yield* start(Effect.andThen(Effect.sleep("5 seconds"), Effect.fail("no")), { crashGuard, maxAttempts: 3 })
        yield* TestClock.adjust("50 seconds")
        assert.deepStrictEqual(seconds, [0, 6, 12])
        yield* areIn(honest, { buried: 1 })
        assert.strictEqual((yield* honest.stats).jobTimeouts, 0)
        assert.strictEqual(warnings(log).length, 1)
      }).pipe(Effect.scoped, logged)
    })
  }

  it.effect("has a job tried as often again when it was buried and is kicked", () =>
    Effect.gen(function*() {
      const { honest, seconds, start } = yield* at(["stats-job"])
      yield* honest.put(TUBE, "hello")
      yield* start(Effect.fail("no"), { maxAttempts: 2 })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(seconds, [0, 1])
      yield* honest.kick(TUBE, 1)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(seconds, [0, 1, 10, 11])
      yield* areIn(honest, { buried: 1 })
    }).pipe(Effect.scoped, silently))

  it.effect("has a job released at once whose counters it is asked for when the worker shuts down", () =>
    Effect.gen(function*() {
      const { honest, seconds, server, start } = yield* at(["stats-job"])
      const worker = yield* start(Effect.void, { crashGuard: true, shutdownTimeout: "1 hour" })
      yield* server.awaitReservers(TUBE)
      yield* server.injectFaults({ delay: "2 seconds" })
      yield* Effect.forkScoped(honest.put(TUBE, "hello"))
      yield* TestClock.adjust("3 seconds")
      yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.isDefined(worker.pollUnsafe())
      yield* server.injectFaults({})
      yield* areIn(honest, { ready: 1 })
      assert.deepStrictEqual(seconds, [])
    }).pipe(Effect.scoped, silently))

  it.effect("has jobs that succeed deleted, those that go to the dead-letter tube moved", () =>
    Effect.gen(function*() {
      const { honest, start } = yield* at(["stats-job"])
      yield* honest.putAll(TUBE, ["a", "b"])
      yield* start(Effect.fail("no"), { maxAttempts: 1, deadLetter: "dead" })
      yield* areIn(honest, {})
      yield* areIn(honest, { ready: 2 }, "dead")
    }).pipe(Effect.scoped, silently))
})

describe("the failed runs of a job that the server does not count", () => {
  const nth = (n: number) => ({ ref: { toString: () => `server/${n}` } }) as never

  it.effect("are counted here, and forgotten when it is settled or 10,000 others have failed since", () =>
    Effect.gen(function*() {
      const refusals = new Refusals(yield* Clock.Clock, new UserCode())
      const runsOf = (n: number) => refusals.countersOf(nth(n)).reserves
      assert.deepStrictEqual([runsOf(0), runsOf(0), runsOf(1)], [1, 2, 1])
      for (let n = 2; n <= 10_000; n++) runsOf(n)
      assert.strictEqual(runsOf(1), 2)
      assert.strictEqual(runsOf(0), 1, "the first of 10,001")
      assert.strictEqual(runsOf(1), 3, "it has failed since")
      refusals.forget(nth(1))
      assert.strictEqual(runsOf(1), 1)
    }))
})

describe("a server that refuses", () => {
  for (
    const [command, effect, options] of [
      ["stats-job", Effect.void, {}],
      ["delete", Effect.void, {}],
      ["release", Effect.fail("no"), { maxAttempts: Infinity }],
      ["bury", Effect.fail("no"), { maxAttempts: 1 }]
    ] as const
  ) {
    it.effect(`${command} is asked less and less often, and that is said once a minute at most`, () => {
      const { log, logged } = keepLog()
      return Effect.gen(function*() {
        const { honest, seconds, server, start } = yield* at([command], "INTERNAL_ERROR")
        yield* honest.put(TUBE, "hello")
        yield* start(effect, options)
        yield* TestClock.adjust("1 second")
        const before = (yield* honest.stats).totalConnections
        yield* TestClock.adjust("3 minutes")
        assert.isAtMost((yield* honest.stats).totalConnections - before, 20)
        assert.isAtMost(seconds.length, command === "release" ? 20 : 1)
        const said = warnings(log)
        assert.isAtLeast(said.length, 1)
        assert.isAtMost(said.length, 4)
        assert.include(said[0]!.message, `the server refuses ${command}: INTERNAL_ERROR`)
        assert.isAtMost(yield* server.connectionCount, 4)
        // Where the worker may release the job, it has given it back, and not lost it.
        if (command !== "release") assert.deepStrictEqual(losses(log), [])
      }).pipe(Effect.scoped, logged)
    })
  }

  it.effect("delete for a while has the job deleted later, and it does not run again", () =>
    Effect.gen(function*() {
      const { honest, oddities, seconds, start } = yield* at(["delete"], "INTERNAL_ERROR")
      yield* honest.put(TUBE, "hello")
      yield* start(Effect.void)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(seconds, [0])
      oddities.refused.clear()
      yield* TestClock.adjust("1 minute")
      yield* areIn(honest, {})
      assert.deepStrictEqual(seconds, [0])
    }).pipe(Effect.scoped, silently))

  it.effect("bury for a while has the job buried later, and it does not run again", () =>
    Effect.gen(function*() {
      const { honest, oddities, seconds, start } = yield* at(["bury"], "INTERNAL_ERROR")
      yield* honest.put(TUBE, "hello")
      yield* start(Effect.fail("no"), { maxAttempts: 1 })
      yield* TestClock.adjust("10 seconds")
      oddities.refused.clear()
      yield* TestClock.adjust("1 minute")
      yield* areIn(honest, { buried: 1 })
      assert.deepStrictEqual(seconds, [0])
    }).pipe(Effect.scoped, silently))

  it.effect("everything does not keep a worker from its end", () =>
    Effect.gen(function*() {
      const { honest, server, start } = yield* at(["delete", "release", "stats-job"], "INTERNAL_ERROR")
      yield* honest.put(TUBE, "hello")
      const worker = yield* start(Effect.void, { crashGuard: false })
      yield* TestClock.adjust("1 minute")
      worker.interruptUnsafe()
      yield* TestClock.adjust("1 second")
      assert.isDefined(worker.pollUnsafe())
      yield* areIn(honest, { ready: 1 })
      assert.strictEqual(yield* server.connectionCount, 2)
    }).pipe(Effect.scoped, silently))
})

describe("a load balancer that cuts what is silent for 30 seconds", () => {
  it.effect("takes no job from a handler of 45 seconds whose ttr is 2 minutes", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const client = yield* Client.make({
        dialer: OddDialer.cuttingSilence(server.clientOptions.dialer!, Duration.toMillis("30 seconds"))
      })
      const attempts: Array<number> = []
      const { id } = yield* client.put(TUBE, "hello", { ttr: "2 minutes" })
      yield* work((_, job) =>
        Effect.andThen(Effect.map(job.attempt, (attempt) => attempts.push(attempt)), Effect.sleep("45 seconds"))
      ).pipe(Effect.provideService(Client.Beanstalkd, client))
      yield* TestClock.adjust("44 seconds")
      const honest = yield* Client.make(server.clientOptions)
      assert.deepInclude(yield* honest.statsJob(id), { state: "reserved", reserves: 1 })
      yield* TestClock.adjust("1 second")
      yield* areIn(honest, {})
      assert.deepStrictEqual(attempts, [1])
    }).pipe(Effect.scoped, Effect.provideService(Logger.CurrentLoggers, new Set())))
})
