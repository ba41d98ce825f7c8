/**
 * `npm run fleet -- --seed S --seconds N [--servers 8] [--runs R] [--ambiguous fail|again]`: real servers of one fleet are
 * killed, frozen and drained, and nothing is lost. Run r has the seed S + r.
 */
import * as Effect from "effect/Effect"
import { parseArgs } from "node:util"
import * as RealServer from "../../support/RealServer.ts"
import * as Usage from "../../support/Usage.ts"
import * as FleetRun from "./FleetRun.ts"

const USAGE = "usage: npm run fleet -- [--seed S] [--seconds N] [--servers 8] [--runs R] [--ambiguous fail|again]"

const options = Usage.read(USAGE, () => {
  const { ambiguous, runs, seconds, seed, servers } = parseArgs({
    options: {
      seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
      seconds: { type: "string", default: "20" },
      servers: { type: "string", default: "8" },
      runs: { type: "string", default: "1" },
      ambiguous: { type: "string", default: "fail" }
    }
  }).values
  if (ambiguous !== "fail" && ambiguous !== "again") throw new Usage.WrongUsage("--ambiguous is fail or again")
  return {
    seed: Usage.whole("seed", seed),
    seconds: Usage.positive("seconds", seconds),
    servers: Usage.positive("servers", servers),
    runs: Usage.positive("runs", runs),
    ambiguous
  } as const
})

const main = async (): Promise<number> => {
  const { runs, seed, ...rest } = options
  if (!RealServer.available) {
    console.error("skipped: there is no beanstalkd; apt-get install -y beanstalkd, or set BEANSTALKD_BIN")
    return process.env["CI"] === "true" ? 1 : 0
  }
  let violations = 0
  let kills = 0
  let acknowledged = 0
  for (let r = 0; r < runs; r++) {
    const report = await Effect.runPromise(FleetRun.run({ ...rest, seed: seed + r }))
    violations += report.violations.length
    kills += report.kills
    acknowledged += report.acknowledged
    console.log(JSON.stringify({ ...report, violations: report.violations.length }))
    for (const violation of report.violations.slice(0, 20)) console.log(`  VIOLATION ${violation}`)
  }
  console.log(`${runs} runs: ${acknowledged} acknowledged jobs, ${kills} server kills; ${violations} violations`)
  return violations > 0 ? 1 : 0
}

process.exitCode = await main()
