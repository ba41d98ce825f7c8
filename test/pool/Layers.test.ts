/**
 * A pool from options and from the configuration: how it is recognized and printed, and how it refuses wrong options.
 */
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Layer } from "effect"
import { Client, Pool, Server } from "effect-beanstalkd"
import { inspect } from "node:util"
import { poolOf } from "../../src/internal/client/internals.ts"
import { isFailure } from "../support/scripted/Peer.ts"

const pool = Pool.make({ host: "10.0.0.2" })

/** What a program in JavaScript can pass. */
const anything = (value: unknown) => value as never

describe("a pool", () => {
  it.effect("is recognized as one", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      assert.isTrue(Pool.isPool(yield* Pool.make(server.clientOptions)))
      assert.isTrue(Pool.isPool(poolOf(yield* Client.make(server.clientOptions))))
      const hostile = new Proxy({}, {
        has: () => {
          throw new Error("no")
        }
      })
      for (const other of [undefined, null, 1, "pool", {}, server, hostile]) assert.isFalse(Pool.isPool(other))
    }))

  it.effect("prints its server", () =>
    Effect.gen(function*() {
      const made = yield* pool
      assert.strictEqual(String(made), "Pool(10.0.0.2:11300)")
      assert.deepStrictEqual(JSON.parse(JSON.stringify(made)), { _id: "Pool", server: "10.0.0.2:11300" })
      assert.match(inspect(made), /_id: 'Pool', server: '10.0.0.2:11300'/)
    }))

  it.effect("takes its options from the configuration", () =>
    Effect.gen(function*() {
      const live = Pool.layerConfig({
        host: Config.String("HOST"),
        port: Config.Port("PORT"),
        maxConnections: Config.succeed(undefined),
        idleTimeout: undefined as never
      })
      const provider = ConfigProvider.fromUnknown({ HOST: "10.0.0.3", PORT: 4000 })
      const { server } = yield* Effect.provide(Pool.Pool, live).pipe(
        Effect.provideService(ConfigProvider.ConfigProvider, provider)
      )
      assert.strictEqual(server, "10.0.0.3:4000")
    }))

  const refusals: ReadonlyArray<
    readonly [operation: string, argument: string, layer: Layer.Layer<Pool.Pool, unknown>]
  > = [
    ["Pool.layer", "maxConnections", Pool.layer({ maxConnections: 0 })],
    ["Pool.layer", "options", Pool.layer(anything("localhost"))],
    ["Pool.layerConfig", "maxConnections", Pool.layerConfig({ maxConnections: Config.succeed(0) })],
    ["Pool.layerConfig", "maxConnections", Pool.layerConfig(anything({ maxConnections: 5 }))],
    ["Pool.layerConfig", "options", Pool.layerConfig(anything(undefined))]
  ]
  it.effect.each(refusals)(
    "refuses wrong options of %s and names it and %s",
    ([operation, argument, layer]) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Layer.build(layer))
        const { reason } = isFailure(error, { reason: "InvalidOptions", sent: false })
        assert.deepInclude<object>(reason, { operation, argument })
      })
  )
})
