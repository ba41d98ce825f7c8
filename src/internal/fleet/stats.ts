/**
 * Statistics of several servers as those of one.
 */
import * as Schema from "effect/Schema"
import { ServerStats, TubeStats } from "../../Stats.ts"

const Unreachable = Schema.Array(Schema.Struct({ server: Schema.String, message: Schema.String }))

/**
 * The statistics of a tube on all servers of a fleet: counts are sums, `pause` and `pauseTimeLeft` the greatest. They were
 * read at as many moments as there are servers. `parts` has those of each server that has the tube, and `unreachable` the
 * servers that could not be asked, which are part of no sum.
 *
 * @category models
 * @since 0.1.0
 */
export class FleetTubeStats extends TubeStats.extend<FleetTubeStats>("effect-beanstalkd/Fleet/FleetTubeStats")({
  parts: Schema.Array(Schema.Struct({ server: Schema.String, stats: TubeStats })),
  unreachable: Unreachable
}) {}

/**
 * The statistics of all servers of a fleet: counts are sums, `maxJobSize` and `uptime` the least, `draining` whether all of
 * them drain, and texts that differ are joined with commas. `pid` and the binlog's numbers say something in `parts` only,
 * which has the statistics of each server. `unreachable` has the servers that could not be asked.
 *
 * @category models
 * @since 0.1.0
 */
export class FleetServerStats extends ServerStats.extend<FleetServerStats>("effect-beanstalkd/Fleet/FleetServerStats")({
  parts: Schema.Array(Schema.Struct({ server: Schema.String, stats: ServerStats })),
  unreachable: Unreachable
}) {}

const GREATEST: ReadonlySet<string> = new Set(["pause", "pauseTimeLeft"])
const LEAST: ReadonlySet<string> = new Set(["maxJobSize", "uptime"])

const merge = (name: string, a: unknown, b: unknown): unknown => {
  if (name === "raw") return `${a as string}${b as string}`
  if (typeof a === "number" && typeof b === "number") {
    if (GREATEST.has(name)) return Math.max(a, b)
    return LEAST.has(name) ? Math.min(a, b) : a + b
  }
  if (typeof a === "boolean") return a && b === true
  if (typeof a === "string" && typeof b === "string") return a.split(",").includes(b) ? a : `${a},${b}`
  // What only some servers have is not the same for all.
  return a ?? b
}

/** The fields of statistics of one kind, at least one, taken together. */
export const sumOf = <S extends object>([first, ...others]: ReadonlyArray<S>): { -readonly [K in keyof S]: S[K] } => {
  const sum: Record<string, unknown> = Object.fromEntries(Object.entries(first!))
  for (const other of others) {
    for (const [name, value] of Object.entries(other)) sum[name] = merge(name, sum[name], value)
  }
  return sum as S
}
