/**
 * A service that carries out orders as workflows of two steps, each done by a worker of a `DurableQueue`. The workflows are in
 * SQLite, and so are the claims. The service appends a line to a file for each handler that begins, each effect, and each order
 * that is done. A step waits for its gate, a file. Its effect is done once by its key.
 *
 * Arguments: the port of a beanstalkd, a directory, the id of the order.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as ClusterWorkflowEngine from "effect/cluster/ClusterWorkflowEngine"
import * as SingleRunner from "effect/cluster/SingleRunner"
import * as Digest from "effect/crypto/Digest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Schema from "effect/Schema"
import * as DurableQueue from "effect/workflow/DurableQueue"
import * as Workflow from "effect/workflow/Workflow"
import { appendFileSync, existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Claims from "../../../src/Claims.ts"
import * as Client from "../../../src/Client.ts"
import * as PersistedQueueStore from "../../../src/PersistedQueueStore.ts"
import * as NodeSqlite from "../../support/NodeSqlite.ts"

const [port, dir, order] = process.argv.slice(2) as [string, string, string]

const file = join(dir, "log")
const tell = (line: string) => Effect.sync(() => appendFileSync(file, `${line}\n`))
const hasTold = (line: string) => readFileSync(file, "utf8").split("\n").includes(line)

const stepOf = (name: string) =>
  DurableQueue.make({
    name,
    payload: { order: Schema.String },
    success: Schema.String,
    idempotencyKey: ({ order }) => order
  })

const Reserve = stepOf("reserve")
const Charge = stepOf("charge")

const Order = Workflow.make("Order", {
  payload: { order: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ order }) => order
})

const OrderLive = Order.toLayer(Effect.fnUntraced(function*({ order }) {
  const reserved = yield* DurableQueue.process(Reserve, { order })
  const charged = yield* DurableQueue.process(Charge, { order })
  return `${reserved}, ${charged}`
}))

const gate = (name: string) =>
  Effect.repeat(Effect.andThen(Effect.sleep("10 millis"), Effect.sync(() => existsSync(join(dir, name)))), {
    until: (isOpen) => isOpen
  })

const handler = (name: string) => ({ order }: { readonly order: string }) =>
  Effect.gen(function*() {
    const key = `${name} ${order}`
    yield* tell(`began ${key}`)
    yield* gate(name)
    if (!hasTold(`effect ${key}`)) yield* tell(`effect ${key}`)
    return key
  })

const Workers = Layer.mergeAll(
  DurableQueue.worker(Reserve, handler("reserve")),
  DurableQueue.worker(Charge, handler("charge"))
)

const Sqlite = NodeSqlite.layer(join(dir, "orders.sqlite"))

const Queues = PersistedQueue.layer.pipe(
  Layer.provide(PersistedQueueStore.layer()),
  Layer.provide([Client.layer({ port: Number(port) }), Claims.layerSql()])
)

// One process at a time: nobody else holds its shards.
const Engine = ClusterWorkflowEngine.layer.pipe(Layer.provide(SingleRunner.layer({
  runnerStorage: "memory",
  shardingConfig: { entityMessagePollInterval: "100 millis", shardsPerGroup: 4 }
})))

const Live = Layer.mergeAll(OrderLive, Workers).pipe(
  Layer.provideMerge([Engine, Queues]),
  Layer.provide([Sqlite, Digest.layerWebCrypto])
)

NodeRuntime.runMain(
  Order.execute({ order }).pipe(
    Effect.flatMap((result) => tell(`done ${result}`)),
    Effect.provide(Live)
  )
)
