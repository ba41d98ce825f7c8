/**
 * A redis-server without persistence, one process per Scope, and Effect's client of it.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redis from "effect/persistence/Redis"
import type * as Scope from "effect/Scope"
import * as Binary from "./Binary.ts"
import { freePort } from "./FreePort.ts"
import { tempDir } from "./TempDir.ts"

const binary = Binary.find("redis-server")

/** Whether there is a redis-server. */
export const available: boolean = binary !== undefined

/** `describe` for tests that need Redis. */
export const describeRedis = (name: string, body: () => void): void =>
  Binary.describeWith("redis-server", available, name, body)

/** Starts a redis-server, and returns when it listens. */
export const make: Effect.Effect<{ readonly port: number; readonly stop: Effect.Effect<void> }, never, Scope.Scope> =
  Effect.gen(function*() {
    const dir = yield* tempDir
    const port = yield* freePort
    const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir]
    const { stop } = yield* Binary.start(binary!, args)
    yield* Binary.listens(port)
    return { port, stop }
  })

/** A client of the Redis on this port. */
export const client = (port: number): Layer.Layer<Redis.Redis> =>
  Layer.orDie(NodeRedis.layer({ url: `redis://127.0.0.1:${port}` }))

/** A Redis of its own, and its client. */
export const layer: Layer.Layer<Redis.Redis> = Layer.unwrap(Effect.map(make, ({ port }) => client(port)))
