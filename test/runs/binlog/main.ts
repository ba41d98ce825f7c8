/**
 * `npm run binlog -- --seed S [--workloads 50] [--commands 300] [--kills 2000] [--damage] [--bits 8]`: the binlog of our server
 * against the real one. Workloads go both ways, kills come at every call to the file system, and damage at every byte. Without
 * any of them, a little of each.
 */
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { seedOf } from "../../conformance/Dice.ts"
import * as RealServer from "../../support/RealServer.ts"
import * as Usage from "../../support/Usage.ts"
import * as BothWays from "./BothWays.ts"
import * as Damage from "./Damage.ts"
import * as KillSweep from "./KillSweep.ts"
import { record } from "./Recorded.ts"
import * as SalvageKills from "./SalvageKills.ts"

const USAGE =
  "usage: npm run binlog -- [--seed S] [--workloads N] [--commands N] [--kills N] [--damage] [--bits 1..8] [--step N]"

const options = Usage.read(USAGE, () => {
  const { bits, commands, damage, kills, seed, step, workloads } = parseArgs({
    options: {
      seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
      workloads: { type: "string" },
      commands: { type: "string", default: "300" },
      kills: { type: "string" },
      damage: { type: "boolean", default: false },
      bits: { type: "string", default: "1" },
      step: { type: "string", default: "1" }
    }
  }).values
  const isAll = workloads === undefined && kills === undefined && !damage
  const read = {
    seed: Usage.whole("seed", seed),
    workloads: Usage.whole("workloads", workloads ?? (isAll ? "2" : "0")),
    commands: Usage.positive("commands", commands),
    kills: Usage.whole("kills", kills ?? (isAll ? "20" : "0")),
    damage: damage || isAll,
    bits: Usage.positive("bits", bits),
    // Every so many bytes.
    step: Usage.positive("step", step)
  }
  if (read.bits > 8) throw new Usage.WrongUsage("--bits is from 1 to 8")
  return read
})

const MOST_SHOWN = 20

const SALVAGES = 100

/** Prints what was found, and gives the number of violations. */
const report = (what: string, totals: { readonly violations: ReadonlyArray<string> }, startedAt: number): number => {
  const { violations, ...numbers } = totals
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10
  console.log(what, JSON.stringify({ ...numbers, seconds, violations: violations.length }))
  for (const violation of violations.slice(0, MOST_SHOWN)) console.log(`  VIOLATION ${violation}`)
  return violations.length
}

const bothWays = async (): Promise<number> => {
  const startedAt = performance.now()
  const totals = BothWays.makeTotals()
  for (let i = 0; i < options.workloads; i++) {
    await quietly(BothWays.run(options.seed + i, options.commands, totals))
  }
  return report(`${options.workloads} workloads both ways:`, totals, startedAt)
}

const kills = async (): Promise<number> => {
  const startedAt = performance.now()
  const totals = KillSweep.makeTotals()
  await quietly(KillSweep.run(options.seed, options.kills, availableParallelism(), totals))
  const { calls, millis, ...rest } = totals
  const numbers = { ...rest, calls: Object.fromEntries(calls), millisPerPoint: Math.round(millis / totals.points) }
  return report("killed:", numbers, startedAt)
}

const damage = async (): Promise<number> => {
  let violations = 0
  for (const [i, sync] of (["always", 5, "never"] as const).entries()) {
    const startedAt = performance.now()
    const totals = Damage.makeTotals()
    const recorded = await quietly(record(seedOf(options.seed, i), sync))
    Damage.run(recorded, options, totals)
    violations += report(`damaged, sync ${sync}:`, totals, startedAt)
  }
  return violations + await salvageKills()
}

const salvageKills = async (): Promise<number> => {
  const startedAt = performance.now()
  const totals = SalvageKills.makeTotals()
  const recorded = await quietly(record(options.seed, "always"))
  SalvageKills.run(recorded, { seed: options.seed, count: Math.ceil(SALVAGES / options.step) }, totals)
  return report("salvages that were ended:", totals, startedAt)
}

const quietly = <A>(effect: Effect.Effect<A>): Promise<A> =>
  Effect.runPromise(Effect.provideService(effect, References.MinimumLogLevel, "Error"))

const main = async (): Promise<number> => {
  if (!RealServer.available) {
    console.error("skipped: there is no beanstalkd; apt-get install -y beanstalkd, or set BEANSTALKD_BIN")
    return process.env["CI"] === "true" ? 1 : 0
  }
  let violations = 0
  if (options.damage) violations += await damage()
  if (options.workloads > 0) violations += await bothWays()
  if (options.kills > 0) violations += await kills()
  console.log(`seed ${options.seed}: ${violations} violations`)
  return violations > 0 ? 1 : 0
}

process.exitCode = await main()
