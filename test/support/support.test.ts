/**
 * The helpers of the tests: a test is worth no more than the server that it talks to.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { readFileSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import * as Tls from "node:tls"
import { describeServers } from "./AnyServer.ts"
import { ask } from "./Ask.ts"
import { eventually } from "./Eventually.ts"
import * as FakeServer from "./FakeServer.ts"
import { freePort } from "./FreePort.ts"
import * as RealServer from "./RealServer.ts"
import * as RealTime from "./RealTime.ts"
import { selfSigned } from "./SelfSigned.ts"
import { tempDir } from "./TempDir.ts"

/** A plain client that keeps what it sent and received, as text. */
const dial = (connect: () => Net.Socket) =>
  Effect.acquireRelease(
    Effect.callback<{ socket: Net.Socket; received: () => string; ended: () => boolean }>((resume) => {
      const socket = connect()
      let received = ""
      let ended = false
      socket.setEncoding("latin1").on("data", (text: string) => {
        received += text
      })
      socket.on("end", () => {
        ended = true
      })
      socket.on("error", (error) => resume(Effect.die(error)))
      const connected = socket instanceof Tls.TLSSocket ? "secureConnect" : "connect"
      socket.on(connected, () => resume(Effect.succeed({ socket, received: () => received, ended: () => ended })))
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )
const dialPort = (port: number) => dial(() => Net.connect(port, "127.0.0.1"))

const isRefused = (port: number) =>
  Effect.map(Effect.flip(ask(port, "stats")), (error) => assert.include(error.message, "ECONNREFUSED"))

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

RealServer.describeReal("RealServer", () => {
  it.live("answers raw commands and stats of the process that it started", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make({ args: ["-z", "5"] })
      assert.strictEqual(yield* server.raw("put 0 0 60 5\r\nhello"), "INSERTED 1\r\n")
      assert.strictEqual(yield* server.raw("put 0 0 60 6\r\nhello!"), "JOB_TOO_BIG\r\n")
      assert.strictEqual(yield* server.raw("reserve"), "RESERVED 1 5\r\nhello\r\n")
      const stats = yield* server.stats
      assert.strictEqual(stats["pid"], String(server.pid))
      assert.strictEqual(stats["current-jobs-ready"], "1")
      assert.strictEqual(stats["current-connections"], "1")
      assert.match(stats["version"]!, /^\d/)
    }))

  it.live("is gone after its scope, even when it was stopped", () =>
    Effect.gen(function*() {
      const { pid, port } = yield* Effect.scoped(Effect.tap(RealServer.make(), (server) => server.stop))
      assert.isFalse(isAlive(pid))
      yield* isRefused(port)
    }))

  it.live("is gone after kill, and after restart back on the same port with its binlog", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make({ binlogDir: yield* tempDir })
      const { pid } = server
      yield* server.raw("put 0 0 60 5\r\nhello")
      yield* server.kill
      assert.isFalse(isAlive(pid))
      yield* isRefused(server.port)
      yield* server.restart
      assert.notStrictEqual(server.pid, pid)
      assert.strictEqual(yield* server.raw("peek 1"), "FOUND 1 5\r\nhello\r\n")
      yield* server.restart
      assert.strictEqual(yield* server.raw("peek 1"), "FOUND 1 5\r\nhello\r\n")
    }))

  it.live("answers nothing between stop and cont", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      yield* server.stop
      const answer = yield* Effect.forkChild(server.raw("list-tube-used"))
      yield* RealTime.sleep("50 millis")
      assert.isUndefined(answer.pollUnsafe())
      yield* server.cont
      assert.strictEqual(yield* Fiber.join(answer), "USING default\r\n")
    }))

  it.live("takes signals", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      yield* server.signal("SIGUSR1")
      yield* eventually(Effect.map(server.stats, (stats) => assert.strictEqual(stats["draining"], "true")))
      assert.strictEqual(yield* server.raw("put 0 0 60 5\r\nhello"), "DRAINING\r\n")
    }))

  it.live("can be had on a port of one's choice, and tells when it cannot start", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const server = yield* RealServer.make({ port })
      assert.strictEqual(server.port, port)
      const exit = yield* Effect.exit(RealServer.make({ args: ["-nonsense"] }))
      assert.isTrue(Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("beanstalkd ended as it started"))
    }))

  it.effect("starts under a TestClock too", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      assert.strictEqual(yield* server.raw("use foo"), "USING foo\r\n")
    }))
})

