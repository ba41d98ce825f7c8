/**
 * The conversation between a connection under test and the server at its other end: helpers to hear, to say, and to
 * find out whether the connection is alive.
 */
import { assert } from "@effect/vitest"
import { Connection, Errors } from "effect-beanstalkd"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Net from "node:net"
import { eventually } from "../Eventually.ts"
import { type Serving, silent } from "../FakeServer.ts"
import { withBody } from "./Commands.ts"

export const connect = (server: Serving, options?: Connection.Options) =>
  Connection.make({ port: server.port, ...options })

/** Opens a server that says nothing by itself, and a connection to it. */
export const onSilent = Effect.fnUntraced(function*(options?: Connection.Options) {
  const server = yield* silent()
  const connection = yield* connect(server, options)
  return { connection, server }
})

/** Issues a command at once: it is queued when this returns, and leaves at the end of the tick. */
export const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** The server's end of the connection, once it has been accepted. */
export const socketOf = (server: Serving, conn = 0): Effect.Effect<Net.Socket> =>
  eventually(Effect.sync(() => {
    const socket = server.sockets[conn]
    assert.isDefined(socket)
    return socket
  }))

/** Waits until exactly `bytes` have come on the connection. */
export const hears = (server: Serving, bytes: string, conn = 0) =>
  eventually(Effect.sync(() => assert.strictEqual(server.received(conn), bytes)))

export const says = (server: Serving, bytes: string | Uint8Array, conn = 0) =>
  Effect.map(
    socketOf(server, conn),
    (socket) => typeof bytes === "string" ? socket.write(bytes, "latin1") : socket.write(bytes)
  )

/** Waits until the server knows that the client is gone. */
export const seesClose = (server: Serving, conn = 0) =>
  Effect.flatMap(
    socketOf(server, conn),
    (socket) =>
      eventually(Effect.sync(() => assert.isTrue(socket.readableEnded || socket.destroyed, "the server saw no close")))
  )

interface Expected {
  readonly reason: Errors.BeanstalkdErrorReason["_tag"]
  readonly sent: boolean
  readonly command?: string | undefined
}

export const isFailure = (error: unknown, { command, reason, sent }: Expected, about = ""): Errors.BeanstalkdError => {
  assert.instanceOf(error, Errors.BeanstalkdError, about)
  assert.deepStrictEqual({ reason: error.reason._tag, sent: error.sent }, { reason, sent }, `${about} ${error.message}`)
  if (command !== undefined) assert.strictEqual(error.command, command)
  return error
}

/** The error of an effect, which must be a `BeanstalkdError` of this kind. */
export const fails = <A, E, R>(effect: Effect.Effect<A, E, R>, expected: Expected) =>
  Effect.map(Effect.flip(effect), (error) => isFailure(error, expected))

/** The exit of an effect that must end within the call, without waiting for anything. */
export const atOnce = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const exit = (yield* start(effect)).pollUnsafe()
  assert.isDefined(exit, "it did not end at once")
  return yield* exit
})

/** The reason with which a dead connection refuses a command, and its cause if another command brought it down. */
export const reasonAfterDeath = Effect.fnUntraced(function*(connection: Connection.Service) {
  const { reason } = yield* fails(atOnce(connection.listTubeUsed), { reason: "ConnectionClosed", sent: false })
  assert.instanceOf(reason, Errors.ConnectionClosed)
  return reason
})

/** Waits until the connection knows that it is dead. */
export const dies = (connection: Connection.Service) =>
  eventually(Effect.map(connection.closed, (closed) => assert.isTrue(closed, "it did not die")))

/** The connection says that it is closed, refuses further commands at once, and the server knows. */
export const isDead = Effect.fnUntraced(function*(connection: Connection.Service, server: Serving, conn = 0) {
  assert.isTrue(yield* connection.closed, "it does not say that it is closed")
  const before = server.received(conn)
  yield* reasonAfterDeath(connection)
  yield* seesClose(server, conn)
  assert.strictEqual(server.received(conn), before)
})

/** One more command gets its own reply. */
export const isAlive = Effect.fnUntraced(function*(connection: Connection.Service, server: Serving, conn = 0) {
  assert.isFalse(yield* connection.closed, "it says that it is closed")
  const before = server.received(conn)
  const answer = yield* start(connection.listTubesWatched)
  yield* hears(server, `${before}list-tubes-watched\r\n`, conn)
  yield* says(server, withBody("OK", "---\n- still\n- alive\n"), conn)
  assert.deepStrictEqual(yield* Fiber.join(answer), ["still", "alive"])
})

/** The error of a fiber that has ended or will; a defect fails the test. */
export const errorOf = <A, E>(fiber: Fiber.Fiber<A, E>) => Effect.flip(Fiber.join(fiber))

/** A plain put, into the tube in use or another one. It sends {@link putLine}. */
export const put = (connection: Connection.Service, body: string, tube?: string) =>
  connection.put(body, { tube, priority: 0, ttr: "1 second" })
export const putLine = (body: string) => `put 0 0 1 ${body.length}\r\n${body}\r\n`
