/**
 * The stores of Effect's queues that are held against one contract: Effect's own, and ours on either server with claims of
 * each kind.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Claims from "../../src/Claims.ts"
import * as Client from "../../src/Client.ts"
import * as PersistedQueueStore from "../../src/PersistedQueueStore.ts"
import * as Server from "../../src/Server.ts"
import * as NodeSqlite from "../support/NodeSqlite.ts"
import * as Postgres from "../support/Postgres.ts"
import * as RealServer from "../support/RealServer.ts"
import * as Redis from "../support/Redis.ts"

/** What a suite gets of a store. */
export type StoreLayer = Layer.Layer<PersistedQueue.PersistedQueueStore>

/** A client of a beanstalkd of its own. */
export const real: Layer.Layer<Client.Beanstalkd> = Layer.unwrap(
  Effect.map(RealServer.make(), ({ port }) => Client.layer({ port }))
).pipe(Layer.orDie)

/** A client of an embedded server of its own. */
export const embedded: Layer.Layer<Client.Beanstalkd> = Layer.orDie(Server.layerMemory())

/** Claims of each kind. */
export const claims: Record<"memory" | "redis" | "sqlite" | "postgres", Layer.Layer<Claims.Claims>> = {
  memory: Claims.layerMemory,
  redis: Layer.orDie(Claims.layerRedis().pipe(Layer.provide(Redis.layer))),
  sqlite: Layer.orDie(Claims.layerSql().pipe(Layer.provide(NodeSqlite.layer()))),
  postgres: Layer.orDie(Claims.layerSql().pipe(Layer.provide(Postgres.layer)))
}

/** Our store on this server, with these claims. */
export const ours = (client: Layer.Layer<Client.Beanstalkd>, claims: Layer.Layer<Claims.Claims>): StoreLayer =>
  Layer.orDie(PersistedQueueStore.layer().pipe(Layer.provide([client, claims])))

const pollInterval = "20 millis"

/** Effect's own stores. */
export const effects: Record<"memory" | "redis" | "sqlite", StoreLayer> = {
  memory: PersistedQueue.layerStoreMemory,
  redis: PersistedQueue.layerStoreRedis({ pollInterval }).pipe(Layer.provide(Redis.layer)),
  sqlite: Layer.orDie(PersistedQueue.layerStoreSql({ pollInterval }).pipe(Layer.provide(NodeSqlite.layer())))
}
