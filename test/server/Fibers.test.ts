/**
 * A server on a socket has a fiber per connection, which ends with it, however it ends: one that stays would be a leak that
 * no client notices.
 */
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import * as Net from "node:net"
import * as EngineHost from "../../src/internal/server/engineHost.ts"
import { serve } from "../../src/internal/server/socket.ts"
import { eventually } from "../support/Eventually.ts"

/** A server that counts the connections that it serves. */
const makeServer = Effect.gen(function*() {
  const host = yield* EngineHost.make({ maxJobSize: 1024 * 1024 })
  const server = yield* NodeSocketServer.make({ port: 0, host: "127.0.0.1", allowHalfOpen: true })
  let serving = 0
  yield* Effect.forkScoped(server.run((socket) => {
    serving++
    return Effect.ensuring(serve(host)(socket), Effect.sync(() => serving--))
  }))
  const { port } = server.address as { readonly port: number }
  const dial = Effect.promise(async () => {
    const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {})
    await once(socket, "connect")
    return socket
  })
  const isServing = (count: number) => eventually(Effect.sync(() => assert.strictEqual(serving, count)))
  return { dial, host, isServing }
})

const BIG = "x".repeat(1024 * 1024)

const says = (socket: Net.Socket, commands: string) =>
  Effect.promise(() => {
    socket.write(commands)
    return once(socket, "data")
  })

type End = (socket: Net.Socket, host: EngineHost.EngineHost) => void

const ends: ReadonlyArray<readonly [how: string, end: End]> = [
  ["its client quits", (socket) => socket.resume().end("quit\r\n")],
  ["its client closes its half, and waits", (socket) => socket.resume().end()],
  ["its client closes its half, with a command that waits", (socket) => socket.resume().end("reserve\r\n")],
  ["its client is gone", (socket) => socket.destroy()],
  ["its client resets it", (socket) => socket.resetAndDestroy()],
  [
    "its client resets it while a reserve waits",
    (socket) => socket.write("reserve\r\n", () => socket.resetAndDestroy())
  ],
  ["the server drops it", (_, { engine }) => engine.dropConnections()],
  ["the server restarts", (_, { engine }) => engine.restart()]
]

describe("the fiber of a connection", () => {
  it.live.each(ends)("ends when %s", ([, end]) =>
    Effect.gen(function*() {
      const { dial, host, isServing } = yield* makeServer
      const socket = yield* dial
      yield* says(socket, "list-tubes\r\n")
      yield* isServing(1)
      end(socket, host)
      yield* isServing(0)
      assert.strictEqual(host.engine.connectionCount, 0)
      socket.destroy()
    }).pipe(Effect.scoped))

  it.live("ends when its client is gone that reads none of what it has asked for", () =>
    Effect.gen(function*() {
      const { dial, host, isServing } = yield* makeServer
      const socket = yield* dial
      yield* says(socket, `put 0 0 60 ${BIG.length}\r\n${BIG}\r\n`)
      // So much that the server stops reading: only its writes can tell that the client is gone.
      socket.pause().write("peek 1\r\n".repeat(50_000))
      const other = yield* dial
      yield* eventually(Effect.map(says(other, "stats-job 1\r\n"), () => assert.isAbove(socket.readableLength, 0)))
      socket.resetAndDestroy()
      yield* isServing(1)
      other.destroy()
      yield* isServing(0)
      assert.strictEqual(host.engine.connectionCount, 0)
    }).pipe(Effect.scoped))
})
