/**
 * A server that says nothing: every wait ends, by Effect's clock, when its time is over and not a moment sooner.
 */
import { assert, describe, it } from "@effect/vitest"
import { Client, Connection, Errors } from "effect-beanstalkd"
import { Clock, type Duration, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Dialer, Handlers } from "../../src/internal/connection/transport.ts"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { freePort } from "../support/FreePort.ts"
import * as RealTime from "../support/RealTime.ts"
import { id, rows, table } from "../support/scripted/Commands.ts"
import {
  atOnce,
  connect,
  errorOf,
  fails,
  hears,
  isAlive,
  isDead,
  isFailure,
  onSilent,
  says,
  seesClose,
  socketOf,
  start
} from "../support/scripted/Peer.ts"

/** Not a millisecond before `millis` from now, and then at once. */
const endsAfter = Effect.fnUntraced(function*<A, E>(fiber: Fiber.Fiber<A, E>, millis: number) {
  yield* TestClock.adjust(millis - 1)
  assert.isUndefined(fiber.pollUnsafe(), `it ended before ${millis} ms`)
  yield* TestClock.adjust(1)
  assert.isDefined(fiber.pollUnsafe(), `it goes on after ${millis} ms`)
})

const timesOut = Effect.fnUntraced(function*<A, E>(fiber: Fiber.Fiber<A, E>, millis: number) {
  yield* endsAfter(fiber, millis)
  const error = isFailure(yield* errorOf(fiber), { reason: "CommandTimeout", sent: true })
  assert.isTrue(error.isRetryable)
  return error
})

describe("a server that never answers", () => {
  const finite = table.filter(({ name }) => name !== "reserve")

  it.effect.each(finite)(
    "ends $name by the command timeout, and the connection with it",
    ({ issue, sends }) =>
      Effect.gen(function*() {
        const { connection, server } = yield* onSilent()
        const fiber = yield* start(issue(connection))
        yield* hears(server, sends)
        const { command, message } = yield* timesOut(fiber, 10_000)
        assert.include(sends, command)
        assert.include(message, "10000 ms")
        yield* isDead(connection, server)
      })
  )

  it.effect("does not end a bare reserve, which has no deadline", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const fiber = yield* start(connection.reserve)
      yield* hears(server, rows.reserve.sends)
      yield* TestClock.adjust("10 days")
      assert.isUndefined(fiber.pollUnsafe())
      yield* says(server, rows.reserve.reply)
      assert.strictEqual((yield* Fiber.join(fiber)).text, "hello")
      yield* isAlive(connection, server)
    }))

  it.effect("ends the commands behind an answered reserve by the command timeout", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const reserve = yield* start(connection.reserve)
      const behind = yield* start(connection.delete(id(1)))
      yield* hears(server, "reserve\r\ndelete 1\r\n")
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(behind.pollUnsafe())
      yield* says(server, rows.reserve.reply)
      yield* Fiber.join(reserve)
      yield* timesOut(behind, 10_000)
    }))

  it.effect("ends every command that waits when the oldest runs out of time, and refuses the queued ones", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent({ maxUnanswered: 2, commandTimeout: "3 seconds" })
      const first = yield* start(connection.delete(id(1)))
      yield* hears(server, "delete 1\r\n")
      yield* TestClock.adjust("2 seconds")
      const second = yield* start(connection.delete(id(2)))
      const queued = yield* start(connection.delete(id(3)))
      yield* hears(server, "delete 1\r\ndelete 2\r\n")
      yield* timesOut(first, 1000)
      isFailure(yield* errorOf(second), { reason: "CommandTimeout", sent: true })
      const { reason } = isFailure(yield* errorOf(queued), { reason: "ConnectionClosed", sent: false })
      assert.instanceOf(reason.cause, Errors.CommandTimeout)
      yield* isDead(connection, server)
    }))

  it.effect("costs an idle connection nothing, however long it is silent", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      yield* TestClock.adjust("1 day")
      yield* isAlive(connection, server)
      yield* TestClock.adjust("1 day")
      yield* isAlive(connection, server)
      // The time counts from the command, not from the last reply of the server.
      yield* TestClock.adjust("9 seconds")
      const fiber = yield* start(connection.delete(id(1)))
      yield* timesOut(fiber, 10_000)
    }))

  it.effect("is waited for without end by choice", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent({ commandTimeout: "Infinity" })
      const fiber = yield* start(connection.listTubeUsed)
      yield* hears(server, rows.listTubeUsed.sends)
      yield* TestClock.adjust("1000 days")
      assert.isUndefined(fiber.pollUnsafe())
    }))
})

