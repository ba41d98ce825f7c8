/**
 * The shared connection of a client, and a server that goes away and comes back: which commands wait, which fail and with
 * what, which are sent again (never one that was sent), and how often the server is dialed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schedule, Scope } from "effect"
import { Client, Pool, Protocol, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { internals } from "../../src/internal/pool/internals.ts"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { freePort } from "../support/FreePort.ts"
import * as RealTime from "../support/RealTime.ts"
import { id, withBody } from "../support/scripted/Commands.ts"
import { commandsIn } from "../support/scripted/Heard.ts"
import { errorOf, fails, hears, isFailure, says, seesClose, start } from "../support/scripted/Peer.ts"

/** A server that one can put into. */
const takesPuts: FakeServer.Handler = (socket) => {
  let heard = ""
  let answered = 0
  socket.on("data", (piece: Buffer) => {
    heard += piece.toString("latin1")
    const lines = commandsIn(heard).map(({ line }) => line)
    for (; answered < lines.length; answered++) {
      const line = lines[answered]!
      socket.write(line.startsWith("use ") ? `USING ${line.slice("use ".length)}\r\n` : `INSERTED ${answered}\r\n`)
    }
  })
}

const bodiesAt = (server: FakeServer.Serving, conn = 0) =>
  commandsIn(server.received(conn)).flatMap(({ body }) => body ?? [])

/** A server on a port of its own that can be stopped and started again. */
const fickle = Effect.gen(function*() {
  const port = yield* freePort
  const scope = yield* Effect.scope
  let life = yield* Scope.fork(scope)
  const listen = () => Scope.provide(FakeServer.serve(takesPuts, { port }), life)
  yield* listen()
  return {
    port,
    leave: Effect.suspend(() => Scope.close(life, Exit.void)),
    comeBack: Effect.suspend(() => {
      life = Scope.forkUnsafe(scope)
      return listen()
    })
  }
})

/** A client whose server is down, under a clock that stands still. It dials every three seconds. */
const alone = Effect.gen(function*() {
  const server = yield* fickle
  let failures = 0
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const beanstalkd = yield* Scope.provide(
    Client.make({
      port: server.port,
      commandTimeout: "10 seconds",
      reconnect: Schedule.spaced("3 seconds").pipe(Schedule.tap(() => Effect.sync(() => failures++)))
    }),
    scope
  )
  /** Waits until so many dials have failed, and the client waits for the next. */
  const hasFailed = (times: number) => eventually(Effect.sync(() => assert.strictEqual(failures, times)))
  yield* server.leave
  yield* hasFailed(1)
  assert.deepInclude(yield* beanstalkd.poolStats, { shared: false, lost: 1 })
  return { beanstalkd, server, hasFailed, close: Scope.close(scope, Exit.void) }
})

const isOver = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  eventually(
    Effect.suspend(() => {
      const exit = fiber.pollUnsafe()
      assert.isDefined(exit, "it has not ended")
      return Effect.succeed(exit)
    }),
    { within: "1 second" }
  )

