/**
 * The example about an outbox: an order is never without its job, and whatever dies in between, none is lost.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { Client, Server } from "effect-beanstalkd"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { migrate, Orders, placeOrder, relay, relayBatch, ship, worker } from "../../examples/outbox.ts"
import * as NodeSqlite from "../../examples/support/nodeSqlite.ts"
import { settle } from "../fleet/Fleets.ts"
import { eventually } from "../support/Eventually.ts"
import { onMemory } from "../support/Fixture.ts"
import { tempDir } from "../support/TempDir.ts"

const onDatabase = <A, E, R>(test: (sql: SqlClient.SqlClient) => Effect.Effect<A, E, R>, filename = ":memory:") =>
  Effect.gen(function*() {
    yield* migrate
    return yield* test(yield* SqlClient.SqlClient)
  }).pipe(Effect.provide(Layer.fresh(NodeSqlite.layer({ filename }))))

const count = (sql: SqlClient.SqlClient, table: string, state?: string) =>
  (state === undefined
    ? sql<{ n: number }>`SELECT count(*) AS n FROM ${sql(table)}`
    : sql<{ n: number }>`SELECT count(*) AS n FROM ${sql(table)} WHERE state = ${state}`).pipe(
      Effect.map(([row]) => row!.n)
    )

/** The ids in the tube, in the order in which they were put, twice where a job was put twice. */
const idsIn = Effect.fnUntraced(function*(length: number) {
  const jobs = yield* Orders.stream({ prefetch: length }).pipe(Stream.take(length), Stream.runCollect)
  return jobs.map(({ value }) => value.id)
}, Effect.scoped)

const place = (n: number) => Effect.forEach(Array.from({ length: n }, (_, i) => `item ${i}`), placeOrder)

describe("the example about an outbox", () => {
  it.effect("writes an order and its job, or neither", () =>
    onDatabase(Effect.fnUntraced(function*(sql) {
      yield* placeOrder("tent")
      assert.deepStrictEqual([yield* count(sql, "orders"), yield* count(sql, "outbox", "new")], [1, 1])
      yield* sql`DROP TABLE outbox`
      assert.strictEqual((yield* Effect.flip(placeOrder("stove")))._tag, "SqlError")
      assert.strictEqual(yield* count(sql, "orders"), 1)
    })))

  it.effect("puts a job again whose relay died between the put and the mark, and ships it once", () =>
    onMemory(() =>
      onDatabase(Effect.fnUntraced(function*(sql) {
        const ids = yield* place(3)
        yield* Effect.exit(relayBatch((id) => id === ids[0] ? Effect.interrupt : Effect.void))
        assert.isAtLeast(yield* count(sql, "outbox", "new"), 1)
        yield* relayBatch()
        assert.strictEqual(yield* count(sql, "outbox", "new"), 0)
        const { totalJobs } = yield* Orders.stats
        assert.isAtLeast(totalJobs, 4)
        assert.sameMembers([...new Set(yield* idsIn(totalJobs))], [...ids])
        yield* Effect.forkScoped(worker)
        yield* settle
        assert.strictEqual((yield* Orders.stats).cmdDelete, totalJobs)
        assert.strictEqual(yield* count(sql, "shipments"), 3)
      }))
    ))

  it.effect("ships an order once, though it comes twice at a time", () =>
    onDatabase(Effect.fnUntraced(function*(sql) {
      yield* Effect.forEach([1, 2], () => ship({ id: "a", item: "tent" }), { concurrency: "unbounded" })
      assert.strictEqual(yield* count(sql, "shipments"), 1)
    })))

  it.effect("keeps the rows while the server takes no jobs, and goes on", () =>
    onMemory((_, server) =>
      onDatabase(Effect.fnUntraced(function*(sql) {
        yield* place(3)
        yield* server.injectFaults({ shortage: "jobs" })
        yield* Effect.forkScoped(relay)
        yield* settle
        assert.strictEqual(yield* count(sql, "outbox", "new"), 3)
        yield* server.injectFaults({})
        yield* TestClock.adjust("200 millis")
        yield* settle
        assert.strictEqual(yield* count(sql, "outbox", "put"), 3)
      }))
    ))

  it.effect("does not let a job that can never be put stop those behind it", () =>
    onMemory(() =>
      onDatabase(Effect.fnUntraced(function*(sql) {
        yield* placeOrder("x".repeat(70_000))
        yield* place(2)
        yield* relayBatch()
        assert.deepStrictEqual([yield* count(sql, "outbox", "put"), yield* count(sql, "outbox", "refused")], [2, 1])
        const [row] = yield* sql<{ reason: string }>`SELECT reason FROM outbox WHERE state = 'refused'`
        assert.include(row!.reason, "70")
      }))
    ))

  it.live("loses nothing when the process of the relay is killed between puts and marks", () =>
    Effect.gen(function*() {
      const server = yield* Server.make({ port: 0 })
      const filename = join(yield* tempDir, "orders.db")
      const program = join(import.meta.dirname, "programs/relay.ts")
      const start = Effect.acquireRelease(
        Effect.sync(() => spawn("node", [program, filename, `beanstalk://${server.server}`], { stdio: "ignore" })),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const patience = { within: "20 seconds" } as const
      yield* onDatabase(
        Effect.fnUntraced(function*(sql) {
          const ids = yield* place(150)
          const isPut = Effect.map(Orders.stats, ({ totalJobs }) => assert.isAbove(totalJobs, 0))
          // A transaction of another process: the relay can put, and not mark.
          yield* sql.withTransaction(Effect.scoped(Effect.andThen(start, eventually(isPut, patience))))
          assert.strictEqual(yield* count(sql, "outbox", "new"), 150)
          yield* start
          yield* eventually(Effect.map(count(sql, "outbox", "put"), (n) => assert.strictEqual(n, 150)), patience)
          const { totalJobs } = yield* Orders.stats
          assert.sameMembers([...new Set(yield* idsIn(totalJobs))], [...ids])
          // Those that were on their way came twice, and no others.
          assert.isAbove(totalJobs, 150)
          assert.isAtMost(totalJobs, 150 + 16)
        }),
        filename
      ).pipe(Effect.provideServiceEffect(Client.Beanstalkd, Client.make(server.clientOptions)))
    }))
})
