/**
 * `top`: what goes on in all tubes, again and again, through restarts of the server.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Service } from "../../Client.ts"
import { ifThere } from "../jobs/batch.ts"
import { connect } from "../connect.ts"
import { describe } from "../failures.ts"
import { BoundedInt, seconds, switchedOff } from "../flags.ts"
import { note, write } from "../terminal/output.ts"
import { beanstalk } from "../root.ts"
import { align, type Cell, cut } from "../terminal/table.ts"
import { COLUMNS, type Order, reorder, type Row, rowsOf, type Sample, sort } from "../terminal/topModel.ts"
import * as Screen from "../terminal/topScreen.ts"

/** How often to look whether a lost server is back. */
const RETRY = Duration.millis(200)

const TITLES: Record<typeof COLUMNS[number], string> = {
  tube: "TUBE",
  ready: "READY",
  urgent: "URGENT",
  reserved: "RESERVED",
  delayed: "DELAYED",
  buried: "BURIED",
  waiting: "WAITING",
  watching: "WATCHING",
  puts: "PUT/S",
  deletes: "DELETE/S",
  paused: "PAUSED"
}

const takeSample = Effect.fnUntraced(function*({ pool: { shared }, ...client }: Service) {
  const names = yield* client.listTubes
  const [server, tubes] = yield* Effect.all([
    client.stats,
    Effect.forEach(names, (name) => shared.run(ifThere.statsTube, name), { concurrency: "unbounded" })
  ], { concurrency: "unbounded" })
  return {
    millis: yield* Clock.currentTimeMillis,
    server,
    tubes: new Map(tubes.flatMap((stats, i) => stats === undefined ? [] : [[names[i]!, stats]]))
  } satisfies Sample
})

const cell = (row: Row, column: typeof COLUMNS[number]): Cell => {
  const value = row[column]
  if (column === "paused") return value === 0 ? "" : `${value} s`
  return value
}

const mark = (order: Order) => (column: typeof COLUMNS[number]) =>
  column === order.column ? `${TITLES[column]}${order.isReversed ? "^" : "*"}` : TITLES[column]

const tableOf = (rows: ReadonlyArray<Row>, order: Order) =>
  align(COLUMNS.map(mark(order)), sort(rows, order).map((row) => COLUMNS.map((column) => cell(row, column))))

const summary = ({ server }: Sample): string =>
  `jobs: ${server.currentJobsReady} ready, ${server.currentJobsReserved} reserved, ${server.currentJobsDelayed} delayed, ` +
  `${server.currentJobsBuried} buried; connections: ${server.currentConnections}, ${server.currentWaiting} waiting` +
  (server.draining === true ? "; DRAINING" : "")

interface View {
  readonly address: string
  readonly now: Sample
  readonly rows: ReadonlyArray<Row>
  readonly trouble: string | undefined
  readonly order: Order
  readonly isColoured: boolean
}

const screen = ({ address, isColoured, now, order, rows, trouble }: View): ReadonlyArray<string> => {
  const paint = (code: string, text: string) => isColoured ? `\u001B[${code}m${text}\u001B[0m` : text
  const fit = (line: string) => cut(line, Screen.width())
  const [heading, ...lines] = tableOf(rows, order)
  const shown = lines.slice(0, Math.max(0, Screen.height() - 5))
  return [
    paint("1", fit(`beanstalk top  ${address}  beanstalkd ${now.server.version}  up ${now.server.uptime} s`)),
    trouble === undefined ? fit(summary(now)) : paint("31", fit(`RECONNECTING: ${trouble}`)),
    "",
    paint("7", fit(heading!)),
    ...shown.map((line) => paint(trouble === undefined ? "0" : "2", fit(line))),
    paint("2", fit(`left, right: sort by another column   r: reverse   q: quit   ${rows.length} tubes`))
  ]
}

const toJson = (now: Sample, rows: ReadonlyArray<Row>) => {
  const { currentConnections, currentJobsBuried, currentJobsDelayed, currentJobsReady, currentJobsReserved, uptime } =
    now.server
  return {
    time: now.millis,
    uptime,
    connections: currentConnections,
    ready: currentJobsReady,
    reserved: currentJobsReserved,
    delayed: currentJobsDelayed,
    buried: currentJobsBuried,
    tubes: rows.map(({ deletes, puts, ...row }) => ({ ...row, puts: puts ?? null, deletes: deletes ?? null }))
  }
}

