/**
 * The ways to a server: TCP, a unix socket, TLS. The same commands work over all of them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Connection } from "effect-beanstalkd"
import { Effect } from "effect"
import { join } from "node:path"
import { TLSSocket } from "node:tls"
import * as FakeServer from "../support/FakeServer.ts"
import { selfSigned } from "../support/SelfSigned.ts"
import { tempDir } from "../support/TempDir.ts"
import { fails, isAlive, isDead, seesClose, socketOf } from "../support/scripted/Peer.ts"

/** A connection that works while its Scope is open, and ends with it. */
const worksAndEnds = Effect.fnUntraced(function*(server: FakeServer.Serving, options: Connection.Options) {
  const connection = yield* Effect.gen(function*() {
    const connection = yield* Connection.make(options)
    yield* isAlive(connection, server)
    yield* isAlive(connection, server)
    return connection
  }).pipe(Effect.scoped)
  yield* isDead(connection, server)
  return connection
})

// Node and Deno write a hyphen, Bun does not.
const SELF_SIGNED = /self.signed certificate/

const cannotOpen = Effect.fnUntraced(function*(options: Connection.Options, why: string | RegExp) {
  const error = yield* fails(Connection.make(options), { reason: "OpenError", sent: false, command: "connect" })
  if (typeof why === "string") assert.include(error.message, why)
  else assert.match(error.message, why)
  return error
})

describe("TCP", () => {
  it.live.each(["127.0.0.1", "localhost"])("to %s", (host) =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const connection = yield* worksAndEnds(server, { host, port: server.port })
      assert.strictEqual(connection.server, `${host}:${server.port}`)
    }))

  it.live("to this machine unless told", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const connection = yield* worksAndEnds(server, { port: server.port })
      assert.strictEqual(connection.server, `127.0.0.1:${server.port}`)
    }))

  it.live("by URL", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const connection = yield* worksAndEnds(server, { url: `beanstalk://localhost:${server.port}` })
      assert.strictEqual(connection.server, `localhost:${server.port}`)
    }))
})

describe("a unix socket", () => {
  it.live("by path and by URL", () =>
    Effect.gen(function*() {
      const path = join(yield* tempDir, "s")
      for (const options of [{ path }, { url: `unix://${path}` }]) {
        yield* Effect.gen(function*() {
          const server = yield* FakeServer.silent({ path })
          const connection = yield* worksAndEnds(server, options)
          assert.strictEqual(connection.server, `unix:${path}`)
        }).pipe(Effect.scoped)
      }
    }))

  it.live("that is not there", () =>
    Effect.gen(function*() {
      const path = join(yield* tempDir, "s")
      const error = yield* cannotOpen({ path }, "ENOENT")
      assert.isTrue(error.isRetryable)
      assert.strictEqual(error.server, `unix:${path}`)
    }))
})

describe("TLS", () => {
  const ca = selfSigned.cert
  const speaking = FakeServer.silent({ tls: selfSigned })

  it.live("to a server whose certificate is trusted, by its address", () =>
    Effect.gen(function*() {
      const server = yield* speaking
      yield* worksAndEnds(server, { port: server.port, tls: { ca } })
    }))

  it.live.each([
    { how: "the host", options: { host: "localhost", tls: { ca } } },
    { how: "`servername`", options: { tls: { ca, servername: "localhost" } } }
  ])("names the server by $how", ({ options }) =>
    Effect.gen(function*() {
      const server = yield* speaking
      yield* worksAndEnds(server, { port: server.port, ...options })
      const socket = yield* socketOf(server)
      assert.instanceOf(socket, TLSSocket)
      assert.strictEqual(Reflect.get(socket, "servername"), "localhost")
    }))

  it.live("by URL", () =>
    Effect.gen(function*() {
      const server = yield* speaking
      yield* worksAndEnds(server, { url: `beanstalk+tls://localhost:${server.port}`, tls: { ca } })
    }))

  it.live("over a unix socket", () =>
    Effect.gen(function*() {
      const path = join(yield* tempDir, "s")
      const server = yield* FakeServer.silent({ path, tls: selfSigned })
      yield* worksAndEnds(server, { path, tls: { ca, servername: "localhost" } })
    }))

  it.live("to a server whose certificate is not trusted fails", () =>
    Effect.gen(function*() {
      const server = yield* speaking
      yield* cannotOpen({ port: server.port, tls: true }, SELF_SIGNED)
      yield* cannotOpen({ port: server.port, tls: {} }, SELF_SIGNED)
    }))

  it.live("to a server of another name fails", () =>
    Effect.gen(function*() {
      const server = yield* speaking
      yield* cannotOpen({ port: server.port, tls: { ca, servername: "example.com" } }, "example.com")
    }))

  it.live("to a server that does not speak it fails", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve((socket) => {
        socket.write("UNKNOWN_COMMAND\r\n")
      })
      yield* cannotOpen({ port: server.port, tls: true }, "cannot connect")
      yield* seesClose(server)
    }))

  it.live("to a server that hangs up in the handshake fails", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve((socket) => {
        socket.end()
      })
      yield* cannotOpen({ port: server.port, tls: true }, "cannot connect")
    }))

  it.live("is not spoken unless it is asked for", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      yield* worksAndEnds(server, { port: server.port, tls: false })
    }))
})

describe("where no server can be", () => {
  const wrong: ReadonlyArray<readonly [options: Record<string, unknown>, why: string]> = [
    [{ path: "" }, "path must be the path of a unix socket"],
    [{ path: 5 }, "path must be the path of a unix socket"],
    [{ path: null }, "path must be the path of a unix socket"],
    [{ path: {} }, "path must be the path of a unix socket"],
    [{ host: "" }, "host must be a host name or an address"],
    [{ host: 5 }, "host must be a host name or an address"],
    [{ port: 0 }, "port must be an integer from 1 to 65535"],
    [{ port: 65_536 }, "port must be an integer from 1 to 65535"],
    [{ port: 1.5 }, "port must be an integer from 1 to 65535"],
    [{ port: "11300" }, "port must be an integer from 1 to 65535"],
    [{ tls: 1 }, "tls must be true, false, or the options of node:tls"],
    [{ tls: "yes" }, "tls must be true, false, or the options of node:tls"],
    [{ tls: null }, "tls must be true, false, or the options of node:tls"],
    [{ tls: [] }, "tls must be true, false, or the options of node:tls"]
  ]
  it.live.each(wrong)("is said of %o, once and for all", ([options, why]) =>
    Effect.gen(function*() {
      const error = yield* fails(Connection.make(options), {
        reason: "InvalidOptions",
        sent: false,
        command: "Connection.make"
      })
      assert.isTrue(error.message.startsWith(`Connection.make: ${why}, got `), error.message)
      assert.isFalse(error.isRetryable)
    }))
})
