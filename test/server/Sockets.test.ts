/**
 * The embedded server on sockets, and clients that do as they please.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { Client, Connection, Server } from "effect-beanstalkd"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import { ask, parseStats } from "../support/Ask.ts"
import { eventually } from "../support/Eventually.ts"
import * as RealTime from "../support/RealTime.ts"
import { tempDir } from "../support/TempDir.ts"

const serve = (options?: Server.Options) => Server.make({ port: 0, ...options })

/** A plain socket to it, destroyed with the Scope; it stays half open until it is ended. */
const dial = (server: Server.Service) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const { path, port } = server.clientOptions
      const socket = path === undefined
        ? Net.connect({ port: port!, host: "127.0.0.1", allowHalfOpen: true })
        : Net.connect({ path, allowHalfOpen: true })
      socket.on("error", () => {})
      await once(socket, "connect")
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** What has come on a socket so far. */
const record = (socket: Net.Socket): () => string => {
  let received = ""
  socket.setEncoding("latin1").on("data", (text: string) => {
    received += text
  })
  return () => received
}

const holds = (assertion: () => void) => eventually(Effect.sync(assertion))

/** Within a time in which nothing but a hang does not end. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  RealTime.timeoutOrElse(effect, { duration: "5 seconds", orElse: () => Effect.die(new Error("it hangs")) })

const hasConnections = (server: Server.Service, count: number) =>
  eventually(Effect.map(server.connectionCount, (connections) => assert.strictEqual(connections, count)))

const putAndReserve = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  yield* beanstalkd.put("emails", "hello")
  return (yield* beanstalkd.reserve("emails")).text
})

const clientOf = (server: Layer.Layer<Server.Server, Server.BinlogError | Server.ListenError>) =>
  Layer.effect(Client.Beanstalkd, Effect.flatMap(Server.Server, ({ clientOptions }) => Client.make(clientOptions)))
    .pipe(
      Layer.provide(server)
    )

describe("where it listens", () => {
  it.live("may be any free port", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      assert.strictEqual(server.server, `127.0.0.1:${server.port}`)
      assert.include(yield* ask(server.port!, "list-tubes"), "- default\n")
      assert.strictEqual(yield* Effect.provide(putAndReserve, clientOf(Server.layer({ port: 0 }))), "hello")
    }))

  it.live("may be a unix socket, which is gone afterwards", () =>
    Effect.gen(function*() {
      const path = join(yield* tempDir, "s")
      assert.strictEqual(yield* Effect.provide(putAndReserve, clientOf(Server.layer({ path }))), "hello")
      assert.isFalse(existsSync(path))
    }))

  it.live("may be where a process that was killed has left its unix socket, but not where a server runs", () =>
    Effect.gen(function*() {
      const path = join(yield* tempDir, "s")
      const killed = spawn(process.execPath, [
        "-e",
        `net.createServer().listen(${JSON.stringify(path)}, () => console.log())`
      ])
      yield* Effect.promise(() => once(killed.stdout, "data"))
      const taken = yield* Effect.flip(Effect.scoped(serve({ path })))
      assert.include(taken.message, "EADDRINUSE")
      killed.kill("SIGKILL")
      yield* Effect.promise(() => once(killed, "exit"))
      assert.isTrue(existsSync(path))
      const server = yield* serve({ path })
      assert.strictEqual(server.server, `unix:${path}`)
      yield* (yield* Connection.make(server.clientOptions)).put("hello")
    }))

  it.live("is not where another file is", () =>
    Effect.gen(function*() {
      const path = join(yield* tempDir, "s")
      writeFileSync(path, "mine")
      const error = yield* Effect.flip(Effect.scoped(serve({ path })))
      assert.include(error.message, `cannot listen on unix:${path}: listen EADDRINUSE`)
      assert.isTrue(existsSync(path))
    }))

  it.live("is told when it cannot be", () =>
    Effect.gen(function*() {
      const { port } = yield* serve()
      const taken = yield* Effect.flip(Effect.scoped(serve({ port })))
      assert.include(taken.message, `cannot listen on 127.0.0.1:${port}: listen EADDRINUSE`)
      const nowhere = yield* Effect.flip(Effect.scoped(serve({ path: "/nonexistent/s" })))
      assert.include(nowhere.message, "cannot listen on unix:/nonexistent/s: ")
      const unknown = yield* Effect.flip(Effect.scoped(serve({ host: "nonexistent.invalid" })))
      assert.include(unknown.message, "cannot listen on nonexistent.invalid:0: ")
    }))
})

describe("the end of its Scope", () => {
  // It ends at once, whatever its clients do. Those returned see it, and the port is free.
  const endsWith = (
    clients: (server: Server.Service) => Effect.Effect<ReadonlyArray<Net.Socket>, unknown, Scope.Scope>
  ) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(serve(), scope)
      const sockets = yield* clients(server)
      yield* soon(Scope.close(scope, Exit.void))
      assert.strictEqual(yield* server.connectionCount, 0)
      yield* serve({ port: server.port })
      yield* holds(() => assert.isTrue(sockets.every(({ destroyed, readableEnded }) => destroyed || readableEnded)))
    })

  it.live("closes connections, whether they wait, hold a job or do nothing", () =>
    endsWith(Effect.fnUntraced(function*(server) {
      const sockets = yield* Effect.all([dial(server), dial(server), dial(server)])
      const [waiting, holding] = sockets
      waiting.write("reserve\r\n")
      holding.write("use other\r\nwatch other\r\nput 0 0 60 5\r\nhello\r\nreserve\r\n")
      yield* server.awaitReservers("default")
      const received = record(holding)
      yield* holds(() => assert.include(received(), "RESERVED 1 5"))
      return sockets.map((socket) => socket.resume())
    })))

  it.live("does not wait for clients that keep their half open", () =>
    endsWith(Effect.fnUntraced(function*(server) {
      const received = record(yield* dial(server))
      const quitter = yield* dial(server)
      quitter.write("quit\r\n")
      const ended = yield* dial(server)
      ended.end("reserve\r\n")
      yield* hasConnections(server, 1)
      assert.strictEqual(received(), "")
      return []
    })))

  it.live("does not wait for a client that never reads", () =>
    endsWith(Effect.fnUntraced(function*(server) {
      const socket = (yield* dial(server)).pause()
      socket.write("stats\r\n".repeat(20_000))
      yield* eventually(Effect.map(
        ask(server.port!, "stats"),
        (stats) => assert.isAbove(Number(parseStats(stats)["cmd-stats"]), 1000)
      ))
      return []
    })))

  it.live("does not wait for a client that has said quit, and never read what came before", () =>
    endsWith(Effect.fnUntraced(function*(server) {
      // One more each time, so that with some of them the last reply is in the server when they quit.
      for (let replies = 0; replies < 30; replies++) {
        const socket = (yield* dial(server)).pause()
        const body = "x".repeat(60_000)
        socket.write(`put 0 0 60 ${body.length}\r\n${body}\r\n`)
        socket.write("peek 1\r\n".repeat(replies * 4))
        socket.write("quit\r\n")
      }
      yield* eventually(
        Effect.map(ask(server.port!, "stats"), (stats) => assert.strictEqual(parseStats(stats)["cmd-put"], "30"))
      )
      return []
    })))
})

describe("a client", () => {
  it.live("that never reads is not read from for long", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const socket = (yield* dial(server)).pause()
      const commands = "stats-tube default\r\n".repeat(3000)
      const bound = 64 * 1024 * 1024
      let accepted = 0
      const write = () => {
        socket.write(commands, () => {
          accepted += commands.length
          if (accepted < bound) write()
        })
      }
      write()
      // Until it takes no more.
      yield* eventually(Effect.gen(function*() {
        const before = accepted
        for (let i = 0; i < 20; i++) yield* ask(server.port!, "list-tube-used")
        assert.isAbove(before, 0)
        assert.strictEqual(accepted, before)
      }))
      assert.isBelow(accepted, bound / 2)
      socket.destroy()
      yield* hasConnections(server, 0)
    }))

  it.live("may send byte by byte", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const socket = (yield* dial(server)).setNoDelay(true)
      const received = record(socket)
      for (const byte of "use foo\r\nput 0 0 60 4\r\n\r\n\r\n\r\npeek 1\r\n") {
        socket.write(byte)
        yield* Effect.promise(() => new Promise(setImmediate))
      }
      yield* holds(() => assert.strictEqual(received(), "USING foo\r\nINSERTED 1\r\nFOUND 1 4\r\n\r\n\r\n\r\n"))
    }))

  it.live("may send ten thousand commands at once", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const socket = yield* dial(server)
      const received = record(socket)
      socket.write(
        "put 0 0 60 5\r\nhello\r\nreserve\r\nrelease 1 0 0\r\nlist-tube-used\r\n".repeat(1) +
          "peek 1\r\nlist-tube-used\r\nfoo\r\nkick 1\r\n".repeat(2500)
      )
      const first = "INSERTED 1\r\nRESERVED 1 5\r\nhello\r\nRELEASED\r\nUSING default\r\n"
      const all = first + "FOUND 1 5\r\nhello\r\nUSING default\r\nUNKNOWN_COMMAND\r\nKICKED 0\r\n".repeat(2500)
      yield* holds(() => assert.strictEqual(received().length, all.length))
      assert.isTrue(received() === all)
    }))

  it.live("may ask at once for more than its socket takes, and gets all of it", () =>
    Effect.gen(function*() {
      const server = yield* serve({ maxJobSize: 1024 * 1024 })
      const body = "x".repeat(1024 * 1024)
      yield* ask(server.port!, `put 0 0 60 ${body.length}\r\n${body}`)
      const socket = yield* dial(server)
      const received = record(socket)
      socket.write("peek 1\r\n".repeat(10))
      yield* holds(() => assert.strictEqual(received().length, 10 * `FOUND 1 ${body.length}\r\n${body}\r\n`.length))
    }))

  it.live("may put megabytes, if the server takes them", () =>
    Effect.gen(function*() {
      const body = Buffer.from(Array.from({ length: 3 * 1024 * 1024 }, (_, i) => i % 251))
      const server = yield* serve({ maxJobSize: body.length })
      const client = yield* Client.make(server.clientOptions)
      yield* client.put("emails", body)
      assert.isTrue(body.equals((yield* client.reserve("emails")).body))
      yield* client.put("emails", body.subarray(1))
    }))

  it.live("that resets its connection in the middle of a put leaves nothing behind but an id", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const socket = yield* dial(server)
      const received = record(socket)
      socket.write("use foo\r\nput 0 0 60 100\r\nhalf of it")
      yield* holds(() => assert.strictEqual(received(), "USING foo\r\n"))
      socket.resetAndDestroy()
      yield* hasConnections(server, 0)
      const stats = parseStats(yield* ask(server.port!, "stats"))
      assert.deepInclude(stats, { "total-jobs": "0", "current-tubes": "1", "cmd-put": "1" })
      assert.strictEqual(yield* ask(server.port!, "put 0 0 60 5\r\nhello"), "INSERTED 2\r\n")
    }))

  it.live("that resets its connection gives back what it held, and waits no more", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const holder = yield* dial(server)
      const waiter = yield* dial(server)
      const received = record(holder)
      holder.write("put 0 0 60 5\r\nhello\r\nreserve\r\n")
      yield* holds(() => assert.include(received(), "RESERVED 1"))
      waiter.write("watch foo\r\nignore default\r\nreserve\r\n")
      yield* server.awaitReservers("foo")
      holder.resetAndDestroy()
      waiter.resetAndDestroy()
      yield* hasConnections(server, 0)
      const stats = parseStats(yield* ask(server.port!, "stats"))
      assert.deepInclude(stats, { "current-jobs-ready": "1", "current-waiting": "0", "current-tubes": "1" })
    }))

  it.live("is cut off by dropConnections and refused by a server that refuses", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const socket = yield* dial(server)
      yield* hasConnections(server, 1)
      assert.strictEqual(yield* server.dropConnections, 1)
      socket.resume()
      yield* holds(() => assert.isTrue(socket.readableEnded || socket.destroyed))
      yield* server.injectFaults({ refuse: true })
      const refused = yield* Effect.flip(Connection.make(server.clientOptions).pipe(Effect.flatMap((c) => c.listTubes)))
      assert.include(["ConnectionClosed", "ReadError", "OpenError"], refused.reason._tag)
    }))
})
