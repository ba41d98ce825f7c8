/**
 * A client of SQLite over `node:sqlite`, for tests: the package of Effect for it does not fit this version. One connection,
 * one statement at a time.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlConnection from "effect/sql/SqlConnection"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"

type Row = Record<string, unknown>

const connectionOf = (db: DatabaseSync): SqlConnection.Connection => {
  const statements = new Map<string, StatementSync>()
  const statementOf = (sql: string): StatementSync => {
    const known = statements.get(sql)
    if (known !== undefined) return known
    const statement = db.prepare(sql)
    statements.set(sql, statement)
    return statement
  }
  const run = (sql: string, params: ReadonlyArray<unknown>) =>
    Effect.try({
      try: () => statementOf(sql).all(...params as ReadonlyArray<SQLInputValue>) as Array<Row>,
      catch: (cause) => new SqlError({ reason: new UnknownError({ cause, message: String(cause), operation: sql }) })
    })
  const execute: SqlConnection.Connection["execute"] = (sql, params, transformRows) =>
    Effect.map(run(sql, params), (rows) => transformRows === undefined ? rows : transformRows(rows))
  const values: SqlConnection.Connection["executeValues"] = (sql, params) =>
    Effect.map(run(sql, params), (rows) => rows.map((row) => Object.values(row)))
  return {
    execute,
    executeRaw: run,
    executeValues: values,
    executeValuesUnprepared: values,
    executeUnprepared: execute,
    executeStream: () => Stream.die(new Error("no streams here"))
  }
}

/** A client of the database in this file; `:memory:` for one that ends with it. */
export const layer = (filename = ":memory:"): Layer.Layer<SqlClient.SqlClient> =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.gen(function*() {
      const db = yield* Effect.acquireRelease(
        Effect.sync(() => new DatabaseSync(filename, { timeout: 10_000 })),
        (db) => Effect.sync(() => db.close())
      )
      db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
      const connection = connectionOf(db)
      const semaphore = yield* Semaphore.make(1)
      const inTransaction = Effect.uninterruptibleMask((restore) =>
        Effect.as(
          Effect.tap(restore(semaphore.take(1)), () => Effect.addFinalizer(() => semaphore.release(1))),
          connection
        )
      )
      return yield* SqlClient.make({
        acquirer: Effect.succeed(connection),
        transactionAcquirer: inTransaction,
        compiler: Statement.makeCompilerSqlite(),
        driver: "sqlite",
        spanAttributes: [["db.system.name", "sqlite"]]
      })
    })
  ).pipe(Layer.provide(Reactivity.layer))
