/**
 * The pool and a server: what a borrower leaves behind does not reach the next, and the server counts the same
 * connections as the pool.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Connection, Pool } from "effect-beanstalkd"
import { type AnyServer, describeServers, fromReal, type Target } from "../support/AnyServer.ts"
import { eventually } from "../support/Eventually.ts"
import * as RealServer from "../support/RealServer.ts"

const TUBE = "work"

const openOn = Effect.fnUntraced(function*({ clientOptions }: AnyServer, options?: Pool.Options) {
  const pool = yield* Pool.make({ ...clientOptions, ...options })
  /** Puts and reads on a connection that the pool knows nothing of. */
  const other = yield* Connection.make({ ...clientOptions, use: TUBE })
  /** Waits until the server has no connections but those that the pool has. */
  const hasNoOthers = eventually(Effect.gen(function*() {
    const { currentConnections } = yield* other.stats
    const { idle, used } = yield* pool.stats
    assert.strictEqual(currentConnections - 1, idle + used)
  }))
  return { pool, other, hasNoOthers }
})

const opening = (target: Target) => (options?: Pool.Options) =>
  Effect.flatMap(target.make(), (server) => openOn(server, options))

const tubesOf = Effect.fnUntraced(function*(connection: Connection.Service) {
  return { uses: yield* connection.listTubeUsed, watches: [...yield* connection.listTubesWatched].sort() }
})

const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkDetach(effect, { startImmediately: true })