describe("a server that answers in time", () => {
  it.effect("is never cut off, however often it does so just in time", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      for (let n = 1; n <= 20; n++) {
        const fiber = yield* start(connection.touch(id(7)))
        yield* hears(server, rows.touch.sends.repeat(n))
        yield* TestClock.adjust(9_999)
        yield* says(server, rows.touch.reply)
        yield* Fiber.join(fiber)
      }
    }))

  it.effect("has the whole time again for the next command with every reply", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const fibers = yield* Effect.forEach([1, 2, 3, 4], () => start(connection.touch(id(7))))
      yield* hears(server, rows.touch.sends.repeat(4))
      for (const fiber of fibers.slice(0, 3)) {
        yield* TestClock.adjust(9_999)
        yield* says(server, rows.touch.reply)
        yield* Fiber.join(fiber)
      }
      yield* timesOut(fibers[3]!, 10_000)
    }))

  it.live("is not cut off because this process was too busy to read", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve((socket) => {
        socket.on("data", () => {
          socket.write("USING default\r\n")
          // This blocks the client's event loop too: the reply has come, but no code can run to read it.
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400)
        })
      })
      const connection = yield* connect(server, { commandTimeout: "300 millis" })
      assert.strictEqual(yield* connection.listTubeUsed, "default")
      assert.isFalse(yield* connection.closed)
    }))

  it.effect("is not cut off while a large body comes slowly, and is when it comes no more", () =>
    Effect.gen(function*() {
      let say: Handlers["onData"] = () => {}
      const dialer: Dialer = {
        server: "slow",
        open: (handlers) =>
          Effect.sync(() => {
            say = (bytes) => handlers.onData(bytes)
            return { write: () => true, destroy: () => {} }
          })
      }
      const connection = yield* Connection.make({ dialer })
      const peek = yield* start(connection.peek(id(1)))
      say(Buffer.from("FOUND 1 400000\r\n"))
      for (let i = 0; i < 5; i++) {
        yield* TestClock.adjust("9 seconds")
        say(Buffer.alloc(66_000))
        assert.isUndefined(peek.pollUnsafe())
      }
      yield* TestClock.adjust("9 seconds")
      say(Buffer.alloc(1000))
      yield* timesOut(peek, 1000)
    }))

  it.effect.each([[64 * 1024, 19_000], [64 * 1024 - 1, 10_000]] as const)(
    "has its time anew with 64 KiB, and not before: with %d bytes it ends after %d milliseconds",
    ([bytes, millis]) =>
      Effect.gen(function*() {
        let say: Handlers["onData"] = () => {}
        const dialer: Dialer = {
          server: "slow",
          open: (handlers) =>
            Effect.sync(() => {
              say = (bytes) => handlers.onData(bytes)
              return { write: () => true, destroy: () => {} }
            })
        }
        const connection = yield* Connection.make({ dialer })
        const peek = yield* start(connection.peek(id(1)))
        // Bytes that come before the command has left are no part of its reply.
        yield* TestClock.adjust(0)
        const head = Buffer.from("FOUND 1 400000\r\n")
        say(head)
        yield* TestClock.adjust("9 seconds")
        say(Buffer.alloc(bytes - head.length))
        yield* timesOut(peek, millis - 9000)
      })
  )

  it.live("is cut off when it trickles a body past the deadline", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent({ commandTimeout: "150 millis" })
      const peek = yield* start(connection.peek(id(1)))
      yield* hears(server, "peek 1\r\n")
      yield* says(server, "FOUND 1 1000000\r\n")
      const trickle = yield* start(Effect.forever(Effect.andThen(says(server, "x"), Effect.sleep("5 millis"))))
      const began = yield* RealTime.now
      isFailure(yield* errorOf(peek), { reason: "CommandTimeout", sent: true })
      assert.isAtLeast((yield* RealTime.now) - began, 100)
      yield* Fiber.interrupt(trickle)
      yield* isDead(connection, server)
    }))
})

