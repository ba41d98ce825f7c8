/**
 * Everything that the client and its pool offer.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Inspectable from "effect/Inspectable"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Client, type Connection, Pool, Protocol } from "effect-beanstalkd"
import { type Internals, internals } from "../../../src/internal/pool/internals.ts"
import { type Interruptible, of } from "./Interruptible.ts"
import { MAX_CONNECTIONS, PRIORITY, type Stage } from "./Stage.ts"
import { poolOf } from "../../../src/internal/client/internals.ts"

type Effects<S> = Exclude<keyof S, "server" | "pool" | Pool.TypeId | keyof Inspectable.Inspectable>

const options = { priority: PRIORITY }
const bodies = ["one", "two", "three"]
const hour = "1 hour"

/** Each member of the client, the reserves as they are used. */
export const client: Record<Effects<Client.Service> | `reserve${string}` | `putAll ${string}`, Interruptible> = {
  put: of(({ client }) => client.put("jobs", "a job", options), { adds: 1 }),
  putAll: of(({ client }) => client.putAll("jobs", bodies, options), { adds: 3 }),
  "putAll of a stream": of(({ client }) => client.putAll("jobs", Stream.fromIterable(bodies), options), { adds: 3 }),
  reserve: of(({ client }) => client.reserve("jobs")),
  "reserve with a timeout": of(({ client }) => client.reserve(["jobs", "others"], { timeout: hour })),
  "reserve, which waits": of(({ client }) => client.reserve("nothing here")),
  "reserve, which waits for ever": of(({ client }) => client.reserve("nothing")),
  "reserve, which finds nothing": of(({ client }) => Effect.flip(client.reserve("nothing", { timeout: 0 }))),
  "reserve and delete": of(
    ({ client }) => Effect.flatMap(client.reserve("jobs"), (job) => job.delete),
    { removes: 1 }
  ),
  "reserve in line for a connection": {
    prepare: ({ client }) =>
      Effect.as(Effect.replicateEffect(poolOf(client).get, MAX_CONNECTIONS), client.reserve("jobs"))
  },
  reserveJob: of(({ buried, client }) => client.reserveJob(buried)),
  delete: of(({ buried, client }) => client.delete(buried), { removes: 1 }),
  peek: of(({ client, ready }) => client.peek(ready)),
  peekReady: of(({ client }) => client.peekReady("jobs")),
  peekDelayed: of(({ client }) => client.peekDelayed("jobs")),
  peekBuried: of(({ client }) => client.peekBuried("jobs")),
  kick: of(({ client }) => client.kick("jobs", 2)),
  kickJob: of(({ client, delayed }) => client.kickJob(delayed)),
  pauseTube: of(({ client }) => client.pauseTube("jobs", hour)),
  stats: of(({ client }) => client.stats),
  statsTube: of(({ client }) => client.statsTube("jobs")),
  statsJob: of(({ client, ready }) => client.statsJob(ready)),
  listTubes: of(({ client }) => client.listTubes),
  connection: of(({ client }) => Effect.flatMap(client.connection, ({ listTubes }) => listTubes)),
  health: of(({ client }) => client.health),
  poolStats: of(({ client }) => client.poolStats),
  run: of(({ client }) => client.run(Protocol.commands.peekReady, "jobs")),
  intake: of(({ client }) =>
    Effect.flatMap(
      client.intake({
        tubes: ["jobs"],
        maxConnections: 1,
        room: () => 1,
        onJob: () => {},
        onOver: () => {},
        mayReuse: () => false,
        isInUse: () => false,
        isKept: () => false,
        onFailure: () => {}
      }),
      (intake) => Effect.sync(intake.fill)
    )
  )
}

const lists = ({ listTubes }: Connection.Service) => listTubes

const ofPool = <A, E>(f: (pool: Pool.Service) => Effect.Effect<A, E, Scope.Scope>) =>
  of(({ client }) => f(poolOf(client)))

/** Each member of the pool, and making one. */
export const pool: Record<
  | Effects<Pool.Service>
  | Exclude<keyof Internals, "reconnect" | "shared" | "contact">
  | `shared.${Exclude<
    keyof Internals["shared"],
    "load" | "supervise" | "current" | "lastFailure" | "onChange" | "startNow"
  >}`
  | `${string}.make`,
  Interruptible
> = {
  get: ofPool((pool) => Effect.flatMap(pool.get, lists)),
  use: ofPool((pool) => pool.use(lists)),
  take: ofPool((pool) =>
    Effect.flatMap(internals(pool).take(["jobs"]), (pipeline) => pipeline.run(Protocol.commands.listTubesWatched))
  ),
  open: ofPool((pool) =>
    Effect.flatMap(internals(pool).open(["jobs"]), (pipeline) => pipeline.run(Protocol.commands.listTubesWatched))
  ),
  stats: ofPool((pool) => pool.stats),
  "shared.connect": ofPool((pool) => internals(pool).shared.connect),
  "shared.connectWithin": ofPool((pool) => internals(pool).shared.connectWithin(Duration.hours(1))),
  "shared.run": ofPool((pool) => internals(pool).shared.run(Protocol.commands.listTubes)),
  "shared.isUp": ofPool((pool) => internals(pool).shared.isUp),
  "Pool.make": of(({ options }) =>
    Effect.flatMap(Pool.make({ ...options, minConnections: 1 }), ({ use }) => use(lists))
  ),
  "Client.make": of(
    ({ options }: Stage) =>
      Effect.flatMap(Client.make(options), (other) => other.put("jobs", "a job", { priority: PRIORITY })),
    { adds: 1 }
  )
}
