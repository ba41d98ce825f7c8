/**
 * The metrics of commands and connections: commands and errors by name, open connections, lost connections.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Metric, Scope } from "effect"
import { Connection, Metrics, Protocol } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { onMemory, onServer } from "../support/Fixture.ts"
import { freePort } from "../support/FreePort.ts"
import * as RealServer from "../support/RealServer.ts"
import { TUBE, work } from "../support/Workplace.ts"

type Attributes = Record<string, string>

const counted = (metric: Metric.Counter<number>, attributes: Attributes) =>
  Effect.map(Metric.value(Metric.withAttributes(metric, attributes)), ({ count }) => count)

const commands = (server: string, command: string) => counted(Metrics.commands, { server, command })

const errors = (server: string, command: string, error: string) => counted(Metrics.errors, { server, command, error })

const lost = (server: string) => counted(Metrics.connectionsLost, { server })

const connections = (server: string) =>
  Effect.map(Metric.value(Metric.withAttributes(Metrics.connections, { server })), ({ value }) => value)

const nobody = Protocol.JobId.make(4_711)

RealServer.describeReal("the metrics of a client", () => {
  const open = onServer(RealServer, { args: ["-z", "100"] })

  it.live("count the commands that were answered, by their names in the protocol", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* open()
      const { server } = beanstalkd
      yield* beanstalkd.putAll("jobs", Array.from({ length: 100 }, (_, i) => `${i}`))
      yield* beanstalkd.peekReady("jobs")
      yield* Effect.flip(beanstalkd.peek(nobody))
      yield* (yield* beanstalkd.reserve("jobs", { timeout: 0 })).release({ priority: 0 })
      yield* beanstalkd.connection.pipe(Effect.flatMap(({ listTubes }) => listTubes), Effect.scoped)
      const names = ["put", "use", "peek-ready", "peek", "reserve-with-timeout", "release", "list-tubes", "delete"]
      // The count of replies that came together is committed once, which may be after the fiber was resumed by its own.
      yield* eventually(
        Effect.map(
          Effect.forEach(names, (name) => commands(server, name)),
          (counts) => assert.deepStrictEqual(counts, [100, 1, 1, 1, 1, 1, 1, 0])
        )
      )
    }))

  it.live("count the commands that failed, by the tag of the error, or of its reason", () =>
    Effect.gen(function*() {
      const { beanstalkd, server: { kill } } = yield* open()
      const { server } = beanstalkd
      yield* Effect.flip(beanstalkd.delete(nobody))
      yield* Effect.flip(beanstalkd.delete(nobody))
      yield* Effect.flip(beanstalkd.put("jobs", "x".repeat(101)))
      yield* Effect.flip(beanstalkd.reserve("jobs", { timeout: 0 }))
      const waiting = yield* Effect.forkChild(Effect.scoped(beanstalkd.reserve("jobs")))
      yield* eventually(Effect.map(beanstalkd.stats, ({ currentWaiting }) => assert.strictEqual(currentWaiting, 1)))
      yield* kill
      yield* Fiber.await(waiting)
      const counts = [
        yield* errors(server, "delete", "NotFound"),
        yield* errors(server, "put", "JobTooBig"),
        (yield* errors(server, "reserve-with-timeout", "ConnectionClosed")) +
        (yield* errors(server, "reserve-with-timeout", "ReadError")),
        yield* errors(server, "delete", "TimedOut")
      ]
      assert.deepStrictEqual(counts, [2, 1, 1, 0])
    }))

  it.live("do not count a reserve that met no job, or whose job has less than a second left", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* open()
      const { server } = beanstalkd
      const connection = yield* beanstalkd.connection
      assert.strictEqual((yield* Effect.flip(beanstalkd.reserve("jobs", { timeout: 0 })))._tag, "TimedOut")
      assert.strictEqual((yield* Effect.flip(connection.reserveWithTimeout(0)))._tag, "TimedOut")
      yield* connection.put("x", { ttr: "1 second" })
      yield* connection.reserve
      assert.strictEqual((yield* Effect.flip(connection.reserve))._tag, "DeadlineSoon")
      assert.strictEqual(yield* commands(server, "reserve-with-timeout"), 2)
      const counts = yield* Effect.forEach(
        ["reserve", "reserve-with-timeout"],
        (command) => Effect.forEach(["TimedOut", "DeadlineSoon"], (error) => errors(server, command, error))
      )
      assert.deepStrictEqual(counts, [[0, 0], [0, 0]])
    }))

  it.live("do not count what was refused before it became a command", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* open()
      yield* Effect.flip(beanstalkd.put("no tube", "x"))
      assert.deepStrictEqual(
        [yield* commands(beanstalkd.server, "put"), yield* errors(beanstalkd.server, "put", "InvalidArgument")],
        [0, 0]
      )
    }))

  it.live("tell how many connections are open, to which server, and none when the Scope is closed", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { beanstalkd } = yield* Scope.provide(open(), scope)
      const other = yield* open()
      const { server } = beanstalkd
      assert.strictEqual(yield* connections(server), 1)
      yield* beanstalkd.putAll("jobs", ["a", "b", "c"])
      const jobs = yield* Effect.replicateEffect(Scope.provide(beanstalkd.reserve("jobs"), scope), 3)
      assert.strictEqual(yield* connections(server), 4)
      for (const job of jobs) yield* job.delete
      assert.deepStrictEqual([yield* connections(server), yield* connections(other.beanstalkd.server)], [4, 1])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([yield* connections(server), yield* connections(other.beanstalkd.server)], [0, 1])
      assert.strictEqual(yield* lost(server), 0)
    }))

  it.live("count the connections that were lost, and only those", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open()
      yield* Effect.scoped(Effect.flatMap(beanstalkd.connection, ({ quit }) => quit))
      yield* Effect.scoped(Effect.flatMap(beanstalkd.connection, ({ stats }) => stats))
      assert.strictEqual(yield* lost(beanstalkd.server), 0)
      yield* beanstalkd.put("jobs", "x")
      yield* beanstalkd.reserve("jobs")
      yield* server.kill
      yield* eventually(Effect.map(connections(beanstalkd.server), (n) => assert.strictEqual(n, 0)))
      // The two that it had, and perhaps one that was just dialed to replace them.
      const lostByNow = yield* lost(beanstalkd.server)
      assert.include([2, 3], lostByNow)
      yield* server.restart
      yield* beanstalkd.put("jobs", "y")
      assert.isAtLeast(yield* connections(beanstalkd.server), 1)
      assert.strictEqual(yield* lost(beanstalkd.server), lostByNow)
    }))
})

describe("the metrics of a connection", () => {
  it.live("do not count one that never came about", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const server = `127.0.0.1:${port}`
      yield* Effect.flip(Effect.scoped(Connection.make({ port })))
      assert.deepStrictEqual([yield* connections(server), yield* lost(server)], [0, 0])
    }))

  it.live("are kept in the registry of the fiber that made it", () =>
    Effect.gen(function*() {
      const peer = yield* FakeServer.make([{ expect: "delete 4711\r\n" }, { reply: "DELETED\r\n" }])
      const server = `127.0.0.1:${peer.port}`
      const own = Effect.provideService(Metric.MetricRegistry, new Map())
      const connection = yield* own(Connection.make({ port: peer.port }))
      yield* connection.delete(nobody)
      yield* eventually(Effect.map(own(commands(server, "delete")), (count) => assert.strictEqual(count, 1)))
      assert.deepStrictEqual([yield* own(connections(server)), yield* connections(server)], [1, 0])
      assert.strictEqual(yield* commands(server, "delete"), 0)
    }))
})

describe("the metrics of a worker", () => {
  it.effect("have how long handlers ran, in seconds, from a millisecond up to nine minutes in steps that double", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { server } = beanstalkd
      yield* beanstalkd.putAll(TUBE, ["1", "3", "1000", "524288", "600000"])
      yield* work((text) => Effect.sleep(Number(text)), { concurrency: 5 })
      yield* TestClock.adjust("1 hour")
      const { buckets, count, max, min, sum } = yield* Metric.value(
        Metric.withAttributes(Metrics.jobDuration, { server, tube: TUBE })
      )
      const boundaries = buckets.map(([boundary]) => boundary)
      assert.deepStrictEqual(boundaries.filter(Number.isFinite), Array.from({ length: 19 }, (_, i) => 0.001 * 2 ** i))
      const upTo = (millis: number) => buckets.find(([boundary]) => boundary === 0.001 * millis)?.[1]
      assert.deepStrictEqual([1, 2, 4, 512, 1024].map(upTo), [1, 1, 2, 2, 3])
      assert.deepStrictEqual({ count, min, max }, { count: 5, min: 0.001, max: 600 })
      assert.approximately(sum, 1_125.292, 1e-9)
    })))
})

describe("a reserve that is interrupted while it waits", () => {
  it.effect("ends its connection, which is not lost", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      for (let times = 1; times <= 3; times++) {
        const waiting = yield* Effect.forkScoped(Effect.scoped(beanstalkd.reserve(TUBE)), { startImmediately: true })
        yield* server.awaitReservers(TUBE)
        yield* Fiber.interrupt(waiting)
      }
      assert.deepInclude(yield* beanstalkd.poolStats, { used: 0, lost: 0 })
      const lost = Metric.withAttributes(Metrics.connectionsLost, { server: beanstalkd.server })
      assert.strictEqual((yield* Metric.value(lost)).count, 0)
    })))
})