describe("a wait for a job", () => {
  const wait = (seconds: number) => `reserve-with-timeout ${seconds}\r\n`

  /** Lets this time pass, answers TIMED_OUT, and hears the next slice. */
  const slice = Effect.fnUntraced(function*(server: FakeServer.Serving, seconds: number, next: string) {
    const before = server.received()
    yield* TestClock.adjust(seconds * 1000)
    yield* says(server, "TIMED_OUT\r\n")
    yield* hears(server, before + next)
  })

  it.effect("goes out in slices of 30 seconds, and TimedOut tells the whole", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const fiber = yield* start(connection.reserveWithTimeout("75 seconds"))
      yield* hears(server, wait(30))
      yield* slice(server, 30, wait(30))
      yield* slice(server, 30, wait(15))
      yield* slice(server, 15, "")
      const error = yield* errorOf(fiber)
      assert.instanceOf(error, Errors.TimedOut)
      assert.strictEqual(error.timeoutSeconds, 75)
      yield* isAlive(connection, server)
    }))

  it.effect.each([0, 1, 29, 30])("of %d seconds is one slice", (seconds) =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const fiber = yield* start(connection.reserveWithTimeout(seconds * 1000))
      yield* hears(server, wait(seconds))
      yield* slice(server, seconds, "")
      const error = yield* errorOf(fiber)
      assert.instanceOf(error, Errors.TimedOut)
      assert.strictEqual(error.timeoutSeconds, seconds)
      yield* isAlive(connection, server)
    }))

  const endless = [
    { name: "without a timeout", timeout: undefined },
    { name: "with an infinite timeout", timeout: "Infinity" as const }
  ]
  it.effect.each(endless)("$name is repeated for ever, until a job comes", ({ timeout }) =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const fiber = yield* start(connection.reserveWithTimeout(timeout))
      yield* hears(server, wait(30))
      for (let n = 0; n < 20; n++) yield* slice(server, 30, wait(30))
      assert.isUndefined(fiber.pollUnsafe())
      yield* says(server, rows.reserve.reply)
      assert.strictEqual((yield* Fiber.join(fiber)).text, "hello")
      yield* isAlive(connection, server)
    }))

  it.effect("ends with DEADLINE_SOON in whatever slice it comes", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const fiber = yield* start(connection.reserveWithTimeout("1 hour"))
      yield* hears(server, wait(30))
      yield* slice(server, 30, wait(30))
      yield* says(server, "DEADLINE_SOON\r\n")
      assert.instanceOf(yield* errorOf(fiber), Errors.DeadlineSoon)
      yield* isAlive(connection, server)
    }))

  it.effect("fails when a slice is not answered: 30 seconds and the command timeout", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const fiber = yield* start(connection.reserveWithTimeout("1 hour"))
      yield* hears(server, wait(30))
      yield* timesOut(fiber, 40_000)
      yield* isDead(connection, server)
    }))

  it.effect("has that time again in its second slice", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const fiber = yield* start(connection.reserveWithTimeout("1 minute"))
      yield* hears(server, wait(30))
      // Late, but not too late.
      yield* TestClock.adjust("39 seconds")
      yield* slice(server, 0, wait(30))
      yield* timesOut(fiber, 40_000)
    }))

  it.effect("gives the commands behind it their own time once it has ended", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const reserve = yield* start(connection.reserveWithTimeout("20 seconds"))
      const behind = yield* start(connection.touch(id(7)))
      yield* hears(server, wait(20) + rows.touch.sends)
      yield* TestClock.adjust("29 seconds")
      assert.isUndefined(behind.pollUnsafe())
      yield* says(server, "TIMED_OUT\r\n")
      assert.instanceOf(yield* errorOf(reserve), Errors.TimedOut)
      yield* timesOut(behind, 10_000)
    }))
})

