/**
 * From samples to the rows of a report.
 */
import type { Case, Measured } from "./rounds.ts"

/** The client that the others are measured by, unless told otherwise. */
export const LIMIT = "limit"

/** One client in one case: medians over the rounds. */
export interface Row extends Case {
  readonly client: string
  readonly opsPerSecond: number
  readonly cpuMicrosPerOp: number
  /** The median of the ratios within a round to what it is measured by; `null` if that was not measured. */
  readonly ratioToLimit: number | null
  /** The same of the CPU per operation. */
  readonly cpuRatio: number | null
  readonly slowest: number
  readonly fastest: number
  readonly ops: number
  readonly rounds: number
  readonly connections: number
}

export const opsPerSecond = (sample: Measured): number => sample.ops / sample.seconds
export const cpuMicrosPerOp = (sample: Measured): number => sample.cpuMicros / sample.ops

/** `NaN` if there are none. */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[Math.floor((sorted.length - 1) / 2)]! + sorted[Math.ceil((sorted.length - 1) / 2)]!) / 2
}

export const round = (value: number, digits: number): number => Number(value.toFixed(digits))

export const samplesOf = (
  samples: ReadonlyArray<Measured>,
  { bench, fibers }: Pick<Case, "bench" | "fibers">,
  client: string
): ReadonlyArray<Measured> =>
  samples.filter((sample) => sample.bench === bench && sample.fibers === fibers && sample.client === client)

/** The median of what one client's samples are of another's of the same round; `null` without such pairs. */
export const ratio = (
  of: (sample: Measured) => number,
  mine: ReadonlyArray<Measured>,
  theirs: ReadonlyArray<Measured>
): number | null => {
  const ratios = mine.flatMap((sample) => {
    const other = theirs.find((other) => other.round === sample.round)
    return other === undefined ? [] : [of(sample) / of(other)]
  })
  return ratios.length === 0 ? null : median(ratios)
}

export const toRows = (
  samples: ReadonlyArray<Measured>,
  cases: ReadonlyArray<Case>,
  clients: ReadonlyArray<string>,
  baseline: string = LIMIT
): ReadonlyArray<Row> =>
  cases.flatMap((which) =>
    clients.flatMap((client) => {
      const mine = samplesOf(samples, which, client)
      const [first] = mine
      if (first === undefined) return []
      const rates = mine.map(opsPerSecond)
      const theirs = samplesOf(samples, which, baseline)
      const toLimit = ratio(opsPerSecond, mine, theirs)
      const cpu = ratio(cpuMicrosPerOp, mine, theirs)
      return [{
        bench: which.bench,
        client,
        fibers: which.fibers,
        cpus: which.cpus,
        opsPerSecond: round(median(rates), 0),
        cpuMicrosPerOp: round(median(mine.map(cpuMicrosPerOp)), 2),
        ratioToLimit: toLimit === null ? null : round(toLimit, 3),
        cpuRatio: cpu === null ? null : round(cpu, 3),
        slowest: round(Math.min(...rates), 0),
        fastest: round(Math.max(...rates), 0),
        ops: first.ops,
        rounds: mine.length,
        connections: first.connections
      }]
    })
  )