describeServers("AnyServer", (target) => {
  it.effect("answers raw commands and stats, whatever the clock", () =>
    Effect.gen(function*() {
      const server = yield* target.make({ maxJobSize: 5 })
      assert.strictEqual(yield* server.raw("put 0 0 60 5\r\nh\xebllo"), "INSERTED 1\r\n")
      assert.strictEqual(yield* server.raw("put 0 0 60 6\r\nhello!"), "JOB_TOO_BIG\r\n")
      assert.strictEqual(yield* server.raw("reserve\r\nuse foo"), "RESERVED 1 5\r\nh\xebllo\r\nUSING foo\r\n")
      const { "current-connections": connections, "current-jobs-ready": ready, pid } = yield* server.stats
      assert.deepStrictEqual([connections, ready, pid], ["1", "1", String(server.pid)])
    }))

  it.effect("drains, for good", () =>
    Effect.gen(function*() {
      const server = yield* target.make()
      yield* server.drain
      assert.strictEqual((yield* server.stats)["draining"], "true")
      assert.strictEqual(yield* server.raw("put 0 0 60 1\r\nx"), "DRAINING\r\n")
    }))

  it.effect("drops connections, and takes new ones", () =>
    Effect.gen(function*() {
      const server = yield* target.make()
      const asking = yield* Effect.forkChild(Effect.exit(server.raw("reserve")), { startImmediately: true })
      yield* eventually(Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-waiting"], "1")))
      yield* server.dropConnections
      yield* Fiber.join(asking)
      assert.strictEqual((yield* server.stats)["current-connections"], "1")
    }))
})

describe("FakeServer.make", () => {
  const failing = Effect.fnUntraced(function*(send: string, patienceMs = 3000) {
    const server = yield* FakeServer.make([{ expect: "watch foo\r\n" }], { patienceMs })
    const client = yield* dialPort(server.port)
    client.socket.end(send, "latin1")
    return yield* Effect.flip(server.done)
  })

  it.live("plays its script, however the bytes are cut, and then goes on recording", () =>
    Effect.gen(function*() {
      const script = [{ expect: "delete \xff\r\n" }, { reply: "DELETED\xff" }, { reply: "\r\n" }]
      const server = yield* FakeServer.make(script)
      const client = yield* dialPort(server.port)
      client.socket.write("delete ", "latin1")
      yield* eventually(Effect.sync(() => assert.strictEqual(server.received(), "delete ")))
      client.socket.write("\xff\r\nmore", "latin1")
      yield* server.done
      yield* eventually(Effect.sync(() => assert.strictEqual(client.received(), "DELETED\xff\r\n")))
      client.socket.write("!", "latin1")
      yield* eventually(Effect.sync(() => assert.strictEqual(server.received(), "delete \xff\r\nmore!")))
      assert.isFalse(client.ended())
    }))

  it.live("fails at the first byte that is another one", () =>
    Effect.gen(function*() {
      const error = yield* failing("watch bar\r\n")
      assert.deepInclude(error, { step: 0, conn: 0, expected: "watch foo\r\n", received: "watch bar\r\n" })
      assert.include(error.message, "byte 6 is another one")
    }))

  it.live("fails when the client leaves in the middle", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* failing("watch f")).detail, "the client closed the connection")
    }))

  it.live("fails when the client says nothing, or never comes", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.make([{ expect: "a" }, { conn: 1, expect: "b" }], { patienceMs: 50 })
      const client = yield* dialPort(server.port)
      client.socket.write("a")
      const noOther = yield* Effect.flip(server.done)
      assert.deepInclude(noOther, { step: 1, conn: 1, detail: "no such connection was made within 50 ms" })
      // A client that waits for an answer must not wait forever.
      yield* eventually(Effect.sync(() => assert.isTrue(client.ended())))

      const other = yield* FakeServer.make([{ expect: "a" }], { patienceMs: 50 })
      yield* dialPort(other.port)
      assert.strictEqual((yield* Effect.flip(other.done)).detail, "the rest did not come within 50 ms")
    }))

  it.live("fails its scope when nobody has asked how it went", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.gen(function*() {
        const server = yield* FakeServer.make([{ expect: "a" }])
        const client = yield* dialPort(server.port)
        client.socket.write("b")
        yield* eventually(Effect.sync(() => assert.isTrue(client.ended())))
      }).pipe(Effect.scoped, Effect.exit)
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof FakeServer.ScriptError)
    }))

  it.live("does not fail its scope when the script was merely not over", () =>
    Effect.scoped(FakeServer.make([{ expect: "a" }])))

  it.live("refuses", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.make([{ refuse: true }])
      yield* isRefused(server.port)
      yield* server.done
    }))

  it.effect("sleeps in real time under a TestClock", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.make([{ sleepMs: 5 }, { reply: "USING foo\r\n" }, { close: true }])
      assert.strictEqual(yield* ask(server.port, "list-tube-used"), "USING foo\r\n")
      yield* server.done
    }))

  const scenarios: ReadonlyArray<{ readonly name: string; readonly script: FakeServer.Script }> = JSON.parse(
    readFileSync(new URL("../fixtures/client.json", import.meta.url), "utf8")
  )
  it.live.each(scenarios)("plays the scenario $name", ({ script }) =>
    Effect.gen(function*() {
      const server = yield* FakeServer.make(script)
      const clients: Array<Effect.Success<ReturnType<typeof dialPort>>> = []
      const replies: Array<string> = []
      for (const step of script) {
        if ("refuse" in step) yield* isRefused(server.port)
        if (!("conn" in step) || step.conn === undefined) continue
        const client = clients[step.conn] ??= yield* dialPort(server.port)
        if ("expect" in step) client.socket.write(step.expect, "latin1")
        if ("reply" in step) {
          replies[step.conn] = (replies[step.conn] ?? "") + step.reply
          yield* eventually(Effect.sync(() => assert.strictEqual(client.received(), replies[step.conn!])))
        }
        if ("close" in step) yield* eventually(Effect.sync(() => assert.isTrue(client.ended())))
      }
      yield* server.done
      assert.strictEqual(server.connections(), clients.length)
    }))
})

