/**
 * Runs an example on the server that BEANSTALKD_URL names, or else on one inside this process, which ends with it. What
 * it fails with is told in one line.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Option } from "effect"
import { Client, Server } from "effect-beanstalkd"

export const client = Layer.unwrap(Effect.map(
  Config.option(Config.String("BEANSTALKD_URL")),
  Option.match({ onNone: () => Server.layerMemory(), onSome: (url) => Client.layerUrl(url) })
))

const explain = (error: { readonly message: string }) =>
  Effect.andThen(
    Console.error(error.message),
    Effect.sync(() => {
      process.exitCode = 1
    })
  )

export const run = <E extends { readonly message: string }>(program: Effect.Effect<void, E, Client.Beanstalkd>): void =>
  program.pipe(Effect.provide(client), Effect.catch(explain), NodeRuntime.runMain)