describe("the shared connection that is lost", () => {
  it.effect("is dialed again as the Schedule says, and comes back without anybody asking", () =>
    Effect.gen(function*() {
      const { beanstalkd, hasFailed, server } = yield* alone
      for (const times of [2, 3, 4]) {
        yield* TestClock.adjust(2999)
        yield* hasFailed(times - 1)
        yield* TestClock.adjust(1)
        yield* hasFailed(times)
      }
      const back = yield* server.comeBack
      yield* TestClock.adjust("3 seconds")
      yield* eventually(Effect.map(beanstalkd.poolStats, ({ shared }) => assert.isTrue(shared)))
      assert.strictEqual(back.connections(), 1)
    }))

  it.effect("makes commands wait, which are sent when it is back", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* alone
      const puts = yield* Effect.forEach(["a", "b", "c"], (body) => start(beanstalkd.put("jobs", body)))
      const back = yield* server.comeBack
      yield* TestClock.adjust("3 seconds")
      assert.sameMembers((yield* Effect.forEach(puts, Fiber.join)).map(({ id }) => id), [id(1), id(2), id(3)])
      assert.sameMembers(bodiesAt(back), ["a", "b", "c"])
    }))

  it.effect("makes commands wait for the command timeout, and then fail with the reason, and not sent", () =>
    Effect.gen(function*() {
      const { beanstalkd, hasFailed } = yield* alone
      const put = yield* start(beanstalkd.put("jobs", "x"))
      for (const times of [2, 3, 4]) {
        yield* TestClock.adjust("3 seconds")
        yield* hasFailed(times)
      }
      yield* TestClock.adjust(999)
      assert.isUndefined(put.pollUnsafe())
      yield* TestClock.adjust(1)
      isFailure(yield* Effect.flip(yield* isOver(put)), { reason: "OpenError", sent: false, command: "put" })
    }))

  it.effect("does not make a command wait whose arguments are wrong", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* alone
      const put = yield* start(beanstalkd.put("not a tube", "x"))
      const error = yield* Effect.flip(yield* isOver(put))
      assert.deepInclude(error, { _tag: "InvalidArgument", argument: "tube" })
    }))

  it.effect("does not send what was interrupted meanwhile", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* alone
      const given = yield* start(beanstalkd.put("jobs", "given up"))
      const kept = yield* start(beanstalkd.put("jobs", "kept"))
      yield* Fiber.interrupt(given)
      const back = yield* server.comeBack
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(kept)
      assert.deepStrictEqual(bodiesAt(back), ["kept"])
    }))

  it.effect("fails those who wait, at once, when the client is closed", () =>
    Effect.gen(function*() {
      const { beanstalkd, close } = yield* alone
      const put = yield* start(beanstalkd.put("jobs", "x"))
      yield* close
      const exit = yield* isOver(put)
      assert.isFalse(isFailure(yield* Effect.flip(exit), { reason: "ConnectionClosed", sent: false }).sent)
      yield* fails(beanstalkd.stats, { reason: "ConnectionClosed", sent: false })
    }))

  it.live("never sends a second time what has left, and sends on the next what has not", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const beanstalkd = yield* Client.make({ port: server.port, maxUnanswered: 1 })
      const left = yield* start(beanstalkd.delete(id(1)))
      const queued = yield* start(beanstalkd.delete(id(2)))
      yield* hears(server, "delete 1\r\n")
      server.sockets[0]!.destroy()
      isFailure(yield* errorOf(left), { reason: "ConnectionClosed", sent: true, command: "delete" })
      yield* hears(server, "delete 2\r\n", 1)
      yield* says(server, "DELETED\r\n", 1)
      yield* Fiber.join(queued)
      assert.strictEqual(server.received(0), "delete 1\r\n")
    }))

  it.effect("is dialed at the pace of the Schedule also where somebody takes connections and closes them", () =>
    Effect.gen(function*() {
      const life = yield* Scope.make()
      const port = yield* freePort
      yield* Scope.provide(FakeServer.serve(takesPuts, { port }), life)
      yield* Client.make({ port, reconnect: Schedule.spaced("3 seconds") })
      // That is what a proxy does whose server is down.
      yield* Scope.close(life, Exit.void)
      const proxy = yield* FakeServer.serve((socket) => socket.destroy(), { port })
      yield* TestClock.adjust("3 seconds")
      yield* eventually(Effect.sync(() => assert.isAtLeast(proxy.connections(), 1)))
      // The clock stands still, so nothing more must happen, and there is no condition to wait for.
      yield* RealTime.sleep("100 millis")
      assert.isAtMost(proxy.connections(), 2)
    }))
})

