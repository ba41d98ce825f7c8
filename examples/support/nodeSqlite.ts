/**
 * An Effect `SqlClient` on `node:sqlite`, for programs that have no driver installed: one connection, one transaction at a
 * time, statements prepared once. In production: `@effect/sql-sqlite-node`, as soon as there is one for your Effect.
 */
import { Effect, Layer, Semaphore, Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"

// SQLite's own code, which says what kind of error it is, is in `errcode`; Effect looks for it in `errno`.
const withErrno = (cause: unknown): unknown =>
  cause instanceof Error && "errcode" in cause ? Object.assign(cause, { errno: cause.errcode }) : cause

const attempt = <A>(operation: string, run: () => A): Effect.Effect<A, SqlError.SqlError> =>
  Effect.try({
    try: run,
    catch: (cause) => {
      const message = `${operation} failed: ${cause instanceof Error ? cause.message : "no reason given"}`
      return new SqlError.SqlError({ reason: SqlError.classifySqliteError(withErrno(cause), { message, operation }) })
    }
  })

const connectionOf = (db: DatabaseSync): SqlConnection.Connection => {
  const prepared = new Map<string, StatementSync>()
  const prepare = (sql: string) => {
    const known = prepared.get(sql)
    if (known !== undefined) return known
    const statement = db.prepare(sql)
    prepared.set(sql, statement)
    return statement
  }

  const all = (
    statement: () => StatementSync,
    params: ReadonlyArray<unknown>,
    asArrays = false
  ): Effect.Effect<ReadonlyArray<unknown>, SqlError.SqlError> =>
    Effect.flatMap(SqlClient.SafeIntegers, (isSafe) =>
      attempt("execute", () => {
        const ready = statement()
        ready.setReadBigInts(isSafe)
        ready.setReturnArrays(asArrays)
        return ready.all(...params as ReadonlyArray<SQLInputValue>)
      }))

  return {
    execute: (sql, params, transformRows) =>
      Effect.map(all(() => prepare(sql), params), (rows) => transformRows?.(rows as ReadonlyArray<object>) ?? rows),
    executeUnprepared: (sql, params, transformRows) =>
      Effect.map(all(() => db.prepare(sql), params), (rows) => transformRows?.(rows as ReadonlyArray<object>) ?? rows),
    executeRaw: (sql, params) => attempt("execute", () => prepare(sql).run(...params as ReadonlyArray<SQLInputValue>)),
    executeValues: (sql, params) =>
      Effect.map(all(() => prepare(sql), params, true), (rows) => rows as ReadonlyArray<ReadonlyArray<unknown>>),
    executeValuesUnprepared: (sql, params) =>
      Effect.map(all(() => db.prepare(sql), params, true), (rows) => rows as ReadonlyArray<ReadonlyArray<unknown>>),
    executeStream: () => Stream.die(new Error("streams of rows are not supported here"))
  }
}

export interface Options {
  /** The file of the database; `:memory:` keeps it in memory. */
  readonly filename: string
  /** What survives a loss of power: with `FULL` all that was committed, with `NORMAL`, the default, not the last moments. */
  readonly synchronous?: "FULL" | "NORMAL" | "OFF" | undefined
}

/** A client of the database in a file, which is closed with the layer. */
export const layer = (options: Options): Layer.Layer<SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.gen(function*() {
      const db = yield* Effect.acquireRelease(
        attempt("open", () => new DatabaseSync(options.filename, { timeout: 5000 })),
        (db) => Effect.sync(() => db.close())
      )
      const { synchronous = "NORMAL" } = options
      yield* attempt("open", () => db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`))
      const connection = connectionOf(db)
      // A transaction keeps the only connection; all other statements wait until it is over.
      const turns = yield* Semaphore.make(1)
      return yield* SqlClient.make({
        acquirer: turns.withPermits(1)(Effect.succeed(connection)),
        transactionAcquirer: Effect.uninterruptibleMask((restore) =>
          Effect.tap(restore(turns.take(1)), () => Effect.addFinalizer(() => turns.release(1)))
        ).pipe(Effect.as(connection)),
        compiler: Statement.makeCompilerSqlite(),
        driver: "sqlite",
        spanAttributes: [["db.system.name", "sqlite"]],
        // Another process that writes makes BEGIN wait, and not a statement in the middle fail.
        beginTransaction: "BEGIN IMMEDIATE"
      })
    })
  ).pipe(Layer.provide(Reactivity.layer))