describe("opening", () => {
  it.effect("ends with OpenTimeout when the TLS handshake is not answered", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const fiber = yield* start(connect(server, { tls: true, connectTimeout: "2 seconds" }))
      yield* socketOf(server)
      yield* endsAfter(fiber, 2000)
      const error = isFailure(yield* errorOf(fiber), { reason: "OpenTimeout", sent: false, command: "connect" })
      assert.isTrue(error.isRetryable)
      assert.include(error.message, "2000 ms")
      assert.include(error.message, `127.0.0.1:${server.port}`)
    }))

  it.effect("takes 5 seconds at most unless told", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const fiber = yield* start(connect(server, { tls: true }))
      yield* socketOf(server)
      yield* endsAfter(fiber, 5000)
      isFailure(yield* errorOf(fiber), { reason: "OpenTimeout", sent: false })
    }))

  it.effect("is not over before the tubes are chosen, for which the server has the command timeout", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const fiber = yield* start(connect(server, { use: "jobs" }))
      yield* hears(server, "use jobs\r\n")
      yield* endsAfter(fiber, 10_000)
      isFailure(yield* errorOf(fiber), { reason: "CommandTimeout", sent: false, command: "connect" })
    }))

  it.live("fails when nobody listens, and names the address", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const error = yield* fails(Connection.make({ port }), { reason: "OpenError", sent: false, command: "connect" })
      assert.isTrue(error.isRetryable)
      assert.strictEqual(error.server, `127.0.0.1:${port}`)
      assert.include(error.message, `127.0.0.1:${port}`)
    }))

  it.live("fails when there is no such host, and names it", () =>
    Effect.gen(function*() {
      const host = "no-such-host.invalid"
      const error = yield* fails(Connection.make({ host }), { reason: "OpenError", sent: false, command: "connect" })
      assert.isTrue(error.isRetryable)
      assert.include(error.message, `${host}:11300`)
    }))

  const senseless: ReadonlyArray<{ readonly options: object; readonly argument: string }> = [
    { options: { port: 70_000 }, argument: "port" },
    { options: { port: 0 }, argument: "port" },
    { options: { port: "x" }, argument: "port" },
    { options: { port: Number.NaN }, argument: "port" },
    { options: { host: "" }, argument: "host" },
    { options: { path: "" }, argument: "path" },
    { options: { connectTimeout: -1 }, argument: "connectTimeout" },
    { options: { connectTimeout: "soon" }, argument: "connectTimeout" },
    { options: { keepAlive: -1 }, argument: "keepAlive" },
    { options: { keepAlive: null }, argument: "keepAlive" },
    { options: { keepAlive: "yes" }, argument: "keepAlive" },
    { options: { tls: null }, argument: "tls" },
    { options: { tls: "true" }, argument: "tls" },
    { options: { tls: [] }, argument: "tls" },
    { options: { commandTimeout: -1 }, argument: "commandTimeout" },
    { options: { commandTimeout: Number.NaN }, argument: "commandTimeout" },
    { options: { maxReplySize: 0 }, argument: "maxReplySize" },
    { options: { maxReplySize: 1.5 }, argument: "maxReplySize" },
    { options: { maxUnanswered: 0 }, argument: "maxUnanswered" },
    { options: { maxUnsentBytes: -1 }, argument: "maxUnsentBytes" },
    { options: { use: "bad name" }, argument: "use" },
    { options: { watch: "-bad" }, argument: "watch" },
    { options: { watch: ["good", "bad name"] }, argument: "watch" }
  ]
  it.live.each(senseless)(
    "refuses $options without dialling: they don't get better by trying",
    (senseless) =>
      Effect.gen(function*() {
        // No server listens there, and the error does not mention it.
        const port = yield* freePort
        const opening = atOnce(Connection.make({ port, ...senseless.options }))
        const error = yield* fails(opening, { reason: "InvalidOptions", sent: false })
        assert.isFalse(error.isRetryable)
        assert(error.reason._tag === "InvalidOptions")
        assert.strictEqual(error.reason.argument, senseless.argument)
        // The message names the function that was called, and no server.
        assert.isTrue(error.message.startsWith(`Connection.make: ${senseless.argument} must be `), error.message)
      })
  )

  it.live("refuses a list of tubes that cannot be read", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const { proxy: watch, revoke } = Proxy.revocable(["a"], {})
      revoke()
      for (const opening of [Connection.make({ port, watch }), Client.make({ port, watch })]) {
        const { reason } = yield* Effect.flip(Effect.scoped<unknown, Errors.BeanstalkdError, Scope.Scope>(opening))
        assert.instanceOf(reason, Errors.InvalidOptions)
        assert.strictEqual(reason.argument, "watch")
      }
    }))

  it.live("leaves no socket behind when it fails", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve((socket) => {
        socket.on("data", () => socket.write("FOO\r\n"))
      })
      yield* fails(connect(server, { use: "jobs" }), { reason: "UnexpectedReply", sent: false, command: "connect" })
      yield* seesClose(server)
    }))
})

