/**
 * The SqlClient that the examples have on `node:sqlite` does what a SqlClient must.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { join } from "node:path"
import * as NodeSqlite from "../../examples/support/nodeSqlite.ts"
import { tempDir } from "../support/TempDir.ts"

const onTable = <A, E>(
  test: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>,
  filename = ":memory:"
): Effect.Effect<A, E | SqlError.SqlError> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, text TEXT UNIQUE)`
    return yield* test(sql)
  }).pipe(Effect.provide(Layer.fresh(NodeSqlite.layer({ filename }))))

const texts = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ text: string }>`SELECT text FROM rows ORDER BY id`, (rows) => rows.map(({ text }) => text))

const add = (sql: SqlClient.SqlClient, text: string) => sql`INSERT INTO rows ${sql.insert({ text })}`

describe("SqlClient on node:sqlite", () => {
  it.effect("gives rows as objects, as arrays, and what a statement has changed", () =>
    onTable(Effect.fnUntraced(function*(sql) {
      assert.deepStrictEqual(
        yield* sql`INSERT INTO rows ${sql.insert([{ text: "a" }, { text: "b" }])} RETURNING id`,
        [{ id: 1 }, { id: 2 }].map((row) => Object.assign(Object.create(null), row))
      )
      assert.deepStrictEqual(yield* sql`SELECT id, text FROM rows`.values, [[1, "a"], [2, "b"]])
      assert.deepStrictEqual(yield* texts(sql), ["a", "b"])
      assert.deepInclude(yield* sql`UPDATE rows SET text = text || '!'`.raw, { changes: 2 })
      assert.deepStrictEqual(yield* sql`SELECT id FROM rows WHERE ${sql.in("text", ["a!"])}`.values, [[1]])
    })))

  it.effect("keeps what a transaction has written, or nothing of it", () =>
    onTable(Effect.fnUntraced(function*(sql) {
      const half = Effect.andThen(add(sql, "half"), Effect.fail("no"))
      assert.strictEqual(yield* Effect.flip(sql.withTransaction(half)), "no")
      yield* sql.withTransaction(Effect.andThen(add(sql, "a"), Effect.exit(sql.withTransaction(half))))
      assert.deepStrictEqual(yield* texts(sql), ["a"])
    })))

  it.effect("lets other fibers wait for the end of a transaction, and be interrupted as they wait", () =>
    onTable(Effect.fnUntraced(function*(sql) {
      const latch = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(
        sql.withTransaction(Effect.andThen(add(sql, "a"), Deferred.await(latch))),
        { startImmediately: true }
      )
      const second = yield* Effect.forkChild(sql.withTransaction(add(sql, "b")), { startImmediately: true })
      const reading = yield* Effect.forkChild(texts(sql), { startImmediately: true })
      yield* Fiber.interrupt(second)
      assert.isUndefined(reading.pollUnsafe())
      yield* Deferred.succeed(latch, undefined)
      yield* Fiber.join(first)
      assert.deepStrictEqual(yield* Fiber.join(reading), ["a"])
    })))

  it.effect("says what kind of error it is", () =>
    onTable(Effect.fnUntraced(function*(sql) {
      yield* add(sql, "a")
      assert.strictEqual((yield* Effect.flip(add(sql, "a"))).reason._tag, "UniqueViolation")
      assert.include((yield* Effect.flip(sql`SELECT * FROM nowhere`)).message, "no such table")
      const missing = yield* Effect.exit(onTable(() => Effect.void, "/nowhere/at/all.db"))
      assert.isTrue(Exit.isFailure(missing))
    })))

  it.live("has in a file what another client has written", () =>
    Effect.gen(function*() {
      const file = join(yield* tempDir, "rows.db")
      yield* onTable((sql) => add(sql, "a"), file)
      assert.deepStrictEqual(yield* onTable(texts, file), ["a"])
    }))
})
