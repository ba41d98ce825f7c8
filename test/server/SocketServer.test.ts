/**
 * The embedded server on the connections of Effect's `SocketServer`: of Node, of the package that Bun's is made of, with TLS,
 * and of one that knows nothing of `node:net`.
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as SharedSocketServer from "@effect/platform-node-shared/NodeSocketServer"
import { assert, describe, it } from "@effect/vitest"
import { Client, Connection, Errors, Server } from "effect-beanstalkd"
import { Context, Effect, Layer, Logger } from "effect"
import * as NetAddress from "effect/net/NetAddress"
import * as SocketServer from "effect/socket/SocketServer"
import { once } from "node:events"
import { existsSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import { NetSocket } from "../../src/internal/server/socket.ts"
import { eventually } from "../support/Eventually.ts"
import { selfSigned } from "../support/SelfSigned.ts"
import { tempDir } from "../support/TempDir.ts"

const OPTIONS = { host: "127.0.0.1", port: 0, allowHalfOpen: true, noDelay: true, keepAlive: true }

const serverOn = (sockets: ReturnType<typeof NodeSocketServer.layer>) =>
  Effect.map(
    Layer.build(Layer.provide(Server.layerSocketServer(), sockets)),
    (context) => Context.get(context, Server.Server)
  )

const putAndReserve = Effect.fnUntraced(function*(options: Client.Options) {
  const beanstalkd = yield* Client.make(options)
  yield* beanstalkd.put("emails", "hello")
  return (yield* beanstalkd.reserve("emails")).text
})

/** Hands the connections of Node's over without the socket of `node:net`, as a `SocketServer` of another kind would. */
const foreign = Layer.effect(
  SocketServer.SocketServer,
  Effect.map(NodeSocketServer.make(OPTIONS), ({ address, run }) =>
    SocketServer.SocketServer.of({
      address,
      run: <R, E, A>(handler: Parameters<typeof run<R, E, A>>[0]) =>
        run<R, E, A>((socket) =>
          Effect.updateContext(handler(socket), (context: Context.Context<R>) =>
            Context.omit(NodeSocket.NetSocket)(context) as Context.Context<R>)
        )
    }))
)

/** Sends commands, closes this half as `nc` does, and has all that comes. */
const send = (port: number, commands: string) =>
  Effect.promise(async () => {
    const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
    let received = ""
    socket.setEncoding("latin1").on("data", (text: string) => received += text)
    socket.end(commands)
    await once(socket, "close")
    return received
  })

