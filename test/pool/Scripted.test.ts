/**
 * The pool and its connections, with a server whose every step is known: which borrower is served when, what becomes of
 * connections that die, that idle or that cannot be opened, and what the end of the pool does.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Latch, Layer, Schedule, Scope } from "effect"
import { Client, type Connection, Errors, Pool, Server } from "effect-beanstalkd"
import { internals } from "../../src/internal/pool/internals.ts"
import type { Dialer, Handlers } from "../../src/internal/connection/transport.ts"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import * as FastClock from "../support/FastClock.ts"
import * as RealTime from "../support/RealTime.ts"
import { tempDir } from "../support/TempDir.ts"
import { silently } from "../support/Workplace.ts"
import { moody } from "./Moody.ts"
import { ask, asking, borrow, closeable, has } from "./Pools.ts"
import { id } from "../support/scripted/Commands.ts"
import { tubeServer } from "../support/scripted/Heard.ts"
import { errorOf, fails, hears, isFailure, seesClose, start } from "../support/scripted/Peer.ts"

const scriptOf = (name: string): FakeServer.Script => {
  const scenarios: ReadonlyArray<{ readonly name: string; readonly script: FakeServer.Script }> = JSON.parse(
    readFileSync(new URL("../fixtures/client.json", import.meta.url), "utf8")
  )
  const scenario = scenarios.find((scenario) => scenario.name === name)
  assert.isDefined(scenario, `no scenario ${name}`)
  return scenario.script
}

const openSockets = (server: FakeServer.Serving) => server.sockets.filter((socket) => !socket.destroyed).length

describe("the scenario", () => {
  it.live("pool-hands-out-connections-first-come-first-served", () =>
    Effect.gen(function*() {
      // The longest waiter gets the connection that is free first. When 3 has ended, that is the second one.
      const script = scriptOf("pool-hands-out-connections-first-come-first-served")
      const server = yield* FakeServer.make(script.map((step, i) => i < 6 ? step : { ...step, conn: 1 }))
      const pool = yield* Pool.make({ port: server.port, maxConnections: 2 })
      const ended: Array<number> = []
      const borrower = (n: number) => borrow(pool, () => ended.push(n))
      const one = yield* borrower(1)
      yield* hears(server, asking, 0)
      const two = yield* borrower(2)
      const three = yield* borrower(3)
      const four = yield* borrower(4)
      yield* has(pool, { used: 2, waiting: 2 })
      yield* hears(server, asking, 1)
      yield* two.end
      yield* hears(server, asking.repeat(2), 1)
      yield* three.end
      yield* server.done
      yield* one.end
      yield* four.end
      assert.deepStrictEqual(ended, [2, 3, 1, 4])
      assert.strictEqual(server.connections(), 2)
    }))

  it.live("pool-replaces-a-dead-connection", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.make(scriptOf("pool-replaces-a-dead-connection"))
      const pool = yield* Pool.make({ port: server.port, maxConnections: 1 })
      yield* pool.use((connection) => connection.delete(id(1)))
      yield* has(pool, { idle: 0, lost: 1 })
      yield* pool.use((connection) => connection.delete(id(2)))
      yield* server.done
      assert.strictEqual(server.connections(), 2)
    }))
})

describe("a pool", () => {
  it.live("dials nobody before it is asked, and never has more than maxConnections", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const pool = yield* Pool.make({ port: server.port, maxConnections: 3 })
      assert.strictEqual(server.connections(), 0)
      const answers = yield* Effect.forEach(Array.from({ length: 200 }), () => ask(pool), { concurrency: "unbounded" })
      assert.deepStrictEqual(new Set(answers), new Set(["default"]))
      assert.strictEqual(server.connections(), 3)
      assert.deepInclude(yield* pool.stats, { idle: 3, used: 0, waiting: 0, opened: 3, lost: 0 })
    }))

  it.live("keeps minConnections open from the beginning", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const pool = yield* Pool.make({ port: server.port, minConnections: 2, maxConnections: 3 })
      yield* has(pool, { idle: 2, used: 0 })
    }))

  it.effect("has its only one of minConnections again after dials have failed", () =>
    Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      const pool = yield* Pool.make({ dialer, minConnections: 1 })
      yield* TestClock.adjust("1 second")
      yield* has(pool, { idle: 1 })
      yield* set("away")
      yield* TestClock.adjust("10 seconds")
      yield* has(pool, { idle: 0 })
      yield* set("there")
      yield* TestClock.adjust("1 minute")
      yield* has(pool, { idle: 1 })
    }).pipe(silently))

  it.live("lends what it has, while it waits for more to keep minConnections", () =>
    Effect.gen(function*() {
      const { clientOptions: { dialer } } = yield* Server.makeMemory()
      assert.isDefined(dialer)
      const latch = yield* Latch.make()
      let dials = 0
      const slow = {
        ...dialer,
        open: (handlers: Handlers) =>
          Effect.andThen(latch.await.pipe(Effect.when(Effect.sync(() => ++dials > 1))), dialer.open(handlers))
      }
      const pool = yield* Pool.make({ dialer: slow, minConnections: 3, maxConnections: 3 })
      yield* has(pool, { idle: 0, used: 1 })
      assert.strictEqual(yield* ask(pool), "default")
      yield* latch.open
      yield* has(pool, { idle: 3, used: 0 })
    }))

  it.effect("does not dial faster than the Schedule says, however many connections it wants, while the server closes them", () =>
    Effect.gen(function*() {
      let dials = 0
      const dialer: Dialer = {
        server: "closed",
        open: (handlers) => {
          const close = Effect.sync(() => handlers.onClose(new Errors.ConnectionClosed({ detail: "it was closed" })))
          dials++
          return Effect.sleep("50 millis").pipe(
            Effect.andThen(close),
            Effect.forkDetach,
            Effect.as({ write: () => true, destroy: () => {} })
          )
        }
      }
      yield* Pool.make({ dialer, minConnections: 10, reconnect: Schedule.exponential("50 millis") })
      for (let i = 0; i < 1000; i++) yield* TestClock.adjust("10 millis")
      assert.isAtLeast(dials, 15)
      assert.isAtMost(dials, 60, "it begins anew with the shortest pause, again and again")
    }))

  it.live("serves borrowers in the order in which they asked, whoever gives up meanwhile", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const pool = yield* Pool.make({ port: server.port, maxConnections: 1 })
      const first = yield* borrow(pool)
      yield* hears(server, asking)
      const served: Array<number> = []
      const borrowers = yield* Effect.forEach(
        Array.from({ length: 60 }, (_, n) => n),
        (n) =>
          start(pool.use(() =>
            Effect.sync(() => {
              served.push(n)
            })
          ))
      )
      yield* has(pool, { waiting: 60 })
      yield* Effect.forEach(borrowers.filter((_, n) => n % 3 === 1), Fiber.interrupt)
      yield* has(pool, { waiting: 40 })
      yield* first.end
      yield* Effect.forEach(borrowers, Fiber.await)
      assert.deepStrictEqual(served, Array.from({ length: 60 }, (_, n) => n).filter((n) => n % 3 !== 1))
    }))

  it.live("tells how many connections are idle, used, opened and lost, and how many borrowers wait", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const pool = yield* Pool.make({ port: server.port, maxConnections: 1 })
      const none: Pool.Stats = { idle: 0, used: 0, waiting: 0, opened: 0, lost: 0, shared: false }
      assert.deepStrictEqual(yield* pool.stats, none)
      const first = yield* borrow(pool)
      yield* hears(server, asking)
      const second = yield* borrow(pool)
      yield* has(pool, { ...none, used: 1, waiting: 1, opened: 1 })
      yield* first.end
      yield* second.end
      yield* has(pool, { ...none, idle: 1, opened: 1 })
      yield* internals(pool).shared.connect
      yield* has(pool, { ...none, idle: 1, opened: 2, shared: true })
      for (const socket of server.sockets) socket.destroy()
      yield* has(pool, { idle: 0, lost: 2 })
    }))

  const wrong: ReadonlyArray<readonly [argument: keyof Client.Options, value: unknown]> = [
    ["maxConnections", 0],
    ["maxConnections", 1.5],
    ["minConnections", -1],
    ["idleTimeout", -1],
    // With 0 the pool would look for idle connections without a pause.
    ["idleTimeout", 0],
    ["acquireTimeout", NaN],
    ["commandTimeout", "soon"]
  ]
  it.live.each(wrong)("refuses the option %s: %s, and names it", ([argument, value]) =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const options: Client.Options = { port: server.port, [argument]: value }
      const all: Record<string, Effect.Effect<unknown, Errors.BeanstalkdError, Scope.Scope>> = {
        "Pool.make": Pool.make(options),
        "Pool.layer": Layer.build(Pool.layer(options)),
        "Client.make": Client.make(options)
      }
      for (const [operation, make] of Object.entries(all)) {
        const error = isFailure(yield* Effect.flip(Effect.scoped(make)), { reason: "InvalidOptions", sent: false })
        assert.isFalse(error.isRetryable)
        assert.deepInclude<object>(error.reason, { operation, argument })
      }
      assert.strictEqual(server.connections(), 0)
    }))
})

describe("a borrower", () => {
  it.effect("waits acquireTimeout, and then fails without having taken anything", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const pool = yield* Pool.make({ port: server.port, maxConnections: 1, acquireTimeout: "3 seconds" })
      const first = yield* borrow(pool)
      yield* hears(server, asking)
      const second = yield* start(Effect.scoped(pool.get))
      yield* has(pool, { waiting: 1 })
      yield* TestClock.adjust(2999)
      assert.isUndefined(second.pollUnsafe())
      yield* TestClock.adjust(1)
      const error = isFailure(yield* errorOf(second), { reason: "AcquireTimeout", sent: false })
      assert.deepInclude(error.reason, { timeoutMillis: 3000 })
      assert.isTrue(error.isRetryable)
      yield* first.end
      yield* has(pool, { idle: 1, used: 0, waiting: 0 })
      assert.strictEqual(yield* ask(pool), "default")
    }))

  it.live("gets a new connection at once when another one dies, even if that is still lent", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const pool = yield* Pool.make({ port: server.port, maxConnections: 1 })
      const first = yield* borrow(pool)
      yield* hears(server, asking)
      const second = yield* start(ask(pool))
      yield* has(pool, { waiting: 1 })
      server.sockets[0]!.destroy()
      assert.strictEqual(yield* Fiber.join(second), "default")
      assert.isUndefined(first.fiber.pollUnsafe())
      yield* first.end
      yield* has(pool, { idle: 1, used: 0, opened: 2, lost: 1 })
    }))

  it.live("whose connection dies has it replaced once, also if the server closes whatever is dialed", () =>
    Effect.gen(function*() {
      const proxy = { isGood: true }
      const server = yield* FakeServer.serve((socket) => {
        if (proxy.isGood) socket.on("data", () => socket.write("USING default\r\n"))
        else socket.destroy()
      })
      const pool = yield* Pool.make({ port: server.port, maxConnections: 5, reconnect: Schedule.spaced("1 minute") })
      yield* Effect.forEach(Array.from({ length: 5 }), () => borrow(pool))
      yield* has(pool, { used: 5 })
      proxy.isGood = false
      for (const socket of server.sockets) socket.destroy()
      yield* eventually(Effect.map(pool.stats, ({ lost }) => assert.isAtLeast(lost, 5)))
      // Nothing more must happen, and there is no condition to wait for.
      yield* RealTime.sleep("100 millis")
      assert.isAtMost(server.connections(), 10)
    }))

  const leaves: Record<string, (connection: Connection.Service) => Effect.Effect<unknown, unknown>> = {
    "a command that is not answered": (connection) => connection.stats,
    "a reserve that waits": (connection) => connection.reserveWithTimeout(),
    "a reserve that waits forever": (connection) => connection.reserve
  }
  it.live.each(Object.entries(leaves))(
    "that leaves %s on its connection ends it, and the next gets another",
    ([, leave]) =>
      Effect.gen(function*() {
        const server = yield* FakeServer.silent()
        const pool = yield* Pool.make({ port: server.port, maxConnections: 1 })
        yield* pool.use(Effect.fnUntraced(function*(connection) {
          yield* start(Effect.ignore(leave(connection)))
          yield* eventually(Effect.sync(() => assert.match(server.received(), /\r\n$/)))
        }))
        yield* seesClose(server)
        yield* Effect.scoped(pool.get)
        assert.strictEqual(server.connections(), 2)
        assert.deepInclude(yield* pool.stats, { idle: 1, used: 0 })
      })
  )

  it.live("that is interrupted while its connection is dialed leaves that connection to the next", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.make([{ expect: "use jobs\r\n" }, { sleepMs: 20 }, { reply: "USING jobs\r\n" }])
      const pool = yield* Pool.make({ port: server.port, maxConnections: 1, use: "jobs" })
      const first = yield* start(Effect.scoped(pool.get))
      yield* hears(server, "use jobs\r\n")
      yield* Fiber.interrupt(first)
      yield* Effect.scoped(pool.get)
      assert.strictEqual(server.connections(), 1)
      assert.deepInclude(yield* pool.stats, { idle: 1, used: 0, waiting: 0 })
    }))
})

describe("a connection that idles", () => {
  it.effect("is closed after idleTimeout, down to minConnections", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const options = { minConnections: 1, maxConnections: 4, idleTimeout: "1 minute" } as const
      const pool = yield* Pool.make({ port: server.port, ...options })
      yield* Effect.all(Array.from({ length: 4 }, () => ask(pool)), { concurrency: "unbounded" })
      yield* has(pool, { idle: 4 })
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual((yield* pool.stats).idle, 4)
      // The pool looks once a minute, so it finds a connection that came back in between after two minutes at most.
      yield* TestClock.adjust("61 seconds")
      yield* has(pool, { idle: 1, lost: 0 })
      yield* eventually(Effect.sync(() => assert.strictEqual(openSockets(server), 1)))
      assert.strictEqual(yield* ask(pool), "default")
    }))
})

describe("a server that cannot be reached", () => {
  /** Accepts connections and closes them, until it is told to be good. */
  const moody = Effect.gen(function*() {
    const mood = { good: false }
    const server = yield* FakeServer.serve((socket) => {
      if (mood.good) socket.on("data", () => socket.write("USING jobs\r\n"))
      else socket.destroy()
    })
    return { server, mood }
  })

  const make = Effect.gen(function*() {
    const { mood, server } = yield* moody
    let failures = 0
    const pool = yield* Pool.make({
      port: server.port,
      // With a tube to use, a connection is open only when that has been answered.
      use: "jobs",
      commandTimeout: "10 seconds",
      reconnect: Schedule.spaced("3 seconds").pipe(Schedule.tap(() => Effect.sync(() => failures++)))
    })
    const hasFailed = (times: number) =>
      eventually(Effect.sync(() => assert.deepStrictEqual([failures, server.connections()], [times, times])))
    return { mood, pool, hasFailed }
  })

  it.effect("is dialed again as the Schedule says, and the borrower fails within the command timeout", () =>
    Effect.gen(function*() {
      const { hasFailed, pool } = yield* make
      const borrower = yield* start(Effect.scoped(pool.get))
      for (const times of [1, 2, 3]) {
        yield* hasFailed(times)
        yield* TestClock.adjust(2999)
        yield* hasFailed(times)
        yield* TestClock.adjust(1)
      }
      yield* hasFailed(4)
      yield* TestClock.adjust("1 second")
      const exit = borrower.pollUnsafe()
      assert.isDefined(exit, "ten seconds have passed")
      isFailure(yield* Effect.flip(exit), { reason: "ConnectionClosed", sent: false })
      assert.deepInclude(yield* pool.stats, { idle: 0, used: 0, waiting: 0 })
    }))

  it.effect("does not fail a borrower that waits until it is back", () =>
    Effect.gen(function*() {
      const { hasFailed, mood, pool } = yield* make
      const borrower = yield* start(ask(pool))
      yield* hasFailed(1)
      mood.good = true
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* Fiber.join(borrower), "jobs")
    }))

  it.effect("is not dialed with options that are wrong", () =>
    Effect.gen(function*() {
      const error = yield* fails(Effect.scoped(Pool.make({ port: 0 })), { reason: "InvalidOptions", sent: false })
      assert.isFalse(error.isRetryable)
      assert.deepInclude<object>(error.reason, { argument: "port" })
    }))
})

