/**
 * A connection as a service: how it is told from other values, how it prints, where its options come from, and whose
 * name an error about them carries.
 */
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Layer } from "effect"
import { Client, Connection, Errors, Pool } from "effect-beanstalkd"
import { inspect } from "node:util"
import * as FakeServer from "../support/FakeServer.ts"
import { selfSigned } from "../support/SelfSigned.ts"
import { isAlive, seesClose } from "../support/scripted/Peer.ts"

describe("a connection", () => {
  it.live("is one by its type ID, and nothing else is", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const connection = yield* Connection.make({ port: server.port })
      const lent = yield* Effect.flatMap(Pool.make({ port: server.port }), (pool) => pool.get)
      assert.isTrue(Connection.isConnection(connection))
      assert.isTrue(Connection.isConnection(lent))
      const lookalike = Object.fromEntries(Object.entries(connection).filter(([name]) => name !== Connection.TypeId))
      for (const other of [undefined, null, "connection", {}, lookalike]) assert.isFalse(Connection.isConnection(other))
    }))

  it.live("prints its server and whether it is closed, and none of its options", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent({ tls: selfSigned })
      const tls = { ca: selfSigned.cert, passphrase: "a secret" }
      const connection = yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* Connection.make({ port: server.port, tls })
        const shown = { _id: "Connection", server: `127.0.0.1:${server.port}`, closed: false }
        assert.deepStrictEqual(connection.toJSON(), shown)
        assert.deepStrictEqual(JSON.parse(JSON.stringify(connection)), shown)
        assert.include(String(connection), shown.server)
        assert.notInclude(inspect(connection) + String(connection), "a secret")
        return connection
      }))
      assert.deepInclude(connection.toJSON() as object, { closed: true })
    }))

  it.live("has members that work when they are taken out of it", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.make([{ expect: "use a\r\n" }, { reply: "USING a\r\n" }])
      const { closed, use } = yield* Connection.make({ port: server.port })
      assert.strictEqual(yield* use("a"), "a")
      assert.isFalse(yield* closed)
    }))
})

describe("a layer", () => {
  const config = Connection.layerConfig({
    host: Config.String("QUEUE_HOST").pipe(Config.withDefault("127.0.0.1")),
    port: Config.Port("QUEUE_PORT")
  })
  const withEnv = (env: Record<string, string>) =>
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))

  it.live("takes its options from the configuration, and closes the connection at its end", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const used = Effect.flatMap(Connection.Connection, (connection) => isAlive(connection, server))
      yield* Effect.provide(used, config).pipe(withEnv({ QUEUE_PORT: String(server.port) }))
      yield* seesClose(server)
    }))

  it.live("fails with ConfigError where the configuration lacks something", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(config))).pipe(withEnv({}))
      assert.strictEqual(error._tag, "ConfigError")
    }))
})

describe("an option that is not allowed", () => {
  const wrong = { port: 0 }
  const made: ReadonlyArray<readonly [operation: string, make: Effect.Effect<unknown, unknown>]> = [
    ["Connection.make", Effect.scoped(Connection.make(wrong))],
    ["Connection.layer", Effect.scoped(Layer.build(Connection.layer(wrong)))],
    ["Connection.layerConfig", Effect.scoped(Layer.build(Connection.layerConfig({ port: Config.succeed(0) })))],
    ["Pool.make", Effect.scoped(Pool.make(wrong))],
    ["Client.make", Effect.scoped(Client.make(wrong))]
  ]
  it.effect.each(made)(
    "fails %s in its own name, and says nothing about connecting",
    ([operation, make]) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(make)
        assert.instanceOf(error, Errors.BeanstalkdError)
        assert.strictEqual(error.message, `${operation}: port must be an integer from 1 to 65535, got 0`)
        assert.strictEqual(error.command, operation)
        assert.isFalse(error.sent)
      })
  )

  it.effect("of a configuration is named as well, if it is no Config", () =>
    Effect.gen(function*() {
      const layer = Connection.layerConfig({ port: 11_300 as never })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.strictEqual(error.message, "Connection.layerConfig: port must be a Config, got 11300")
    }))
})

describe("options", () => {
  it.live("are read once, when the connection is asked for", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.silent()
      const options = { port: server.port, host: "127.0.0.1" }
      const opening = Connection.make(options)
      options.port = 0
      for (let n = 0; n < 2; n++) yield* Effect.scoped(opening)
      let reads = 0
      yield* Effect.scoped(Connection.make({
        get port() {
          return reads++ === 0 ? server.port : 0
        }
      }))
      assert.strictEqual(reads, 1)
    }))
})
