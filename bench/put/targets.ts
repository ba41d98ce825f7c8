/**
 * What the library is meant to reach at putting jobs, beside what was measured.
 */
import { OURS } from "../options.ts"
import { table } from "../report.ts"
import type { Measured } from "../rounds.ts"
import { cpuMicrosPerOp, LIMIT, median, opsPerSecond, ratio, samplesOf } from "../statistics.ts"

interface Target {
  readonly fibers: number
  readonly of: (sample: Measured) => number
  /** What ours is compared with: the limit, or the best peer. */
  readonly against: "limit" | "peer"
  /** At least so much of it where more is better, at most so much where less is. */
  readonly factor: number
}

const TARGETS: ReadonlyArray<Target> = [
  { fibers: 64, of: opsPerSecond, against: "limit", factor: 0.7 },
  { fibers: 64, of: opsPerSecond, against: "peer", factor: 1.1 },
  { fibers: 64, of: cpuMicrosPerOp, against: "peer", factor: 0.9 },
  { fibers: 1, of: opsPerSecond, against: "limit", factor: 0.75 },
  { fibers: 1, of: opsPerSecond, against: "peer", factor: 0.9 }
]

/** The client with the best median. */
const best = (
  target: Target,
  peers: ReadonlyArray<string>,
  samples: (client: string) => ReadonlyArray<Measured>
): string | undefined => {
  const sign = target.of === cpuMicrosPerOp ? 1 : -1
  const score = (client: string): number => sign * median(samples(client).map(target.of))
  return peers.filter((client) => samples(client).length > 0).toSorted((a, b) => score(a) - score(b))[0]
}

const line = (samples: ReadonlyArray<Measured>, peers: ReadonlyArray<string>, target: Target): Array<string> => {
  const of = (client: string): ReadonlyArray<Measured> =>
    samplesOf(samples, { bench: "put", fibers: target.fibers }, client)
  const isCpu = target.of === cpuMicrosPerOp
  const other = target.against === "limit" ? LIMIT : best(target, peers, of)
  const measured = other === undefined ? null : ratio(target.of, of(OURS), of(other))
  const met = measured !== null && (isCpu ? measured <= target.factor : measured >= target.factor)
  const against = target.against === "limit" ? "the limit" : isCpu ? "the cheapest peer" : "the fastest peer"
  return [
    `put, fibers=${target.fibers}: ${isCpu ? "CPU per put" : "ops/s"} of ${against}`,
    other ?? "-",
    `${isCpu ? "<=" : ">="} ${target.factor.toFixed(2)}`,
    measured?.toFixed(2) ?? "-",
    measured === null ? "not measured" : met ? "met" : "MISSED"
  ]
}

/** The targets as a table. */
export const targetsTable = (samples: ReadonlyArray<Measured>, peers: ReadonlyArray<string>): string =>
  table(
    [`${OURS} against`, "which is", "target", "measured", "verdict"],
    TARGETS.map((target) => line(samples, peers, target)),
    2
  )