describe("closing a pool", () => {
  it.live("fails those who wait, ends those at work, and leaves no connection", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const { close, pool } = yield* closeable({ port: server.port, maxConnections: 1 })
      yield* internals(pool).shared.connect
      const atWork = yield* start(ask(pool))
      yield* hears(server, asking, 1)
      const waiting = yield* Effect.forEach(Array.from({ length: 3 }), () => start(Effect.scoped(pool.get)))
      yield* has(pool, { used: 1, waiting: 3 })
      yield* close
      isFailure(yield* errorOf(atWork), { reason: "ConnectionClosed", sent: true, command: "list-tube-used" })
      for (const fiber of waiting) isFailure(yield* errorOf(fiber), { reason: "ConnectionClosed", sent: false })
      yield* fails(Effect.scoped(pool.get), { reason: "ConnectionClosed", sent: false })
      yield* eventually(Effect.sync(() => assert.strictEqual(openSockets(server), 0)))
      assert.strictEqual(server.connections(), 2)
    }))

  it.live("sends nothing for a borrower that comes back while the other connections are being closed", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const { close, pool } = yield* closeable({ ...server.clientOptions, maxConnections: 2 })
      const waiting = yield* Latch.make()
      const borrower = yield* start(
        pool.use((connection) => Effect.andThen(waiting.open, Effect.ignore(connection.reserve))).pipe(
          Effect.andThen(pool.use((connection) => connection.put("x")))
        )
      )
      yield* waiting.await
      yield* server.awaitReservers("default")
      // The second connection is idle when the first is closed.
      yield* ask(pool)
      assert.deepInclude(yield* pool.stats, { idle: 1, used: 1 })
      yield* close
      isFailure(yield* errorOf(borrower), { reason: "ConnectionClosed", sent: false, command: "connect" })
      const { totalJobs } = yield* Effect.scoped(
        Effect.flatMap(Client.make(server.clientOptions), ({ stats }) => stats)
      )
      assert.strictEqual(totalJobs, 0)
    }))

  it.live("fails those who wait for a connection that is being dialed", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const { close, pool } = yield* closeable({ port: server.port, use: "jobs" })
      const waiting = yield* start(Effect.scoped(pool.get))
      yield* hears(server, "use jobs\r\n")
      yield* close
      isFailure(yield* errorOf(waiting), { reason: "ConnectionClosed", sent: false })
      yield* seesClose(server)
      assert.strictEqual(server.connections(), 1)
    }))

  it.live("does not wait for a borrower that keeps its connection: that is closed all the same", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const borrowers = yield* Scope.make()
      const { close, pool } = yield* closeable({ port: server.port })
      const connection = yield* Scope.provide(pool.get, borrowers)
      const closing = yield* Effect.forkDetach(close, { startImmediately: true })
      yield* eventually(Effect.sync(() => assert.isDefined(closing.pollUnsafe(), "it is still closing")), {
        within: "1 second"
      }).pipe(
        Effect.andThen(Effect.map(connection.closed, (closed) => assert.isTrue(closed))),
        Effect.ensuring(Scope.close(borrowers, Exit.void))
      )
    }))
})

