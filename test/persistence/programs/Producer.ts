/**
 * A producer that is killed after it has put an element and before it claims the id.
 *
 * Arguments: the port of a beanstalkd, the id of the element.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Schema from "effect/Schema"
import * as Claims from "../../../src/Claims.ts"
import * as Client from "../../../src/Client.ts"
import * as PersistedQueueStore from "../../../src/PersistedQueueStore.ts"

const [port, id] = process.argv.slice(2) as [string, string]

const deadly = Layer.effect(
  Claims.Claims,
  Effect.map(Effect.provide(Claims.Claims, Claims.layerMemory), (claims) => ({
    ...claims,
    claim: () => Effect.sync(() => process.kill(process.pid, "SIGKILL")).pipe(Effect.andThen(Effect.never))
  }))
)

const Queues = PersistedQueue.layer.pipe(
  Layer.provide(PersistedQueueStore.layer()),
  Layer.provide([Client.layer({ port: Number(port) }), deadly])
)

await Effect.runPromise(
  PersistedQueue.make({ name: "work", schema: Schema.String }).pipe(
    Effect.flatMap((queue) => queue.offer("put, and not claimed", { id })),
    Effect.provide(Queues)
  )
)
