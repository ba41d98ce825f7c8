/**
 * A connection holds no more than its bounds allow: commands on their way, unsent bytes, memory behind a body.
 */
import { assert, describe, it } from "@effect/vitest"
import { Connection } from "effect-beanstalkd"
import type { Dialer, Handlers } from "../../src/internal/connection/transport.ts"
import { Effect, Exit, Fiber, Scope } from "effect"
import { vi } from "vitest"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import * as RealTime from "../support/RealTime.ts"
import { id, rows, withBody } from "../support/scripted/Commands.ts"
import { commandsIn, placesOf } from "../support/scripted/Heard.ts"
import {
  connect,
  errorOf,
  hears,
  isAlive,
  isFailure,
  onSilent,
  put,
  putLine,
  says,
  start
} from "../support/scripted/Peer.ts"
import { watchWrites } from "./Writes.ts"

const KIB = 1024
const MIB = 1024 * KIB

describe("commands on their way", () => {
  /** Answers one command per tick, and keeps the largest number of commands that it ever had unanswered. */
  const slow = Effect.gen(function*() {
    let answered = 0
    let most = 0
    let bytes = ""
    const server = yield* FakeServer.serve((socket) => {
      const answer = () => {
        const commands = placesOf(commandsIn(bytes))
        most = Math.max(most, commands.length - answered)
        const next = commands[answered]
        if (next === undefined) return
        answered++
        socket.write(next.body === undefined ? `USING ${next.tube}\r\n` : `INSERTED ${next.body}\r\n`)
        setImmediate(answer)
      }
      socket.on("data", (piece: Buffer) => {
        bytes += piece.toString("latin1")
        answer()
      })
    })
    return { most: () => most, server }
  })

  const bodies = Array.from({ length: 100 }, (_, n) => String(n + 1))

  it.live.each([1, 2, 4])(
    "are never more than %d, and the next follow the answers in order",
    (maxUnanswered) =>
      Effect.gen(function*() {
        const { most, server } = yield* slow
        const connection = yield* connect(server, { maxUnanswered })
        const ids = yield* Effect.forEach(bodies, (body) => put(connection, body), { concurrency: "unbounded" })
        assert.deepStrictEqual(ids.map(String), bodies)
        assert.deepStrictEqual(commandsIn(server.received()).map(({ body }) => body), bodies)
        assert.strictEqual(most(), maxUnanswered)
      })
  )

  it.live.each([1, 2, 3, 4])(
    "are never more than %d, the `use` of a put counted too",
    (maxUnanswered) =>
      Effect.gen(function*() {
        const { most, server } = yield* slow
        const connection = yield* connect(server, { maxUnanswered })
        const into = (body: string) => put(connection, body, Number(body) % 3 === 0 ? "a" : "b")
        const ids = yield* Effect.forEach(bodies, into, { concurrency: "unbounded" })
        assert.deepStrictEqual(ids.map(String), bodies)
        assert.isAtMost(most(), maxUnanswered)
      })
  )

  it.live("stay where they are while the server answers nothing", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent({ maxUnanswered: 4 })
      const fibers = yield* Effect.forEach(bodies, (body) => start(put(connection, body)))
      const heard = (n: number) => hears(server, bodies.slice(0, n).map(putLine).join(""))
      yield* heard(4)
      yield* says(server, "INSERTED 1\r\nINSERTED 2\r\n")
      yield* heard(6)
      yield* Fiber.joinAll(fibers.slice(0, 2))
      assert.isTrue(fibers.slice(2).every((fiber) => fiber.pollUnsafe() === undefined))
    }))

  it.live("do not keep those behind them waiting while there is room, answered or not", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      let sent = ""
      for (const group of [5, 1, 2, 1]) {
        yield* Effect.forEach(Array.from({ length: group }), () => start(connection.touch(id(7))))
        sent += rows.touch.sends.repeat(group)
        yield* hears(server, sent)
      }
    }))

  it.live("of one turn leave in one write", () =>
    Effect.gen(function*() {
      let pieces = 0
      const server = yield* FakeServer.serve((socket) => {
        socket.on("data", () => pieces++)
      })
      const connection = yield* connect(server)
      const writes = yield* watchWrites(server.port)
      const fibers = yield* Effect.forEach(bodies.slice(0, 64), (body) => start(put(connection, body)))
      yield* eventually(Effect.sync(() => assert.strictEqual(commandsIn(server.received()).length, 64)))
      assert.deepStrictEqual([...writes.sizes], [server.received().length])
      assert.strictEqual(pieces, 1)

      // So do commands that are issued when a piece with many replies has come.
      const next = yield* Effect.forEach(fibers, (fiber) =>
        start(Effect.andThen(Fiber.join(fiber), put(connection, "next"))))
      yield* says(
        server,
        bodies.slice(0, 64).map((body) =>
          `INSERTED ${body}\r\n`
        ).join("")
      )
      yield* eventually(Effect.sync(() => assert.strictEqual(commandsIn(server.received()).length, 128)))
      assert.strictEqual(writes.sizes.length, 2)
      yield* Fiber.interruptAll(next)
    }))
})

