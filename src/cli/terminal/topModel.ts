/**
 * The table of `top`: the tubes of a sample in some order, with rates since the sample before.
 */
import type { ServerStats, TubeStats } from "../../Stats.ts"

/** The statistics of the server and of all tubes at one moment. */
export interface Sample {
  readonly millis: number
  readonly server: ServerStats
  readonly tubes: ReadonlyMap<string, TubeStats>
  /** The servers of which these are sums, if there are several. */
  readonly parts?: ReadonlyArray<
    { readonly server: string; readonly stats?: ServerStats; readonly reason?: string }
  >
}

const answering = ({ parts }: Sample): string =>
  (parts ?? []).flatMap(({ server, stats }) => stats === undefined ? [] : [server]).join()

/** A tube in the table. Rates are per second and unknown in the first sample. `paused` is the rest of the pause in seconds. */
export interface Row {
  readonly tube: string
  readonly ready: number
  readonly urgent: number
  readonly reserved: number
  readonly delayed: number
  readonly buried: number
  readonly waiting: number
  readonly watching: number
  readonly puts: number | undefined
  readonly deletes: number | undefined
  readonly paused: number
}

export const COLUMNS = [
  "tube",
  "ready",
  "urgent",
  "reserved",
  "delayed",
  "buried",
  "waiting",
  "watching",
  "puts",
  "deletes",
  "paused"
] as const satisfies ReadonlyArray<keyof Row>

export type Column = typeof COLUMNS[number]

/** The column that sorts the rows: numbers from the largest, names from a to z, with `isReversed` the other way round. */
export interface Order {
  readonly column: Column
  readonly isReversed: boolean
}

// A counter that went down has started again at 0, with its tube or with the server.
const rate = (now: number, before: number, seconds: number): number =>
  seconds > 0 ? Math.round((now >= before ? now - before : now) / seconds) : 0

/** The rows of a sample, in no particular order. */
export const rowsOf = (now: Sample, last?: Sample): ReadonlyArray<Row> => {
  // What a server has done before it came back is no rate.
  const before = last !== undefined && answering(last) === answering(now) ? last : undefined
  return [...now.tubes].map(([tube, stats]) => {
    const old = before?.tubes.get(tube)
    const perSecond = (count: (stats: TubeStats) => number) =>
      before && rate(count(stats), old === undefined ? 0 : count(old), (now.millis - before.millis) / 1000)
    return {
      tube,
      ready: stats.currentJobsReady,
      urgent: stats.currentJobsUrgent,
      reserved: stats.currentJobsReserved,
      delayed: stats.currentJobsDelayed,
      buried: stats.currentJobsBuried,
      waiting: stats.currentWaiting,
      watching: stats.currentWatching,
      puts: perSecond(({ totalJobs }) => totalJobs),
      deletes: perSecond(({ cmdDelete }) => cmdDelete ?? 0),
      paused: stats.pauseTimeLeft ?? 0
    }
  })
}

/** Sorts rows. Rows that are equal in the column are sorted by name. */
export const sort = (rows: ReadonlyArray<Row>, { column, isReversed }: Order): ReadonlyArray<Row> => {
  const byName = (a: Row, b: Row) => a.tube < b.tube ? -1 : a.tube > b.tube ? 1 : 0
  const by = column === "tube" ? byName : (a: Row, b: Row) => (b[column] ?? 0) - (a[column] ?? 0)
  return rows.toSorted((a, b) => (isReversed ? -by(a, b) : by(a, b)) || byName(a, b))
}

/** The order after a key: left and right change the column, r reverses the order. */
export const reorder = (order: Order, key: string): Order => {
  const move = (steps: number): Order => ({
    column: COLUMNS[(COLUMNS.indexOf(order.column) + steps + COLUMNS.length) % COLUMNS.length]!,
    isReversed: false
  })
  switch (key) {
    case "\u001B[C":
    case "\u001BOC":
    case ">":
      return move(1)
    case "\u001B[D":
    case "\u001BOD":
    case "<":
      return move(-1)
    case "r":
      return { ...order, isReversed: !order.isReversed }
    default:
      return order
  }
}