describe("the shared connection", () => {
  it.live("is dialed once, however many ask for it at once", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve(takesPuts)
      const pool = yield* Pool.make({ port: server.port })
      const { shared } = internals(pool)
      yield* Effect.all([shared.connect, shared.connect, shared.connect], { concurrency: "unbounded" })
      yield* shared.connect
      assert.deepInclude(yield* pool.stats, { opened: 1, shared: true })
    }))

  it.live("is dialed by the first command, if nothing else has", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve(takesPuts)
      const pool = yield* Pool.make({ port: server.port })
      const { shared } = internals(pool)
      yield* Effect.forEach([1, 2, 3], (n) => shared.run(Protocol.commands.put, `${n}`, undefined, "jobs"), {
        concurrency: "unbounded"
      })
      assert.deepInclude(yield* pool.stats, { opened: 1, shared: true })
      assert.sameMembers(bodiesAt(server), ["1", "2", "3"])
    }))

  it.live("is dialed by supervise, which waits for nothing, and tells how many commands are on their way", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const pool = yield* Pool.make({ port: server.port })
      const { shared } = internals(pool)
      assert.strictEqual(shared.load, 0)
      for (let times = 0; times < 3; times++) shared.supervise()
      assert.strictEqual(shared.load, 0)
      yield* eventually(Effect.map(pool.stats, (stats) => assert.deepInclude(stats, { opened: 1, shared: true })))
      yield* Effect.forEach([1, 2, 3], (n) => start(shared.run(Protocol.commands.delete, id(n))))
      assert.strictEqual(shared.load, 3)
      yield* hears(server, "delete 1\r\ndelete 2\r\ndelete 3\r\n")
      assert.strictEqual(shared.load, 3)
      yield* says(server, "DELETED\r\nDELETED\r\n")
      yield* eventually(Effect.sync(() => assert.strictEqual(shared.load, 1)))
      server.sockets[0]!.destroy()
      yield* eventually(Effect.sync(() => assert.strictEqual(shared.load, 0)))
    }))

  it.live("fails what is sent and what is queued, at once, when the client is closed, and is not dialed again", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const scope = yield* Scope.make()
      const beanstalkd = yield* Scope.provide(Client.make({ port: server.port, maxUnanswered: 1 }), scope)
      const sent = yield* start(beanstalkd.delete(id(1)))
      const queued = yield* start(beanstalkd.delete(id(2)))
      yield* hears(server, "delete 1\r\n")
      yield* Scope.close(scope, Exit.void)
      isFailure(yield* errorOf(sent), { reason: "ConnectionClosed", sent: true, command: "delete" })
      const exit = yield* isOver(queued)
      isFailure(yield* Effect.flip(exit), { reason: "ConnectionClosed", sent: false, command: "delete" })
      yield* seesClose(server)
      assert.strictEqual(server.connections(), 1)
    }))

  it.live("does not die of the statistics of a job that is overdue", () =>
    Effect.gen(function*() {
      // The real server says so of a job whose expiry it has missed.
      const overdue = withBody("OK", "---\nid: 7\ntube: default\nstate: reserved\npri: 0\nttr: 1\ntime-left: -1\n")
      const server = yield* FakeServer.make([{ expect: "stats-job 7\r\n" }, { reply: overdue }])
      const beanstalkd = yield* Client.make({ port: server.port })
      assert.deepInclude(yield* beanstalkd.statsJob(id(7)), { state: "reserved", ttr: 1, timeLeft: -1 })
      assert.deepInclude(yield* beanstalkd.poolStats, { lost: 0, shared: true })
    }))
})

describe("a connection that has answered before it was lost", () => {
  it.effect("is replaced at once, without a pause of the Schedule, time and again", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const client = yield* Client.make({ ...server.clientOptions, reconnect: Schedule.spaced("1 hour") })
      for (let times = 1; times <= 5; times++) {
        assert.strictEqual(Number((yield* client.put("jobs", "x")).id), times)
        yield* server.dropConnections
      }
    }))
})

describe("a client that is closed while its server is away", () => {
  it.effect("says so to who waits, and not why it was away", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const scope = yield* Scope.make()
      const client = yield* Client.make(server.clientOptions).pipe(Scope.provide(scope))
      yield* server.injectFaults({ refuse: true })
      yield* server.dropConnections
      const waiting = yield* start(client.put("jobs", "x"))
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(waiting.pollUnsafe())
      yield* Scope.close(scope, Exit.void)
      for (const error of [yield* errorOf(waiting), yield* Effect.flip(client.put("jobs", "x"))]) {
        const { reason } = isFailure(error, { reason: "ConnectionClosed", sent: false, command: "put" })
        assert.deepInclude(reason, { detail: "its Scope was closed" })
      }
    }))
})
