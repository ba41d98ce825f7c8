/**
 * An outbox: the order and the job that follows from it are written in one transaction of the database, so there is never one
 * without the other. A relay puts the jobs and marks their rows. If it dies between a put and its mark, it puts the job once
 * more when it is back: none is lost, some come twice. So the worker keeps the ids of what it has done, in one transaction
 * with what it does.
 */
import { Console, Effect, Option, Ref, Schedule, Schema } from "effect"
import { Tube, Worker } from "effect-beanstalkd"
import { SqlClient } from "effect/sql"
import { randomUUID } from "node:crypto"
import * as NodeSqlite from "./support/nodeSqlite.ts"
import { run } from "./support/run.ts"

// The id is the row's: two jobs of one row are one order.
export const Orders = Tube.make("orders", {
  schema: Schema.Struct({ id: Schema.String, item: Schema.String })
})

export const migrate = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, item TEXT NOT NULL)`
  yield* sql`CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, item TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'new', reason TEXT
  )`
  yield* sql`CREATE INDEX IF NOT EXISTS outbox_new ON outbox (seq) WHERE state = 'new'`
  yield* sql`CREATE TABLE IF NOT EXISTS shipments (id TEXT PRIMARY KEY, item TEXT NOT NULL)`
})

/** Writes an order and its job, or neither. */
export const placeOrder = Effect.fnUntraced(function*(item: string) {
  const sql = yield* SqlClient.SqlClient
  const order = { id: randomUUID(), item }
  yield* sql.withTransaction(
    Effect.andThen(
      sql`INSERT INTO orders ${sql.insert(order)}`,
      sql`INSERT INTO outbox ${sql.insert(order)}`
    )
  )
  return order.id
})

const BATCH = 100

interface Row {
  readonly seq: number
  readonly id: string
  readonly item: string
}

/**
 * Puts the jobs of the oldest rows, and gives the number of rows that it has read. A job that the server can never take, such
 * as one that is too big, must not stop those behind it: its row keeps the reason. `inBetween` runs in the window in which a
 * crash makes a job come twice.
 */
export const relayBatch = Effect.fnUntraced(
  function*(inBetween: (id: string) => Effect.Effect<void> = () => Effect.void) {
    const sql = yield* SqlClient.SqlClient
    const mark = (seq: number, state: string, reason: string | null = null) =>
      sql`UPDATE outbox SET ${sql.update({ state, reason })} WHERE seq = ${seq}`
    const rows = yield* sql<Row>`SELECT seq, id, item FROM outbox WHERE state = 'new' ORDER BY seq LIMIT ${BATCH}`
    const never = (seq: number, error: { readonly message: string }) =>
      Effect.andThen(Effect.logError(`an order cannot be put: ${error.message}`), mark(seq, "refused", error.message))
    yield* Effect.forEach(rows, ({ id, item, seq }) =>
      Orders.put({ id, item }).pipe(
        Effect.andThen(inBetween(id)),
        Effect.andThen(mark(seq, "put")),
        Effect.catchTags({ JobTooBig: (error) => never(seq, error), InvalidArgument: (error) => never(seq, error) })
      ), { concurrency: 16, discard: true })
    return rows.length
  }
)

/** Relays forever: at once while there is more, or else 5 times per second. While the server is away, it says so. */
export const relay = relayBatch().pipe(
  Effect.repeat({ while: (rows) => rows === BATCH }),
  Effect.catch((error) => Effect.logWarning(`the outbox waits: ${error.message}`)),
  Effect.repeat(Schedule.spaced("200 millis"))
)

/** Ships an order, and remembers it, or neither; what was shipped before is not shipped again. */
export const ship = Effect.fnUntraced(function*({ id, item }: { readonly id: string; readonly item: string }) {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql`INSERT INTO shipments ${sql.insert({ id, item })} ON CONFLICT DO NOTHING RETURNING id`
  yield* Console.log(rows.length === 0 ? `skip    the ${item}, it is on its way already` : `ship    the ${item}`)
})

export const worker = Worker.run(Orders, ship)

const demo = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* migrate
  for (const item of ["tent", "stove", "lamp"]) yield* placeOrder(item)
  // The relay dies after the first put, before the mark.
  const puts = yield* Ref.make(0)
  const dies = Effect.flatMap(Ref.updateAndGet(puts, (n) => n + 1), (n) => n === 1 ? Effect.interrupt : Effect.void)
  yield* Effect.exit(relayBatch(() => dies))
  yield* Console.log(`the relay died: ${(yield* Orders.stats).totalJobs} jobs put`)
  const shipped = Effect.map(sql`SELECT id FROM shipments`, (rows) => rows.length)
  const isDone = Effect.all([shipped, Orders.stats]).pipe(
    Effect.map(([count, { currentJobsReady, currentJobsReserved }]) =>
      count === 3 && currentJobsReady + currentJobsReserved === 0 ? Option.some(count) : Option.none()
    ),
    Effect.repeat({ until: Option.isSome, schedule: Schedule.spaced("50 millis") })
  )
  yield* Effect.raceAllFirst([relay, worker, isDone])
  yield* Console.log(`3 orders, ${(yield* Orders.stats).totalJobs} jobs, ${yield* shipped} shipments`)
}).pipe(Effect.provide(NodeSqlite.layer({ filename: ":memory:" })))

if (import.meta.main) run(demo)
