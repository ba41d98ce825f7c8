/**
 * A connection dies once, of the first fatal event, and every command on it learns its fate at once.
 */
import { assert, describe, it } from "@effect/vitest"
import { Connection, Errors } from "effect-beanstalkd"
import { Effect, Exit, Fiber, Scope } from "effect"
import type * as Net from "node:net"
import * as FakeServer from "../support/FakeServer.ts"
import { id, withBody } from "../support/scripted/Commands.ts"
import {
  connect,
  dies,
  errorOf,
  fails,
  hears,
  isAlive,
  isDead,
  isFailure,
  onSilent,
  put,
  putLine,
  reasonAfterDeath,
  says,
  socketOf,
  start
} from "../support/scripted/Peer.ts"

const deletes = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `delete ${from + i}\r\n`).join("")

/** Three commands on their way, two that wait for room, each with a count of its ends. */
const threeSentTwoQueued = Effect.fnUntraced(function*(server: FakeServer.Serving) {
  const connection = yield* connect(server, { maxUnanswered: 3 })
  const ends = [0, 0, 0, 0, 0]
  const fibers = yield* Effect.forEach(
    ends,
    (_, i) => start(Effect.onExit(connection.delete(id(i + 1)), () => Effect.sync(() => ends[i]!++)))
  )
  yield* hears(server, deletes(1, 3))
  return { connection, ends, fibers }
})

/** A thing that the server does, and the errors of the commands that it leaves unanswered: the first, and the others. */
const ends: ReadonlyArray<{
  readonly name: string
  readonly does: (socket: Net.Socket) => void
  readonly culprit: Errors.BeanstalkdErrorReason["_tag"]
  readonly others: Errors.BeanstalkdErrorReason["_tag"]
}> = [
  {
    name: "nonsense, and then the end of the stream",
    does: (socket) => socket.end("FOO\r\n"),
    culprit: "UnexpectedReply",
    others: "ConnectionClosed"
  },
  {
    name: "nonsense, and more of it",
    does: (socket) => socket.write("FOO\r\nBAR\r\nDELETED\r\nDELETED\r\n\r\n"),
    culprit: "UnexpectedReply",
    others: "ConnectionClosed"
  },
  {
    name: "the end of the stream",
    does: (socket) => socket.end(),
    culprit: "ConnectionClosed",
    others: "ConnectionClosed"
  },
  {
    name: "the end of the stream inside a line",
    does: (socket) => socket.end("DELETED"),
    culprit: "ConnectionClosed",
    others: "ConnectionClosed"
  },
  {
    name: "the end of the stream inside a body",
    does: (socket) => socket.end("FOUND 1 100\r\nabc"),
    culprit: "ConnectionClosed",
    others: "ConnectionClosed"
  },
  {
    name: "a reset",
    does: (socket) => socket.resetAndDestroy(),
    culprit: "ReadError",
    others: "ReadError"
  }
]