describe("bytes that a server does not read", () => {
  const body = new Uint8Array(64 * KIB)
  const count = 16 * MIB / body.length

  /** 16 MiB of puts at once, to a server that reads none of them. */
  const unread = Effect.fnUntraced(function*(options?: Connection.Options) {
    const server = yield* FakeServer.deaf()
    const writes = yield* watchWrites(server.port)
    const scope = yield* Scope.make()
    const connection = yield* Scope.provide(connect(server, options), scope)
    const fibers = yield* Effect.forEach(Array.from({ length: count }), () => start(connection.put(body)))
    // The buffers of the two kernels fill up, and nothing more is written.
    const written = () => writes.sizes.reduce((sum, size) => sum + size, 0)
    let before = -1
    yield* eventually(
      Effect.suspend(() => {
        const now = written()
        const stands = now > 0 && now === before
        before = now
        return stands ? Effect.void : Effect.fail("it still writes")
      }),
      { every: "50 millis" }
    )
    return { connection, fibers, scope, server, writes, written }
  })

  it.live("are kept by their commands, not in the socket", () =>
    Effect.gen(function*() {
      const { fibers, scope, writes, written } = yield* unread({ maxUnsentBytes: 256 * KIB })
      assert.isBelow(written(), 16 * MIB)
      assert.isAtMost(writes.mostUnsent(), 256 * KIB + body.length + KIB)
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.awaitAll(fibers)
    }))

  it.live("do not hold up the end: the Scope closes at once, and every command fails", () =>
    Effect.gen(function*() {
      const { connection, fibers, scope, written } = yield* unread()
      const began = yield* RealTime.now
      yield* Scope.close(scope, Exit.void)
      const errors = yield* Effect.forEach(fibers, errorOf)
      assert.isBelow((yield* RealTime.now) - began, 1000)
      const sent = Math.floor(written() / body.length)
      errors.forEach((error, n) => isFailure(error, { reason: "ConnectionClosed", sent: n < sent }))
      assert.isTrue(yield* connection.closed)
    }))

  it.live("go on when it reads again, all of them and in order", () =>
    Effect.gen(function*() {
      const { fibers, scope, server } = yield* unread()
      const [socket] = server.sockets
      let answered = 0
      let received = 0
      // Each put is its line, the body and CRLF. Other tests check its bytes.
      const size = "put 2147483648 0 120 65536\r\n".length + body.length + 2
      socket?.on("data", (piece: Buffer) => {
        received += piece.length
        const whole = Math.floor(received / size)
        socket.write(Array.from({ length: whole - answered }, (_, n) => `INSERTED ${answered + n + 1}\r\n`).join(""))
        answered = whole
      })
      socket?.resume()
      assert.deepStrictEqual(yield* Fiber.joinAll(fibers), fibers.map((_, n) => id(n + 1)))
      yield* Scope.close(scope, Exit.void)
    }))
})

