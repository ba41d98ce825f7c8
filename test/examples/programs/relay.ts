/**
 * The relay of the example about an outbox, on a database and a server: `node relay.ts FILE URL`. It runs until it is killed.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Client } from "effect-beanstalkd"
import { relay } from "../../../examples/outbox.ts"
import * as NodeSqlite from "../../../examples/support/nodeSqlite.ts"

const [filename = "", url = ""] = process.argv.slice(2)

relay.pipe(
  Effect.provide(Layer.merge(NodeSqlite.layer({ filename }), Client.layerUrl(url))),
  NodeRuntime.runMain
)
