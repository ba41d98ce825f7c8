/**
 * Runs an example on the server that BEANSTALKD_URL names, or else on one of its own. What cannot be helped is told in
 * one line.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Client } from "effect-beanstalkd"
import { ownServer } from "./ownServer.ts"

const client = Layer.unwrap(Effect.map(ownServer, (url) => Client.layerUrl(url)))

export const run = <E extends { readonly message: string }>(program: Effect.Effect<void, E, Client.Beanstalkd>): void =>
  program.pipe(
    Effect.provide(client),
    Effect.catch((error) => Effect.andThen(Console.error(error.message), Effect.sync(() => process.exitCode = 1))),
    NodeRuntime.runMain
  )