describe("FakeServer.serve", () => {
  const echo: FakeServer.Handler = (socket, n) => {
    socket.on("data", (bytes: Buffer) => socket.write(`${n}:${bytes.toString("latin1")}`, "latin1"))
  }

  const speaks = Effect.fnUntraced(function*(server: FakeServer.Serving, connect: () => Net.Socket) {
    const client = yield* dial(connect)
    client.socket.write("hi")
    yield* eventually(Effect.sync(() => assert.strictEqual(client.received(), "0:hi")))
    assert.strictEqual(server.received(), "hi")
    return client
  })

  it.live("gives each connection to the handler, and closes all with its scope", () =>
    Effect.gen(function*() {
      const client = yield* Effect.gen(function*() {
        const server = yield* FakeServer.serve(echo)
        const first = yield* speaks(server, () => Net.connect(server.port, "127.0.0.1"))
        const second = yield* dialPort(server.port)
        second.socket.write("ho")
        yield* eventually(Effect.sync(() => assert.strictEqual(second.received(), "1:ho")))
        assert.deepStrictEqual([server.connections(), server.received(0), server.received(1)], [2, "hi", "ho"])
        yield* server.refuse
        first.socket.write("!")
        yield* eventually(Effect.sync(() => assert.strictEqual(first.received(), "0:hi0:!")))
        return { second, port: server.port, sockets: server.sockets }
      }).pipe(Effect.scoped)
      yield* isRefused(client.port)
      assert.isTrue(client.sockets.every((socket) => socket.destroyed))
    }))

  it.live("listens on a Unix socket", () =>
    Effect.gen(function*() {
      const path = join(yield* tempDir, "s")
      const server = yield* FakeServer.serve(echo, { path })
      yield* speaks(server, () => Net.connect(path))
    }))

  /** A server name may not be an address. */
  const sni = (host: string) => host === "localhost" ? { servername: host } : {}
  it.live("speaks TLS, with a certificate for localhost and 127.0.0.1", () =>
    Effect.gen(function*() {
      for (const host of ["localhost", "127.0.0.1"]) {
        const server = yield* FakeServer.serve(echo, { tls: selfSigned })
        const secured = () => Tls.connect({ port: server.port, host: "127.0.0.1", ca: selfSigned.cert, ...sni(host) })
        yield* speaks(server, secured)
      }
    }))
  it.live("closes with its scope also what never finished its TLS handshake", () =>
    Effect.gen(function*() {
      const port = yield* Effect.gen(function*() {
        const server = yield* FakeServer.serve(echo, { tls: selfSigned })
        yield* dialPort(server.port)
        assert.strictEqual(server.connections(), 0)
        return server.port
      }).pipe(Effect.scoped)
      yield* isRefused(port)
    }))

  it.live("silent and recorder read what comes, deaf does not", () =>
    Effect.gen(function*() {
      const [silent, recorder, deaf] = yield* Effect.all([
        FakeServer.silent(),
        FakeServer.recorder(),
        FakeServer.deaf()
      ])
      for (const server of [deaf, silent, recorder]) {
        const client = yield* dialPort(server.port)
        client.socket.write("stats\r\n")
        yield* eventually(Effect.sync(() => assert.strictEqual(server.connections(), 1)))
        if (server !== deaf) yield* eventually(Effect.sync(() => assert.strictEqual(server.received(), "stats\r\n")))
        assert.strictEqual(client.received(), "")
      }
      assert.strictEqual(deaf.received(), "")
    }))
})

describe("eventually", () => {
  it.live("repeats a failing assertion until it holds", () =>
    Effect.gen(function*() {
      let n = 0
      const third = Effect.sync(() => {
        n++
        assert.strictEqual(n, 3)
        return "third"
      })
      assert.strictEqual(yield* eventually(third), "third")
    }))

  it.effect("ends with the last error, in real time", () =>
    Effect.gen(function*() {
      let n = 0
      const never = Effect.suspend(() => Effect.fail(++n))
      assert.strictEqual(yield* Effect.flip(eventually(never, { within: "30 millis", every: "1 millis" })), n)
      assert.isAbove(n, 1)
    }))

  it.live("ends also when an attempt hangs", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(eventually(Effect.never, { within: "20 millis" }))
      assert.isTrue(Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("still running after 20ms"))
    }))
})