describeServers("a pool", (target) => {
  const open = opening(target)

  it.live("gives every borrower the tubes of its options, whatever the one before did", () =>
    Effect.gen(function*() {
      const mine = { uses: "mine", watches: ["mine", "yours"] }
      for (const expected of [{ uses: "default", watches: ["default"] }, mine]) {
        const options = expected === mine ? { use: "mine", watch: mine.watches } : {}
        const { pool } = yield* open({ maxConnections: 1, ...options })
        const spoil = Effect.fnUntraced(function*(connection: Connection.Service) {
          yield* connection.use("theirs")
          yield* connection.watch("theirs")
          yield* connection.watch("other")
          for (const tube of expected.watches) yield* connection.ignore(tube)
          assert.deepStrictEqual(yield* tubesOf(connection), { uses: "theirs", watches: ["other", "theirs"] })
        })
        for (let times = 0; times < 3; times++) {
          assert.deepStrictEqual(yield* pool.use(tubesOf), expected)
          yield* pool.use(spoil)
        }
        assert.deepInclude(yield* pool.stats, { idle: 1, opened: 1, lost: 0 })
      }
    }))

  it.live("takes back a connection on which a job was reserved and settled", () =>
    Effect.gen(function*() {
      const { other, pool } = yield* open({ maxConnections: 1, watch: TUBE })
      yield* pool.use(Effect.fnUntraced(function*(connection) {
        for (const settle of [connection.delete, connection.release, connection.bury]) {
          yield* other.put("x")
          yield* settle((yield* connection.reserveWithTimeout(0)).id)
        }
      }))
      assert.deepInclude(yield* pool.stats, { idle: 1, opened: 1, lost: 0 })
    }))

  type Leave = (connection: Connection.Service, other: Connection.Service) => Effect.Effect<unknown, unknown>
  const leavings: Record<string, Leave> = {
    "a reserved job": (connection) => connection.reserve,
    "two reserved jobs, of which it settled one": ({ delete: remove, reserve }) =>
      Effect.andThen(reserve, Effect.flatMap(reserve, ({ id }) => remove(id))),
    "two reserved jobs, and a reserve that waits for a third": Effect.fnUntraced(function*({ reserve }, { stats }) {
      for (let n = 0; n < 3; n++) yield* start(reserve)
      yield* eventually(Effect.map(stats, ({ currentWaiting }) => assert.strictEqual(currentWaiting, 1)))
    })
  }
  it.live.each(Object.entries(leavings))(
    "closes a connection on which a borrower leaves %s, and the job is back at once",
    ([, leave]) =>
      Effect.gen(function*() {
        const { hasNoOthers, other, pool } = yield* open({ maxConnections: 1, watch: TUBE })
        yield* other.put("first", { priority: 7 })
        yield* other.put("second", { priority: 8 })
        yield* pool.use((connection) => leave(connection, other))
        yield* eventually(
          Effect.map(other.stats, (stats) => {
            assert.deepInclude(stats, { currentJobsReserved: 0, currentWaiting: 0 })
            assert.isAtLeast(stats.currentJobsReady, 1)
          }),
          { within: "1 second" }
        )
        const { id, text } = yield* other.peekReady
        assert.deepStrictEqual([text, (yield* other.statsJob(id)).pri], ["first", 7])
        yield* pool.use((connection) => connection.listTubeUsed)
        assert.deepInclude(yield* pool.stats, { idle: 1, used: 0, opened: 2, lost: 1 })
        yield* hasNoOthers
      })
  )

  it.live("does not take back a connection that was told to quit", () =>
    Effect.gen(function*() {
      const { hasNoOthers, pool } = yield* open({ maxConnections: 1 })
      yield* pool.use((connection) => connection.quit)
      assert.strictEqual(yield* pool.use((connection) => connection.listTubeUsed), "default")
      assert.deepInclude(yield* pool.stats, { idle: 1, used: 0, opened: 2 })
      yield* hasNoOthers
    }))

  it.live("counts the connections that the server counts, and has none when it is closed", () =>
    Effect.gen(function*() {
      const { clientOptions } = yield* target.make()
      const other = yield* Connection.make(clientOptions)
      const counts = Effect.map(other.stats, ({ currentConnections }) => currentConnections - 1)
      yield* Effect.scoped(Effect.gen(function*() {
        const pool = yield* Pool.make({ ...clientOptions, maxConnections: 4 })
        let most = 0
        const work = pool.use((connection) =>
          Effect.gen(function*() {
            const id = yield* connection.put("x")
            const { idle, used } = yield* pool.stats
            most = Math.max(most, idle + used, yield* counts)
            yield* connection.delete(id)
          })
        )
        yield* Effect.all(Array.from({ length: 300 }, () => work), { concurrency: 50, discard: true })
        assert.strictEqual(most, 4)
        const { idle, opened } = yield* pool.stats
        assert.deepStrictEqual([idle, opened, yield* counts], [4, 4, 4])
      }))
      yield* eventually(Effect.map(counts, (n) => assert.strictEqual(n, 0)))
    }))

  it.live("is there as a layer", () =>
    Effect.gen(function*() {
      const { address, clientOptions } = yield* target.make()
      const program = Effect.gen(function*() {
        const pool = yield* Pool.Pool
        const id = yield* pool.use((connection) => connection.put("x"))
        return [pool.server, yield* pool.use((connection) => Effect.flip(connection.touch(id)))] as const
      })
      const [server, error] = yield* Effect.provide(program, Pool.layer(clientOptions))
      assert.deepStrictEqual([server, error._tag], [address, "NotFound"])
    }))
})

RealServer.describeReal("a pool on a process", () => {
  it.live("closes a connection on which a borrower leaves a command that the server has yet to answer", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const { pool } = yield* openOn(fromReal(server), { maxConnections: 1 })
      const exit = yield* pool.use(Effect.fnUntraced(function*(connection) {
        yield* connection.listTubeUsed
        yield* server.stop
        const put = yield* start(connection.put("x"))
        yield* Effect.yieldNow
        return put
      }))
      yield* server.cont
      assert.isTrue(Exit.isFailure(yield* Fiber.await(exit)))
      yield* pool.use((connection) => connection.listTubeUsed)
      assert.deepInclude(yield* pool.stats, { idle: 1, opened: 2 })
    }))
})
