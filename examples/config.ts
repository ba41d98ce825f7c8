/**
 * A layer whose options come from the configuration: here from the environment, as by default.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, ConfigProvider, Console, Effect, Layer } from "effect"
import { Client, Server } from "effect-beanstalkd"

const live = Client.layerConfig({
  url: Config.String("QUEUE_URL"),
  connectTimeout: Config.Duration("QUEUE_CONNECT_TIMEOUT").pipe(Config.withDefault("2 seconds")),
  maxConnections: Config.Int("QUEUE_MAX_CONNECTIONS").pipe(Config.withDefault(4))
})

const program = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  const { id } = yield* beanstalkd.put("configured", "hello")
  const { state, tube } = yield* beanstalkd.statsJob(id)
  yield* Console.log(`job ${id} is ${state} in ${tube}`)
})

// What the environment would have, and a server where it says.
const environment = Layer.unwrap(
  Effect.map(Server.make({ port: 0 }), ({ port }) =>
    ConfigProvider.layer(ConfigProvider.fromEnv({
      env: { QUEUE_URL: `beanstalk://127.0.0.1:${port}`, QUEUE_MAX_CONNECTIONS: "2" }
    })))
)

program.pipe(
  Effect.provide(live.pipe(Layer.provide(environment))),
  NodeRuntime.runMain
)
