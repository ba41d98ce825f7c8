/**
 * The forms in which a client takes its options from the configuration.
 */
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Layer } from "effect"
import { Client, Errors, Server } from "effect-beanstalkd"

const TLS = { ca: Config.String("CA"), servername: Config.String("NAME") }

type Wrapped = Parameters<typeof Client.layerConfig>[0]

/** What the client fails with, as the option and the rule; `tls` is never spoken, so that a dial fails. */
const refusal = (options: unknown, env: Record<string, string> = {}) =>
  Layer.build(Client.layerConfig(options as Wrapped)).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))),
    Effect.scoped,
    Effect.flip,
    Effect.map((error) => {
      if (error._tag === "ConfigError") return error._tag
      const { reason } = error
      if (reason instanceof Errors.InvalidOptions) return `${reason.argument} must be ${reason.rule}`
      assert.instanceOf(reason, Errors.OpenError)
      return "a dial that failed"
    })
  )

const port = 1

describe("a client from the configuration", () => {
  it.effect("is made of one Config of all its options", () =>
    Effect.gen(function*() {
      const { clientOptions } = yield* Server.makeMemory()
      const layer = Client.layerConfig(Config.succeed({ ...clientOptions, maxConnections: 1 }))
      const { id } = yield* Effect.flatMap(Client.Beanstalkd, ({ put }) => put("jobs", "x")).pipe(Effect.provide(layer))
      assert.strictEqual(Number(id), 1)
    }))

  it.effect("is made of an object of Configs, of which some are objects of Configs, and some are not set", () =>
    Effect.gen(function*() {
      const { clientOptions } = yield* Server.makeMemory()
      const layer = Client.layerConfig({
        dialer: Config.succeed(clientOptions.dialer),
        host: undefined,
        tls: TLS
      } as unknown as Wrapped)
      const env = { CA: "x", NAME: "y" }
      const { id } = yield* Effect.flatMap(Client.Beanstalkd, ({ put }) => put("jobs", "x")).pipe(
        Effect.provide(Layer.provide(layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
      )
      assert.strictEqual(Number(id), 1)
    }))

  const refused: ReadonlyArray<readonly [what: string, options: unknown, refusal: string]> = [
    ["a plain option", { port }, "port must be a Config"],
    ["a plain option beside Configs", { host: Config.succeed("x"), port }, "port must be a Config"],
    ["null", { host: null }, "host must be a Config"],
    ["a list of Configs", { watch: [Config.succeed("a")] }, "watch must be a Config"],
    ["an object that is no Config but for one", { tls: { ...TLS, rejectUnauthorized: false } }, "tls must be a Config"],
    ["an instance of a class", { tls: new Map() }, "tls must be a Config"],
    ["options that are no object", "host", "options must be a Config, or an object of Configs"],
    ["none", undefined, "options must be a Config, or an object of Configs"],
    ["a list", [], "options must be a Config, or an object of Configs"],
    ["a Config of nonsense", { port: Config.succeed(70_000) }, "port must be an integer from 1 to 65535"],
    ["what the configuration lacks", { port: Config.Port("PORT") }, "ConfigError"],
    ["what an object within lacks", { tls: TLS }, "ConfigError"]
  ]
  it.effect.each(refused)("is refused of %s, which is named", ([, options, expected]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* refusal(options), expected)
    }))

  it.live("has options without a prototype as well", () =>
    Effect.gen(function*() {
      const options = Object.assign(Object.create(null), { port: Config.succeed(port) })
      assert.strictEqual(yield* refusal(options), "a dial that failed")
    }))
})