describe("a server on a SocketServer", () => {
  const sockets = {
    "of @effect/platform-node": NodeSocketServer.layer(OPTIONS),
    "of @effect/platform-node-shared, which is Bun's as well": SharedSocketServer.layer(OPTIONS),
    "that knows nothing of node:net": foreign
  }

  it.live.each(Object.entries(sockets))("%s serves clients", ([, layer]) =>
    Effect.gen(function*() {
      const server = yield* serverOn(layer)
      assert.strictEqual(server.server, `127.0.0.1:${server.port}`)
      assert.deepStrictEqual(server.clientOptions, { host: "127.0.0.1", port: server.port })
      assert.strictEqual(yield* putAndReserve(server.clientOptions), "hello")
    }))

  it.live.each(Object.entries(sockets))(
    "%s answers all that a client has sent before it closed its half",
    ([, layer]) =>
      Effect.gen(function*() {
        const server = yield* serverOn(layer)
        const body = "x".repeat(60_000)
        const commands = `put 0 0 60 ${body.length}\r\n${body}\r\n${"peek 1\r\n".repeat(100)}quit\r\n`
        const replies = `INSERTED 1\r\n${`FOUND 1 ${body.length}\r\n${body}\r\n`.repeat(100)}`
        assert.isTrue((yield* send(server.port!, commands)) === replies)
        yield* eventually(Effect.map(server.connectionCount, (count) => assert.strictEqual(count, 0)))
      })
  )

  it.live("listens on a unix socket, and is gone with its Scope", () =>
    Effect.gen(function*() {
      const path = join(yield* tempDir, "s")
      const layer = NodeSocketServer.layer({ path, allowHalfOpen: true })
      yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* serverOn(layer)
        assert.deepInclude(server, { server: `unix:${path}`, port: undefined, clientOptions: { path } })
        assert.strictEqual(yield* putAndReserve(server.clientOptions), "hello")
      }))
      assert.isFalse(existsSync(path))
    }))

  it.live("cuts off its connections at the end of its Scope, whether they wait, hold a job or never read", () =>
    Effect.gen(function*() {
      const dial = (port: number, commands: string) =>
        Effect.promise(async () => {
          const socket = Net.connect(port, "127.0.0.1").on("error", () => {})
          socket.write(commands)
          await once(socket, "connect")
          return socket
        })
      const dialed = yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* serverOn(NodeSocketServer.layer(OPTIONS))
        const body = "x".repeat(65_000)
        const put = `put 0 0 60 ${body.length}\r\n${body}\r\n`
        const sockets = [
          yield* dial(server.port!, "watch none\r\nignore default\r\nreserve\r\n"),
          yield* dial(server.port!, `${put}${put}reserve\r\n`),
          yield* dial(server.port!, "peek 1\r\n".repeat(1000))
        ]
        yield* server.awaitReservers("none")
        yield* eventually(Effect.map(server.connectionCount, (count) => assert.strictEqual(count, 3)))
        return sockets
      }))
      for (const socket of dialed) {
        socket.resume()
        yield* eventually(Effect.sync(() => assert.isTrue(socket.closed)))
      }
    }))

  it.live("has TLS if that has", () =>
    Effect.gen(function*() {
      const server = yield* serverOn(NodeSocketServer.layerTls({ host: "127.0.0.1", port: 0, ...selfSigned }))
      const tls = { ca: selfSigned.cert }
      assert.strictEqual(yield* putAndReserve({ ...server.clientOptions, tls }), "hello")
      const error = yield* Effect.flip(Connection.make({ ...server.clientOptions, tls: true }))
      assert.propertyVal(error.reason, "_tag", "OpenError")
    }))

  it.live("keeps its jobs in a directory", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const onDisk = Layer.provide(Server.layerSocketServer({ directory }), NodeSocketServer.layer(OPTIONS))
      const onServer = <A, E>(use: (client: Client.Service) => Effect.Effect<A, E>) =>
        Effect.gen(function*() {
          const { clientOptions } = yield* Server.Server
          return yield* use(yield* Client.make(clientOptions))
        }).pipe(Effect.scoped, Effect.provide(onDisk))
      yield* onServer((client) => client.put("emails", "hello"))
      assert.strictEqual(
        yield* onServer((client) => Effect.map(client.peekReady("emails"), ({ text }) => text)),
        "hello"
      )
    }))

  it.live("tells an option that makes no sense, and a directory that cannot be used", () =>
    Effect.gen(function*() {
      const failing = (options: Server.SocketServerOptions) =>
        Server.layerSocketServer(options).pipe(
          Layer.provide(NodeSocketServer.layer(OPTIONS)),
          Layer.build,
          Effect.scoped,
          Effect.flip
        )
      const invalid = yield* failing({ maxClients: 0 })
      assert.instanceOf(invalid, Server.ListenError)
      assert.instanceOf(invalid.cause, Errors.InvalidArgument)
      assert.include(invalid.message, "maxClients")
      assert.instanceOf(yield* failing({ directory: "/nonexistent/x" }), Server.BinlogError)
    }))
})

describe("a SocketServer that accepts nothing more", () => {
  it.live("is logged", () => {
    const logged: Array<unknown> = []
    const broken = Layer.succeed(SocketServer.SocketServer, {
      address: NetAddress.unixPathAddress("/broken"),
      run: () =>
        Effect.fail(
          new SocketServer.SocketServerError({
            reason: new SocketServer.SocketServerUnknownError({ cause: new Error("out of files") })
          })
        )
    })
    return Effect.gen(function*() {
      const server = yield* serverOn(broken)
      assert.strictEqual(server.server, "unix:/broken")
      yield* eventually(Effect.sync(() => assert.include(String(logged), "the server accepts no more connections")))
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void logged.push(message))])))
  })
})

describe("a SocketServer that listens everywhere", () => {
  it.live.each([["0.0.0.0", "127.0.0.1"], ["::", "::1"]] as const)(
    "on %s is reached on %s",
    ([address, loopback]) =>
      Effect.gen(function*() {
        const idle = Layer.succeed(SocketServer.SocketServer, {
          address: NetAddress.inetAddressFromIpStringUnsafe(address, 11300),
          run: () => Effect.never
        })
        const server = yield* serverOn(idle)
        assert.deepStrictEqual(server.clientOptions, { host: loopback, port: 11300 })
      })
  )
})

describe("the socket of node:net", () => {
  it("is found by the name that Effect's packages give it", () => {
    assert.strictEqual(NetSocket.key, NodeSocket.NetSocket.key)
  })
})
