/**
 * Claims in a table of a database. The statements for SQLite and PostgreSQL are tested, those for MySQL and SQL Server follow
 * Effect's own store and are not.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { createHash } from "node:crypto"
import type * as Claims from "../../Claims.ts"
import { type Claim, keyOf, ownerOf } from "./claim.ts"
import { orStoreError } from "./claimsError.ts"

interface Row {
  readonly token: string
  readonly completed_at: number | string | null
}

type Sql = SqlClient.SqlClient

const toClaim = ({ completed_at, token }: Row): Claim => ({ token, isCompleted: completed_at !== null })

// Ids and queues may be long, and databases compare text in ways of their own: the key is a hash.
const hashOf = (key: string): string => createHash("sha256").update(key).digest("hex")

// Of two processes that create the table at once, one can fail although it does not exist yet.
const createTable = (sql: Sql, table: string): Effect.Effect<void, SqlError> => {
  const name = sql(table)
  const index = sql(`idx_${table}_completed`)
  const created = sql.onDialectOrElse({
    mssql: () =>
      sql`IF OBJECT_ID(N'${sql.literal(table.replaceAll("'", "''"))}', N'U') IS NULL CREATE TABLE ${name} (
        hash CHAR(64) PRIMARY KEY, element NVARCHAR(MAX) NOT NULL, token NVARCHAR(255) NOT NULL, completed_at BIGINT NULL)`,
    mysql: () =>
      sql`CREATE TABLE IF NOT EXISTS ${name} (hash CHAR(64) PRIMARY KEY, element MEDIUMTEXT NOT NULL,
        token VARCHAR(255) NOT NULL, completed_at BIGINT NULL, INDEX ${index} (completed_at))`,
    orElse: () =>
      Effect.andThen(
        sql`CREATE TABLE IF NOT EXISTS ${name} (hash CHAR(64) PRIMARY KEY, element TEXT NOT NULL,
          token VARCHAR(255) NOT NULL, completed_at BIGINT NULL)`,
        sql`CREATE INDEX IF NOT EXISTS ${index} ON ${name} (completed_at)`
      )
  })
  return Effect.asVoid(Effect.retry(created, { times: 3 }))
}

/** Makes claims in a database, in a table that is created if it does not exist. */
export const make = Effect.fnUntraced(function*(
  tableName: string
): Effect.fn.Return<Claims.Service, SqlError, Sql> {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const clock = yield* Clock.Clock
  const table = sql(tableName)
  yield* createTable(sql, tableName)

  const select = (hash: string) => sql<Row>`SELECT token, completed_at FROM ${table} WHERE hash = ${hash}`

  /** Stores the claim unless there is one, and gives it if it was stored and the database tells. */
  const insert = sql.onDialectOrElse({
    mssql: () => (hash: string, key: string, token: string) =>
      sql<Row>`INSERT INTO ${table} (hash, element, token) OUTPUT inserted.token, inserted.completed_at
        SELECT ${hash}, ${key}, ${token}
        WHERE NOT EXISTS (SELECT 1 FROM ${table} WITH (UPDLOCK, HOLDLOCK) WHERE hash = ${hash})`,
    mysql: () => (hash: string, key: string, token: string) =>
      sql<Row>`INSERT IGNORE INTO ${table} (hash, element, token) VALUES (${hash}, ${key}, ${token})`.pipe(
        Effect.andThen(Effect.succeed<ReadonlyArray<Row>>([]))
      ),
    orElse: () => (hash: string, key: string, token: string) =>
      sql<Row>`INSERT INTO ${table} (hash, element, token) VALUES (${hash}, ${key}, ${token})
        ON CONFLICT (hash) DO NOTHING RETURNING token, completed_at`
  })

  const claim = (key: string, token: string): Effect.Effect<string, SqlError> =>
    Effect.gen(function*() {
      const hash = hashOf(key)
      const [inserted] = yield* insert(hash, key, token)
      const held = inserted ?? (yield* select(hash))[0]
      // It was removed in between.
      return held === undefined ? yield* claim(key, token) : ownerOf(toClaim(held))
    })

  return {
    lookup: (queue, id) => orStoreError(Effect.map(select(hashOf(keyOf(queue, id))), ([held]) => held?.token)),
    claim: (queue, id, token) => orStoreError(claim(keyOf(queue, id), token)),
    completed: (queue, id) =>
      orStoreError(Effect.suspend(() =>
        sql`UPDATE ${table} SET completed_at = ${clock.currentTimeMillisUnsafe()}
          WHERE hash = ${hashOf(keyOf(queue, id))} AND completed_at IS NULL`
      )),
    remove: (queue, id) => orStoreError(sql`DELETE FROM ${table} WHERE hash = ${hashOf(keyOf(queue, id))}`),
    cleanup: ({ timeToLive }) =>
      orStoreError(Effect.suspend(() => {
        const until = Math.floor(clock.currentTimeMillisUnsafe() - Duration.toMillis(timeToLive))
        return sql`DELETE FROM ${table} WHERE completed_at <= ${until}`
      }))
  }
})
