/**
 * Large commands over slow links: bytes that leave are no silence, and bytes that do not leave are.
 */
import { assert, describe, it } from "@effect/vitest"
import { Client, Connection } from "effect-beanstalkd"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Dialer, Handlers } from "../../src/internal/connection/transport.ts"
import * as FakeServer from "../support/FakeServer.ts"
import * as FaultProxy from "../support/FaultProxy.ts"
import * as RealServer from "../support/RealServer.ts"
import * as RealTime from "../support/RealTime.ts"
import { connect, errorOf, isDead, isFailure, start } from "../support/scripted/Peer.ts"

const MB = 1_000_000

RealServer.describeReal("a put of 14 MB over a link of 4 MB per second", () => {
  it.live(
    "has the time that it takes, with a command timeout of 1.5 seconds, and so has what waits behind it",
    () =>
      Effect.gen(function*() {
        const server = yield* RealServer.make({ args: ["-z", `${100 * MB}`] })
        const proxy = yield* FaultProxy.make(server, { up: { rate: 4 * MB } })
        const client = yield* Client.make({ port: proxy.port, commandTimeout: "1500 millis" })
        const body = new Uint8Array(14 * MB).map((_, n) => n % 251)
        const began = yield* RealTime.now
        const large = yield* start(client.put("large", body))
        const small = yield* start(client.put("small", "x"))
        const { id } = yield* Fiber.join(large)
        assert.isAbove((yield* RealTime.now) - began, 3000)
        yield* Fiber.join(small)
        assert.strictEqual((yield* client.poolStats).lost, 0)
        const direct = yield* Client.make({ port: server.port })
        assert.isTrue(Buffer.from(body).equals((yield* direct.peek(id)).body))
      }),
    30_000
  )
})

describe("a peer that stops reading", () => {
  it.live("is found out after the command timeout, in the midst of a large put", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve((socket) => {
        let read = 0
        socket.on("data", (bytes: Buffer) => {
          read += bytes.length
          if (read > MB) socket.pause()
        })
      })
      const connection = yield* connect(server, { commandTimeout: "300 millis" })
      const began = yield* RealTime.now
      const putting = yield* start(connection.put(new Uint8Array(60 * MB)))
      isFailure(yield* errorOf(putting), { reason: "CommandTimeout", sent: true })
      const millis = (yield* RealTime.now) - began
      assert.isAtLeast(millis, 290)
      assert.isBelow(millis, 5000)
      assert.isTrue(yield* connection.closed)
    }))

  it.effect("is found out after the command timeout from the last part that left, not a moment sooner", () =>
    Effect.gen(function*() {
      const { connection, sent } = yield* slow()
      const putting = yield* start(connection.put(new Uint8Array(MB)))
      yield* TestClock.adjust(0)
      for (let n = 0; n < 10; n++) {
        yield* TestClock.adjust("9 seconds")
        assert.isUndefined(putting.pollUnsafe())
        sent(false)
      }
      yield* TestClock.adjust(9_999)
      assert.isUndefined(putting.pollUnsafe())
      yield* TestClock.adjust(1)
      isFailure(yield* errorOf(putting), { reason: "CommandTimeout", sent: true })
    }))

  it.effect("is given as long again after the last part, for what the operating system has of it", () =>
    Effect.gen(function*() {
      const { connection, say, sent } = yield* slow()
      const putting = yield* start(connection.put(new Uint8Array(MB)))
      const behind = yield* start(connection.listTubeUsed)
      yield* TestClock.adjust(0)
      sent(false)
      yield* TestClock.adjust("8 seconds")
      sent(true)
      yield* TestClock.adjust(17_999)
      assert.isUndefined(putting.pollUnsafe())
      say("INSERTED 1\r\n")
      assert.strictEqual(yield* Fiber.join(putting), 1)
      // The link is free by now, and the next command has the time that any other has.
      yield* TestClock.adjust(9_999)
      assert.isUndefined(behind.pollUnsafe())
      yield* TestClock.adjust(1)
      isFailure(yield* errorOf(behind), { reason: "CommandTimeout", sent: true })
    }))
})

/** A connection over a transport that tells what it sends when it is told to. */
const slow = Effect.fnUntraced(function*() {
  let handlers: Handlers | undefined
  const dialer: Dialer = {
    server: "slow",
    open: (given) =>
      Effect.sync(() => {
        handlers = given
        return { write: () => true, destroy: () => {} }
      })
  }
  const connection = yield* Connection.make({ dialer })
  return {
    connection,
    sent: (isLast: boolean) => handlers!.onSent!(isLast),
    say: (text: string) => handlers!.onData(Buffer.from(text))
  }
})

describe("large and small commands in any order", () => {
  it.live("arrive whole and in order", () =>
    Effect.gen(function*() {
      const sizes = [10, 200_000, 131_072, 131_073, 65_536, 1, 400_000, 3 * MB, 5]
      let received = 0
      const server = yield* FakeServer.serve((socket) => {
        socket.removeAllListeners("data")
        let text = ""
        socket.on("data", (bytes: Buffer) => {
          text += bytes.toString("latin1")
          for (;;) {
            const size = /^put 0 0 60 (\d+)\r\n/.exec(text)
            if (size === null) return
            const end = size[0].length + Number(size[1])
            if (text.length < end + 2) return
            assert.strictEqual(text.slice(size[0].length, end), String(received % 10).repeat(Number(size[1])))
            assert.strictEqual(text.slice(end, end + 2), "\r\n")
            text = text.slice(end + 2)
            socket.write(`INSERTED ${++received}\r\n`)
          }
        })
      })
      const connection = yield* connect(server)
      const ids = yield* Effect.forEach(
        [...sizes, ...sizes],
        (size, n) => connection.put(String(n % 10).repeat(size), { priority: 0, ttr: "1 minute" }),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(ids.map(Number), ids.map((_, n) => n + 1))
    }))

  it.live("are dropped with the connection, and nothing of them leaves later", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve((socket) => {
        socket.removeAllListeners("data")
        socket.once("data", () => socket.write("NONSENSE\r\n"))
      })
      const connection = yield* connect(server)
      isFailure(yield* Effect.flip(connection.put(new Uint8Array(60 * MB))), { reason: "UnexpectedReply", sent: true })
      yield* isDead(connection, server)
    }))
})
