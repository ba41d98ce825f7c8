/**
 * The board of `top`: the newest sample in the chosen order, and the reason if the server is lost. It is printed as a screen,
 * as text or as JSON.
 */
import type { ServerStats } from "../../Stats.ts"
import { align, type Cell, cut } from "./table.ts"
import { COLUMNS, type Order, reorder, type Row, rowsOf, type Sample, sort } from "./topModel.ts"
import * as Screen from "./topScreen.ts"

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

const cell = (row: Row, column: typeof COLUMNS[number]): Cell => {
  const value = row[column]
  if (column === "paused") return value === 0 ? "" : `${value} s`
  return value
}

const mark = (order: Order) => (column: typeof COLUMNS[number]) =>
  column === order.column ? `${TITLES[column]}${order.isReversed ? "^" : "*"}` : TITLES[column]

/** A line for each of several servers. */
const partsOf = ({ parts = [] }: Sample): ReadonlyArray<string> =>
  parts.map(({ reason, server, stats }) => stats === undefined ? `${server}: ${reason}` : `${server}: ${counts(stats)}`)

const counts = (server: ServerStats): string =>
  `${server.currentJobsReady} ready, ${server.currentJobsReserved} reserved, ${server.currentJobsDelayed} delayed, ` +
  `${server.currentJobsBuried} buried`

const summary = ({ server }: Sample): string =>
  `jobs: ${counts(server)}; connections: ${server.currentConnections}, ${server.currentWaiting} waiting` +
  (server.draining === true ? "; DRAINING" : "")

const partJson = ({ reason, server, stats }: NonNullable<Sample["parts"]>[number]) =>
  stats === undefined ? { server, reason } : {
    server,
    ready: stats.currentJobsReady,
    reserved: stats.currentJobsReserved,
    delayed: stats.currentJobsDelayed,
    buried: stats.currentJobsBuried
  }

export class Board {
  readonly #address: string
  #now: Sample
  #rows: ReadonlyArray<Row>
  #order: Order
  #trouble: string | undefined

  constructor(address: string, first: Sample, order: Order) {
    this.#address = address
    this.#now = first
    this.#rows = rowsOf(first)
    this.#order = order
  }

  get isLost(): boolean {
    return this.#trouble !== undefined
  }

  /** The server is lost: the last sample stays, with the reason above it. */
  lose(why: string): void {
    this.#trouble = why
  }

  /** A new sample: the server is there. */
  update(sample: Sample): void {
    this.#rows = rowsOf(sample, this.#now)
    this.#now = sample
    this.#trouble = undefined
  }

  onKey(key: string): void {
    this.#order = reorder(this.#order, key)
  }

  /** The lines of a screen, cut to the terminal. */
  screen(isColored: boolean): ReadonlyArray<string> {
    const paint = (code: string, text: string) => isColored ? `\u001B[${code}m${text}\u001B[0m` : text
    const fit = (line: string) => cut(line, Screen.width())
    const [heading, ...lines] = this.#table()
    const parts = partsOf(this.#now)
    const shown = lines.slice(0, Math.max(0, Screen.height() - 5 - parts.length))
    const { uptime, version } = this.#now.server
    return [
      paint("1", fit(`beanstalk top  ${this.#address}  beanstalkd ${version}  up ${uptime} s`)),
      this.#trouble === undefined ? fit(summary(this.#now)) : paint("31", fit(`RECONNECTING: ${this.#trouble}`)),
      ...parts.map(fit),
      "",
      paint("7", fit(heading!)),
      ...shown.map((line) => paint(this.isLost ? "2" : "0", fit(line))),
      paint("2", fit(`left, right: sort by another column   r: reverse   q: quit   ${this.#rows.length} tubes`))
    ]
  }

  text(): string {
    return [summary(this.#now), ...partsOf(this.#now), ...this.#table()].join("\n")
  }

  json() {
    const { currentConnections, currentJobsBuried, currentJobsDelayed, currentJobsReady, currentJobsReserved, uptime } =
      this.#now.server
    return {
      time: this.#now.millis,
      uptime,
      connections: currentConnections,
      ready: currentJobsReady,
      reserved: currentJobsReserved,
      delayed: currentJobsDelayed,
      buried: currentJobsBuried,
      ...(this.#now.parts && { servers: this.#now.parts.map(partJson) }),
      tubes: this.#sorted().map(({ deletes, puts, ...row }) => ({
        ...row,
        puts: puts ?? null,
        deletes: deletes ?? null
      }))
    }
  }

  #sorted(): ReadonlyArray<Row> {
    return sort(this.#rows, this.#order)
  }

  #table(): ReadonlyArray<string> {
    return align(
      COLUMNS.map(mark(this.#order)),
      this.#sorted().map((row) => COLUMNS.map((column) => cell(row, column)))
    )
  }
}
