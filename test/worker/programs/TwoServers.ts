/**
 * Two workers on two servers, of which one is given up when it is gone. It writes a line for each thing that happens.
 *
 * Arguments: the ports of both servers, and how the layers are composed: `merged` or `provided`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Client from "../../../src/Client.ts"
import * as Tube from "../../../src/Tube.ts"
import * as Worker from "../../../src/Worker.ts"

const [first, second, how] = process.argv.slice(2) as [string, string, string]

class Second extends Context.Service<Second, Client.Service>()("test/Second") {}

const say = (what: string) => Effect.sync(() => process.stdout.write(`${what}\n`))

const A = Tube.make("a", { codec: "text" })
const B = Tube.make("b", { codec: "text", client: Second })

const Database = Layer.effectDiscard(Effect.addFinalizer(() => say("the database is closed")))

const WorkerA = Worker.layer(A, () => Effect.void).pipe(
  Layer.provide(Client.layer({ port: Number(first), reconnect: Schedule.recurs(2) }))
)

const WorkerB = Worker.layer(B, () =>
  Effect.gen(function*() {
    yield* say("b begins")
    yield* Effect.sleep("1500 millis")
    yield* say("b is done")
  }).pipe(Effect.onInterrupt(() => say("b is interrupted")))).pipe(
    Layer.provide(Layer.effect(Second, Client.make({ port: Number(second) })))
  )

const all = how === "merged"
  ? Layer.mergeAll(WorkerA, WorkerB, Database)
  : WorkerB.pipe(Layer.provideMerge(WorkerA), Layer.provideMerge(Database))

NodeRuntime.runMain(Layer.launch(all))