describe("a connection dies once", () => {
  it.live.each(ends)(
    "of $name: what was sent and what was queued fails, each once",
    ({ culprit, does, others }) =>
      Effect.gen(function*() {
        const server = yield* FakeServer.silent()
        const { connection, ends, fibers } = yield* threeSentTwoQueued(server)
        const socket = yield* socketOf(server)
        does(socket)
        const errors = yield* Effect.forEach(fibers, errorOf)
        // Events that follow the death change nothing.
        socket.resetAndDestroy()

        isFailure(errors[0], { reason: culprit, sent: true, command: "delete" })
        for (const error of errors.slice(1, 3)) isFailure(error, { reason: others, sent: true, command: "delete" })
        for (const error of errors.slice(3)) isFailure(error, { reason: "ConnectionClosed", sent: false })
        yield* isDead(connection, server)
        assert.deepStrictEqual(ends, [1, 1, 1, 1, 1])
        assert.strictEqual(server.received(), deletes(1, 3))
      })
  )

  it.live("and commands that were answered before keep their answers", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const { connection, fibers } = yield* threeSentTwoQueued(server)
      yield* says(server, "DELETED\r\nNOT_FOUND\r\nFOO\r\nDELETED\r\n")
      const exits = yield* Effect.forEach(fibers, (fiber) => Effect.exit(Fiber.join(fiber)))
      assert.isTrue(Exit.isSuccess(exits[0]!))
      assert.instanceOf(yield* Effect.flip(exits[1]!), Errors.NotFound)
      yield* fails(exits[2]!, { reason: "UnexpectedReply", sent: true })
      // Two replies made room for two commands, but the violation came in the same piece.
      yield* fails(exits[3]!, { reason: "ConnectionClosed", sent: false })
      yield* fails(exits[4]!, { reason: "ConnectionClosed", sent: false })
      yield* isDead(connection, server)
    }))

  it.live("and is closed before anybody hears of it, so that no one goes on with it", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent({ maxUnanswered: 2 })
      const seen = yield* Effect.forEach([1, 2, 3], (n) =>
        start(
          connection.delete(id(n)).pipe(
            Effect.ignore,
            Effect.andThen(Effect.all([connection.closed, Effect.flip(connection.touch(id(n)))]))
          )
        ))
      yield* hears(server, deletes(1, 2))
      yield* says(server, "FOO\r\n")
      for (const fiber of seen) {
        const [closed, error] = yield* Fiber.join(fiber)
        assert.isTrue(closed)
        isFailure(error, { reason: "ConnectionClosed", sent: false, command: "touch" })
      }
      yield* isDead(connection, server)
    }))

  it.live("of a reply that nobody asked for", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      yield* isAlive(connection, server)
      yield* says(server, "DELETED\r\n")
      yield* dies(connection)
      const { cause, message } = yield* reasonAfterDeath(connection)
      assert.instanceOf(cause, Errors.UnexpectedReply)
      assert.include(message, "DELETED")
      yield* isDead(connection, server)
    }))

  it.live("of the end of the stream while it is idle, without waiting for a command", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      yield* isAlive(connection, server)
      const socket = yield* socketOf(server)
      socket.end()
      yield* dies(connection)
      yield* isDead(connection, server)
    }))

  it.live("of a `use` that was answered with another tube", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const use = yield* start(connection.use("mine"))
      yield* hears(server, "use mine\r\n")
      yield* says(server, "USING theirs\r\n")
      const { message } = isFailure(yield* errorOf(use), { reason: "UnexpectedReply", sent: true, command: "use" })
      assert.include(message, "theirs")
      yield* isDead(connection, server)
    }))

  const notUsing = [
    "USING theirs\r\n",
    "NOT_FOUND\r\n",
    "OUT_OF_MEMORY\r\n",
    "INTERNAL_ERROR\r\n",
    "UNKNOWN_COMMAND\r\n"
  ]
  it.live.each(notUsing)(
    "of a `use` before a put that was answered with %j, and the put fails",
    (answer) =>
      Effect.gen(function*() {
        const { connection, server } = yield* onSilent()
        const fiber = yield* start(put(connection, "x", "mine"))
        yield* hears(server, `use mine\r\n${putLine("x")}`)
        yield* says(server, `${answer}INSERTED 1\r\n`)
        const { reason } = isFailure(yield* errorOf(fiber), { reason: "ConnectionClosed", sent: true, command: "put" })
        assert.instanceOf(reason.cause, Errors.UnexpectedReply)
        yield* isDead(connection, server)
      })
  )

  it.live("with its Scope: what was sent and what was queued fails at once", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const scope = yield* Scope.make()
      const { connection, fibers } = yield* Scope.provide(threeSentTwoQueued(server), scope)
      yield* Scope.close(scope, Exit.void)
      for (const [i, fiber] of fibers.entries()) {
        const { message } = isFailure(yield* errorOf(fiber), { reason: "ConnectionClosed", sent: i < 3 })
        assert.include(message, "Scope")
      }
      yield* isDead(connection, server)
    }))
})

describe("quit", () => {
  it.live("waits for the commands before it and ends when the server closes; nothing leaves behind it", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const before = yield* start(connection.peek(id(1)))
      const quit = yield* start(connection.quit)
      const behind = yield* start(connection.delete(id(2)))
      yield* hears(server, "peek 1\r\nquit\r\n")
      const socket = yield* socketOf(server)
      socket.end(withBody("FOUND 1", "hello"))
      assert.strictEqual((yield* Fiber.join(before)).text, "hello")
      assert.isUndefined(yield* Fiber.join(quit))
      isFailure(yield* errorOf(behind), { reason: "ConnectionClosed", sent: false, command: "delete" })
      yield* isDead(connection, server)
    }))

  it.live("succeeds also when the server had no answers left for the commands before it, which fail", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const before = yield* start(connection.delete(id(1)))
      const quit = yield* start(connection.quit)
      yield* hears(server, "delete 1\r\nquit\r\n")
      const socket = yield* socketOf(server)
      socket.end()
      isFailure(yield* errorOf(before), { reason: "ConnectionClosed", sent: true })
      assert.isUndefined(yield* Fiber.join(quit))
      yield* isDead(connection, server)
    }))

  it.live("fails when the connection breaks in another way", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const quit = yield* start(connection.quit)
      yield* hears(server, "quit\r\n")
      const socket = yield* socketOf(server)
      socket.resetAndDestroy()
      isFailure(yield* errorOf(quit), { reason: "ReadError", sent: true, command: "quit" })
      yield* isDead(connection, server)
    }))
})

describe("after death", () => {
  it.live("every command fails at once, with `sent: false` and the reason of the death", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const first = yield* start(connection.delete(id(1)))
      const socket = yield* socketOf(server)
      yield* hears(server, deletes(1, 1))
      socket.resetAndDestroy()
      const { reason: death } = isFailure(yield* errorOf(first), { reason: "ReadError", sent: true })
      for (let i = 0; i < 3; i++) {
        assert.strictEqual((yield* reasonAfterDeath(connection)).cause, death)
      }
    }))

  it.live("a new connection to the same server is as good as any", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const first = yield* Effect.scoped(connect(server))
      yield* isDead(first, server)
      const second = yield* Connection.make({ port: server.port })
      yield* isAlive(second, server, 1)
    }))
})
