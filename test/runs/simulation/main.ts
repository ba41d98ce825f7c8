/**
 * `npm run simulate -- --seeds N [--from S]` runs N seeds. `--seed S` runs one and shows its trace. `--breakages` puts
 * bugs into our own code, one at a time, and prints how many seeds it takes to notice each.
 */
import { spawnSync } from "node:child_process"
import { registerHooks } from "node:module"
import { parseArgs } from "node:util"
import * as Usage from "../../support/Usage.ts"
import { type Breakage, breakages, broken } from "./Breakages.ts"
import type { Result } from "./Simulation.ts"

const USAGE =
  "usage: npm run simulate -- [--world one|fleet|binlog] [--seeds N] [--from S] | --seed S [--tail N] | --breakages [--seeds N]"

const options = Usage.read(USAGE, () => {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      tail: { type: "string", default: "60" },
      breakages: { type: "boolean", default: false },
      breakage: { type: "string" },
      world: { type: "string", default: "one" }
    }
  })
  const names = breakages.map(({ name }) => name)
  return {
    world: Usage.oneOf("world", values.world, ["one", "fleet", "binlog"]),
    seeds: values.seeds === undefined ? undefined : Usage.positive("seeds", values.seeds),
    from: Usage.whole("from", values.from),
    seed: values.seed === undefined ? undefined : Usage.whole("seed", values.seed),
    tail: Usage.positive("tail", values.tail),
    breakages: values.breakages,
    breakage: values.breakage === undefined ? undefined : Usage.oneOf("breakage", values.breakage, names)
  }
})

// The most seeds that it may take to notice a breakage.
const MOST_SEEDS = 400

const seconds = (nanos: bigint): number => Number(nanos) / 1e9

/** Replaces the source of a module as it is loaded. */
const load = (breakage: Breakage): void => {
  const url = new URL(`../../../src/${breakage.module}.ts`, import.meta.url).href
  registerHooks({
    load: (asked, context, next) => {
      const loaded = next(asked, context)
      if (asked !== url) return loaded
      return { ...loaded, source: broken(breakage, Buffer.from(loaded.source as Uint8Array).toString("utf8")) }
    }
  })
}

const simulator = async (): Promise<(seed: number) => Result> => {
  switch (options.world) {
    case "fleet":
      return (await import("./FleetSimulation.ts")).simulateFleet
    case "binlog":
      return (await import("./BinlogSimulation.ts")).simulateBinlog
    case "one":
      return (await import("./Simulation.ts")).simulate
  }
}

const runSeeds = async (from: number, count: number, stopAtFirst: boolean): Promise<void> => {
  const simulate = await simulator()
  const totals = { seeds: 0, virtualSeconds: 0, events: 0, puts: 0, acknowledged: 0, jobs: 0, faults: 0, violations: 0 }
  const began = process.hrtime.bigint()
  const cpu = process.cpuUsage()
  for (let seed = from; seed < from + count; seed++) {
    const result = simulate(seed)
    totals.seeds++
    totals.virtualSeconds += result.virtualMillis / 1000
    for (const key of ["events", "puts", "acknowledged", "jobs", "faults"] as const) totals[key] += result[key]
    if (result.violations.length === 0) continue
    totals.violations++
    process.exitCode = 1
    if (stopAtFirst) return console.log(JSON.stringify({ seeds: totals.seeds, found: result.violations[0] }))
    console.log(`seed ${seed}: ${result.violations.join("; ")}\n  replay it with: npm run simulate -- --seed ${seed}`)
  }
  if (stopAtFirst) return console.log(JSON.stringify({ seeds: totals.seeds }))
  const real = seconds(process.hrtime.bigint() - began)
  const { system, user } = process.cpuUsage(cpu)
  console.log({
    ...totals,
    virtualSeconds: Math.round(totals.virtualSeconds),
    realSeconds: Math.round(real),
    virtualPerReal: Math.round(totals.virtualSeconds / real),
    virtualPerCpu: Math.round(totals.virtualSeconds / ((user + system) / 1e6))
  })
}

const showSeed = async (seed: number, lines: number): Promise<void> => {
  const simulate = await simulator()
  const { tail, ...result } = simulate(seed)
  console.log(tail.slice(-lines).join("\n"))
  console.log(result)
  if (result.violations.length > 0) process.exitCode = 1
}

interface Found {
  readonly seeds: number
  readonly found?: string
}

const runBreakages = (): void => {
  let missed = 0
  for (const { name, world = "one" } of breakages) {
    const args = [
      import.meta.filename,
      "--world",
      world,
      "--breakage",
      name,
      "--seeds",
      String(options.seeds ?? MOST_SEEDS)
    ]
    const { stderr, stdout } = spawnSync(process.execPath, args, { encoding: "utf8" })
    if (!stdout.startsWith("{")) throw new Error(`${name}: ${stderr}`)
    const { found, seeds } = JSON.parse(stdout) as Found
    if (found === undefined) missed++
    console.log(found === undefined ? `MISSED ${name} (${seeds} seeds)` : `${name}: seed ${seeds}, ${found}`)
  }
  console.log({ breakages: breakages.length, missed })
  if (missed > 0) process.exitCode = 1
}

const breakage = breakages.find(({ name }) => name === options.breakage)
if (options.breakages) {
  runBreakages()
} else {
  if (breakage !== undefined) load(breakage)
  if (options.seed === undefined) {
    await runSeeds(options.from, options.seeds ?? 100, breakage !== undefined)
  } else {
    await showSeed(options.seed, options.tail)
  }
}
