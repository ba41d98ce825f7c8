/**
 * Runs an example on the server that BEANSTALKD_URL names, or else on one of its own. What cannot be helped is told in
 * one line; that there is no server to run on is no failure of the example.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Client } from "effect-beanstalkd"
import { NoServer, ownServer } from "./ownServer.ts"

const client = Layer.unwrap(Effect.map(ownServer, (url) => Client.layerUrl(url)))

const explain = (error: { readonly message: string }) =>
  Effect.andThen(
    Console.error(error.message),
    Effect.sync(() => {
      if (!(error instanceof NoServer)) process.exitCode = 1
    })
  )

export const run = <E extends { readonly message: string }>(program: Effect.Effect<void, E, Client.Beanstalkd>): void =>
  program.pipe(Effect.provide(client), Effect.catch(explain), NodeRuntime.runMain)