describe("10,000 connections killed at random under load", () => {
  const ROUNDS = 10
  const KILLS_A_ROUND = 1_000

  it.live("leave a pool within its bounds, no connection leaked, and nobody waiting", () =>
    Effect.gen(function*() {
      const path = join(yield* tempDir, "s")
      const open = new Set<Net.Socket>()
      let kills = 0
      let goal = 0
      let most = 0
      const isOver = () => kills === goal
      const kill = (socket: Net.Socket) => {
        if (isOver() || !open.delete(socket)) return
        kills++
        socket.destroy()
      }
      // Not a FakeServer, which remembers every connection.
      const server = Net.createServer((socket) => {
        most = Math.max(most, open.add(socket).size)
        socket.on("error", () => {})
        socket.on("close", () => open.delete(socket))
        socket.on("data", () => {
          const chance = Math.random()
          // Before the reply, with it, or when the next borrower has the connection.
          if (chance < 0.3 && !isOver()) return kill(socket)
          socket.write("USING default\r\n")
          if (chance < 0.5) kill(socket)
          else if (chance < 0.6) setImmediate(kill, socket)
        })
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      yield* Effect.callback<void>((resume) => void server.listen(path, () => resume(Effect.void)))
      const pool = yield* Pool.make({
        path,
        maxConnections: 10,
        commandTimeout: "10 minutes",
        idleTimeout: "1 day",
        reconnect: Schedule.spaced("1 millis")
      })
      const answers = { good: 0, bad: 0 }
      const borrower = Effect.gen(function*() {
        while (!isOver()) {
          const exit = yield* Effect.exit(ask(pool))
          if (Exit.isSuccess(exit)) answers.good++
          else {
            assert.instanceOf(Cause.squash(exit.cause), Errors.BeanstalkdError)
            answers.bad++
          }
        }
        // No borrower waits forever.
        assert.strictEqual(yield* ask(pool), "default")
      })
      for (let round = 0; round < ROUNDS; round++) {
        goal += KILLS_A_ROUND
        yield* Effect.forEach(Array.from({ length: 50 }), () => borrower, { concurrency: "unbounded", discard: true })
        assert.deepInclude(yield* pool.stats, { used: 0, waiting: 0 })
        // Every connection that was ever opened is idle now, or known to be dead; and the server counts as many, as soon as
        // the last dial, for a borrower that has got another connection meanwhile, has come to its end.
        yield* eventually(Effect.map(pool.stats, ({ idle, lost, opened }) =>
          assert.deepStrictEqual([lost, opened - lost, open.size], [goal, idle, idle])))
        assert.isAtMost(most, 10)
      }
      assert.isAbove(Math.min(answers.good, answers.bad), 1_000)
      // Or it would take minutes: after a connection that was killed before its first reply the next dial waits.
    }).pipe(FastClock.fasterBy(50)), 120_000)
})
