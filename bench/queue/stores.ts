/**
 * The stores that are compared, each by the port of its server. All have their defaults.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import { Claims, Client, PersistedQueueStore } from "effect-beanstalkd"
import { spawn } from "node:child_process"
import { rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeSqlite from "../../test/support/NodeSqlite.ts"
import { real, type Start } from "../beanstalkd.ts"
import { own } from "../processes.ts"

/** A layer of a store whose server listens on the port. */
export type StoreOf = (port: number) => Layer.Layer<PersistedQueue.PersistedQueueStore, unknown>

/** A store, and the server to be started for it. */
export interface Compared {
  readonly store: StoreOf
  readonly server: Start
}

const redisServer: Start = (port) => ["redis-server", "--port", String(port), "--save", "", "--appendonly", "no"]

// It may not listen yet.
const redis = (port: number) =>
  NodeRedis.layer({ url: `redis://127.0.0.1:${port}`, socket: { reconnectStrategy: () => 20 } })

const fileOf = (port: number): string => join(tmpdir(), `bench-queue-${port}.sqlite`)

/** Removes what an earlier run with this port has left. */
export const removeFiles = (port: number): void => {
  for (const end of ["", "-wal", "-shm"]) rmSync(fileOf(port) + end, { force: true })
}

const sqlite = (port: number) => NodeSqlite.layer(fileOf(port))

const ours = (port: number, claims: Layer.Layer<Claims.Claims, unknown>): Layer.Layer<
  PersistedQueue.PersistedQueueStore,
  unknown
> => PersistedQueueStore.layer().pipe(Layer.provide([Client.layer({ port }), claims]))

/** A Redis beside the server, on a port of its own: the one after it. */
const besides = (port: number) =>
  Layer.unwrap(Effect.gen(function*() {
    const [command, ...args] = redisServer(port + 1)
    const child = spawn(command, args, { stdio: "ignore" })
    own(child)
    yield* Effect.addFinalizer(() => Effect.sync(() => child.kill()))
    return redis(port + 1)
  }))

export const OURS = "beanstalkd"
export const REDIS = "redis"

/** The stores by name. */
export const STORES: Readonly<Record<string, Compared>> = {
  [OURS]: { store: (port) => ours(port, Claims.layerMemory), server: real },
  "beanstalkd, claims in Redis": {
    store: (port) => ours(port, Layer.provide(Claims.layerRedis(), besides(port))),
    server: real
  },
  "beanstalkd, claims in SQLite": {
    store: (port) => ours(port, Layer.provide(Claims.layerSql(), sqlite(port))),
    server: real
  },
  [REDIS]: {
    store: (port) => PersistedQueue.layerStoreRedis().pipe(Layer.provide(redis(port))),
    server: redisServer
  },
  sqlite: { store: (port) => PersistedQueue.layerStoreSql().pipe(Layer.provide(sqlite(port))), server: real }
}