export const top = Command.make(
  "top",
  {
    sort: Flag.Literals("sort", COLUMNS).pipe(
      Flag.withDescription("The column to sort by, default tube"),
      Flag.withDefault("tube" as const)
    ),
    reverse: switchedOff("reverse", "The other way round: smallest numbers first, names from z to a"),
    interval: seconds(Flag.String("interval"), { min: 0.1 }).pipe(
      Flag.withAlias("d"),
      Flag.withMetavar("SECONDS"),
      Flag.withDescription("Time between two looks, default 1"),
      Flag.withDefault(Duration.seconds(1))
    ),
    count: BoundedInt(Flag.String("count"), 1, Number.MAX_SAFE_INTEGER).pipe(
      Flag.withAlias("n"),
      Flag.withMetavar("N"),
      Flag.withDescription("End after so many looks"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*({ interval, ...flags }) {
    const { json } = yield* beanstalk
    const client = yield* connect
    const { canAnimate, canColor: isColoured } = yield* TerminalCapabilities.TerminalCapabilities
    const isScreen = canAnimate && !json
    const count = Option.getOrElse(flags.count, () => Infinity)
    const quit = yield* Deferred.make<void>()

    let order: Order = { column: flags.sort, isReversed: flags.reverse }
    let trouble: string | undefined
    // It fails as any other command does if there is no server to begin with. From then on it waits for it.
    let now: Sample = yield* takeSample(client)
    let rows = rowsOf(now)

    const repaint = () => {
      if (isScreen) Screen.paint(screen({ address: client.server, now, rows, trouble, order, isColoured }))
    }
    const onKey = (key: string) => {
      if (key === "q") Deferred.doneUnsafe(quit, Effect.void)
      // In raw mode Ctrl-C is a key.
      else if (key === "\u0003") Deferred.doneUnsafe(quit, Effect.interrupt)
      else order = reorder(order, key)
      repaint()
    }

    const show = Effect.suspend(() => {
      if (json) return write(`${JSON.stringify(toJson(now, sort(rows, order)))}\n`)
      if (!isScreen) return write(`${[summary(now), ...tableOf(rows, order)].join("\n")}\n\n`)
      return Effect.sync(repaint)
    })

    const lose = Effect.fnUntraced(function*(why: string) {
      if (trouble === undefined && !isScreen) yield* note(`RECONNECTING: ${why}`)
      trouble = why
      repaint()
      yield* Effect.sleep(RETRY)
    })

    // A lost connection is dialled again by the client, whoever asks; so there is no need to wait for an answer meanwhile.
    const look = Effect.gen(function*() {
      if (!(yield* client.pool.shared.isUp)) {
        yield* lose(`${client.server} is gone`)
        return false
      }
      const sample = yield* Effect.result(
        Effect.timeoutOption(takeSample(client), Duration.max(interval, Duration.seconds(2)))
      )
      if (Result.isFailure(sample)) yield* lose(describe(sample.failure))
      else if (Option.isNone(sample.success)) yield* lose(`${client.server} does not answer`)
      else {
        rows = rowsOf(sample.success.value, now)
        now = sample.success.value
        trouble = undefined
        yield* show
        return true
      }
      return false
    })

    if (isScreen) yield* Screen.take(onKey, repaint)
    yield* show
    const loop = Effect.gen(function*() {
      for (let looks = 1; looks < count;) {
        if (trouble === undefined) yield* Effect.sleep(interval)
        if (yield* look) looks++
      }
    })
    yield* Effect.raceFirst(loop, Deferred.await(quit))
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Show all tubes, with their jobs by state, who waits and watches, and how many jobs are put and deleted a second. Keys: " +
      "left and right choose the column to sort by, r reverses, q quits. It goes on when the server is restarted. Where " +
      "stdout is no terminal the table is printed again and again, with --json as one object a line"
  ),
  Command.withShortDescription("Show what goes on in all tubes, live"),
  Command.withExamples([
    { command: "beanstalk top", description: "Every second" },
    { command: "beanstalk top --sort ready --interval 5", description: "The fullest tubes first, every 5 seconds" },
    { command: "beanstalk top --json -n 2 | tail -1", description: "One object with rates, for a monitor" }
  ])
)
