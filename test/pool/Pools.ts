/**
 * What the tests of pools share.
 */
import { assert } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Scope } from "effect"
import { Pool } from "effect-beanstalkd"
import { start } from "../support/scripted/Peer.ts"
import { eventually } from "../support/Eventually.ts"

/** Waits until the pool is in this state. */
export const has = (pool: Pool.Service, stats: Partial<Pool.Stats>) =>
  eventually(Effect.map(pool.stats, (actual) => assert.deepInclude(actual, stats)))

/** A pool with a Scope of its own, to close while the test goes on. */
export const closeable = Effect.fnUntraced(function*(options: Pool.Options) {
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const pool = yield* Scope.provide(Pool.make(options), scope)
  return { pool, close: Scope.close(scope, Exit.void) }
})

/** What {@link ask} sends. */
export const asking = "list-tube-used\r\n"

/** Borrows a connection for one command. */
export const ask = (pool: Pool.Service) => pool.use((connection) => connection.listTubeUsed)

/** Asks on a connection of the pool, and keeps it until it is told to end. */
export const borrow = Effect.fnUntraced(function*(pool: Pool.Service, onEnd: () => void = () => {}) {
  const latch = yield* Latch.make()
  const fiber = yield* start(
    pool.use(({ listTubeUsed }) => Effect.andThen(listTubeUsed, Effect.andThen(latch.await, Effect.sync(onEnd))))
  )
  return { fiber, end: Effect.andThen(latch.open, Fiber.await(fiber)) }
})