describe("a body", () => {
  const ten = "0123456789"

  it.live("of 10 bytes that is kept holds 10 bytes", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const fibers = yield* Effect.forEach([1, 2, 3], (n) => start(connection.peek(id(n))))
      yield* hears(server, "peek 1\r\npeek 2\r\npeek 3\r\n")
      // The second reply lies in the middle of a large piece, the third in two pieces.
      yield* says(server, withBody("FOUND 1", "x".repeat(50_000)) + withBody("FOUND 2", ten) + "FOUND 3 10\r\n01234")
      yield* says(server, "56789\r\n")
      const [, second, third] = yield* Fiber.joinAll(fibers)
      for (const job of [second!, third!]) {
        assert.strictEqual(job.text, ten)
        assert.strictEqual(job.body.buffer.byteLength, 10)
      }
    }))

  it.live("is the receiver's own: what comes later does not change it", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const fiber = yield* start(connection.peek(id(1)))
      yield* hears(server, "peek 1\r\n")
      yield* says(server, withBody("FOUND 1", ten))
      const job = yield* Fiber.join(fiber)
      job.body[0] = 0x78
      yield* isAlive(connection, server)
      assert.strictEqual(job.text, `x${ten.slice(1)}`)
    }))

  it.live("of no bytes is one", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const fiber = yield* start(rows.peek.issue(connection))
      yield* hears(server, rows.peek.sends)
      yield* says(server, "FOUND 7 0\r\n\r\n")
      assert.deepStrictEqual((yield* Fiber.join(fiber)).body, new Uint8Array(0))
      yield* isAlive(connection, server)
    }))

  it.live("of every byte value comes back as it is, however it is cut", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const bytes = Uint8Array.from({ length: 1024 }, (_, n) => n)
      const text = Buffer.from(bytes).toString("latin1")
      const cuts = [1, 2, 3, 7, 14, 15, 16, 17, 500, 1039, 1040, 1041, 1042]
      for (const [n, cut] of cuts.entries()) {
        const fiber = yield* start(rows.peek.issue(connection))
        yield* hears(server, rows.peek.sends.repeat(n + 1))
        const reply = withBody("FOUND 7", text)
        yield* says(server, reply.slice(0, cut))
        yield* says(server, reply.slice(cut))
        assert.deepStrictEqual((yield* Fiber.join(fiber)).body, bytes)
      }
    }))
})

describe("what is written", () => {
  /** A connection whose writes are counted, in bytes, and answered by the test. */
  const open = Effect.fnUntraced(function*(options: Connection.Options = {}) {
    const sizes: Array<number> = []
    let handlers: Handlers | undefined
    const dialer: Dialer = {
      server: "counted",
      open: (own) =>
        Effect.sync(() => {
          handlers = own
          const write = (bytes: Uint8Array) => {
            sizes.push(bytes.length)
            return true
          }
          return { write, destroy: () => {} }
        })
    }
    const connection = yield* Connection.make({ ...options, dialer })
    return { connection, sizes, answer: (text: string) => handlers?.onData(Buffer.from(text)) }
  })

  /** How often a flush was asked for while this ran. */
  const flushesDuring = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
    const spy = vi.spyOn(globalThis, "queueMicrotask")
    const count = Effect.sync(() => spy.mock.calls.length)
    return yield* Effect.ensuring(Effect.andThen(effect, count), Effect.sync(() => spy.mockRestore()))
  })

  /** As bytes come: not while a fiber runs. */
  const fromOutside = (event: () => void) =>
    Effect.callback<void>((resume) => {
      setImmediate(() => {
        event()
        resume(Effect.void)
      })
    })

  const touches = (connection: Connection.Service, count: number) =>
    Effect.forEach(
      Array.from({ length: count }),
      () => Effect.forkDetach(connection.touch(id(1234)), { startImmediately: true })
    )

  it.live("at once is as many commands as reach maxUnsentBytes, their lines and their bodies counted", () =>
    Effect.gen(function*() {
      const { connection, sizes } = yield* open({ maxUnsentBytes: 100 })
      // Ten bytes, and the end of the line.
      yield* touches(connection, 25)
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(sizes, [120, 120, 60])))
      // Nine bytes and 41; where the body ends is told apart.
      sizes.length = 0
      yield* Effect.forEach(Array.from({ length: 5 }), () => start(put(connection, "x".repeat(41))))
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(sizes, [114, 114, 57])))
    }))

  it.live("in one turn is asked for once, and not at all where it follows from answers", () =>
    Effect.gen(function*() {
      const { answer, connection, sizes } = yield* open()
      const then = touches(connection, 10)
      const issued = yield* flushesDuring(
        Effect.forEach(Array.from({ length: 10 }), () => start(Effect.andThen(connection.touch(id(1234)), then)))
      )
      assert.strictEqual(issued, 1)
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(sizes, [120])))
      const followed = yield* flushesDuring(fromOutside(() => answer("TOUCHED\r\n".repeat(10))))
      assert.deepStrictEqual(sizes, [120, 1200])
      assert.strictEqual(followed, 0)
    }))
})