describe("the timers of a connection", () => {
  /** Runs it on the current clock, and counts who sleeps. */
  const countSleepers = Effect.fnUntraced(function*(onSleep: () => void = () => {}) {
    const clock = yield* Clock.Clock
    const sleepers = { count: 0 }
    const sleep = (duration: Duration.Duration) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          sleepers.count++
          onSleep()
        }),
        () => clock.sleep(duration),
        () => Effect.sync(() => sleepers.count--)
      )
    const counting: Clock.Clock = Object.assign(Object.create(clock), { sleep })
    return { sleepers, counted: Effect.provideService(Clock.Clock, counting) }
  })

  it.effect("are one, however often its deadline comes nearer, and none when it has ended", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const { counted, sleepers } = yield* countSleepers()
      const scope = yield* Scope.make()
      const connection = yield* connect(server).pipe(Scope.provide(scope), counted)
      assert.strictEqual(sleepers.count, 0)
      // Of 40 seconds, of 39, and so on, and of 10.
      let heard = ""
      for (const seconds of [30, 29, 20, 1]) {
        const waiting = yield* start(connection.reserveWithTimeout(`${seconds} seconds`))
        heard += `reserve-with-timeout ${seconds}\r\n`
        yield* hears(server, heard)
        assert.strictEqual(sleepers.count, 1)
        yield* says(server, "TIMED_OUT\r\n")
        assert.propertyVal(yield* errorOf(waiting), "_tag", "TimedOut")
      }
      const last = yield* start(connection.stats)
      yield* hears(server, `${heard}stats\r\n`)
      assert.strictEqual(sleepers.count, 1)
      yield* Scope.close(scope, Exit.void)
      isFailure(yield* errorOf(last), { reason: "ConnectionClosed", sent: true })
      yield* eventually(Effect.sync(() => assert.strictEqual(sleepers.count, 0)))
    }))

  it.effect("are none when it has ended in the moment in which one was set", () =>
    Effect.gen(function*() {
      let close = () => {}
      const { counted, sleepers } = yield* countSleepers(() => close())
      const dialer: Dialer = {
        server: "here",
        open: (handlers) => {
          close = () => handlers.onClose(new Errors.ConnectionClosed({ detail: "it was closed" }))
          return Effect.succeed({ write: () => true, destroy: () => {} })
        }
      }
      const connection = yield* counted(Connection.make({ dialer }))
      isFailure(yield* Effect.flip(connection.stats), { reason: "ConnectionClosed", sent: true })
      yield* eventually(Effect.sync(() => assert.strictEqual(sleepers.count, 0)))
    }))
})
