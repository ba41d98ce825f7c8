/**
 * What workers and streams are meant to reach, beside what was measured.
 */
import { table } from "../report.ts"
import type { Row } from "../statistics.ts"
import { OURS } from "../options.ts"
import { type Figure, HEAP, latencyOf, reservesOf } from "./figures.ts"

interface Target {
  readonly what: string
  /** At least so much where more is better, at most so much where less is. */
  readonly bound: ">=" | "<="
  readonly factor: number
  readonly measured: number | null | undefined
}

const targetsOf = (rows: ReadonlyArray<Row>, figures: ReadonlyArray<Figure>): ReadonlyArray<Target> => {
  const rate = (bench: string): number | null | undefined =>
    rows.find((row) => row.bench === bench && row.client === OURS && row.fibers === 64)?.ratioToLimit
  const figure = (work: string): Figure | undefined =>
    figures.find((figure) => figure.work === work && figure.client === OURS)
  return [
    { what: "worker, concurrency 64: of the limit", bound: ">=", factor: 0.75, measured: rate("worker") },
    {
      what: "worker with crashGuard, concurrency 64: of the limit",
      bound: ">=",
      factor: 0.5,
      measured: rate("worker-guarded")
    },
    { what: "stream, default prefetch: of the limit", bound: ">=", factor: 0.7, measured: rate("stream-16") },
    {
      what: "idle worker, put to handler: of bare round trips",
      bound: "<=",
      factor: 2,
      measured: figure(latencyOf(false))?.ratioToLimit
    },
    {
      what: "reserve commands a job, 1000 jobs/s, concurrency 64",
      bound: "<=",
      factor: 3,
      measured: figure(reservesOf(0))?.value
    },
    { what: `${HEAP}, MiB`, bound: "<=", factor: 2, measured: figure(HEAP)?.value }
  ]
}

const verdictOf = ({ bound, factor, measured }: Target): string => {
  if (measured == null) return "not measured"
  return (bound === ">=" ? measured >= factor : measured <= factor) ? "met" : "MISSED"
}

/** The targets as a table. */
export const targetsTable = (rows: ReadonlyArray<Row>, figures: ReadonlyArray<Figure>): string =>
  table(
    [OURS, "target", "measured", "verdict"],
    targetsOf(rows, figures).map((target) => [
      target.what,
      `${target.bound} ${target.factor.toFixed(2)}`,
      target.measured?.toFixed(2) ?? "-",
      verdictOf(target)
    ]),
    1
  )
