/**
 * `npm run chaos -- --seed S --seconds N [--runs R]`: everything goes wrong, and nothing is lost. Run r has the seed S + r.
 */
import * as Effect from "effect/Effect"
import { parseArgs } from "node:util"
import * as RealServer from "../../support/RealServer.ts"
import * as Usage from "../../support/Usage.ts"
import * as ChaosRun from "./ChaosRun.ts"

const options = Usage.read("usage: npm run chaos -- [--seed S] [--seconds N] [--runs R]", () => {
  const { runs, seconds, seed } = parseArgs({
    options: {
      seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
      seconds: { type: "string", default: "20" },
      runs: { type: "string", default: "1" }
    }
  }).values
  return {
    seed: Usage.whole("seed", seed),
    seconds: Usage.positive("seconds", seconds),
    runs: Usage.positive("runs", runs)
  }
})

const tell = ({ account, connections, kills, puts, seed, torn, trouble, violations }: ChaosRun.Report): void => {
  console.log(`seed ${seed}: ${violations.length} violations`)
  console.log(`  puts         ${JSON.stringify(puts)}`)
  console.log(`  acknowledged ${JSON.stringify(account)}`)
  console.log(`  trouble      ${JSON.stringify(trouble)}`)
  console.log(`  ${kills} server kills, ${connections} connections, ${torn} torn jobs left`)
  for (const violation of violations.slice(0, 20)) console.log(`  VIOLATION ${violation}`)
}

const sum = (reports: ReadonlyArray<ChaosRun.Report>, of: (report: ChaosRun.Report) => number): number =>
  reports.reduce((total, report) => total + of(report), 0)

const count = (reports: ReadonlyArray<ChaosRun.Report>, beginning: string): number =>
  sum(reports, ({ violations }) => violations.filter((violation) => violation.startsWith(beginning)).length)

const tellTotals = (reports: ReadonlyArray<ChaosRun.Report>): void => {
  console.log(
    `${reports.length} runs: ${sum(reports, ({ puts }) => puts.acknowledged)} acknowledged jobs, ` +
      `${sum(reports, ({ kills }) => kills)} server kills; ` +
      `${count(reports, "lost")} jobs lost, ${count(reports, "handler missed")} handlers missed, ` +
      `${count(reports, "hung")} hung, ${
        sum(reports, ({ account }) => account.lostByServer)
      } lost by the server itself, ${sum(reports, ({ violations }) => violations.length)} violations in all`
  )
}

const main = async (): Promise<number> => {
  const { runs, seconds, seed } = options
  if (!RealServer.available) {
    console.error("skipped: there is no beanstalkd; apt-get install -y beanstalkd, or set BEANSTALKD_BIN")
    return process.env["CI"] === "true" ? 1 : 0
  }
  const reports: Array<ChaosRun.Report> = []
  for (let r = 0; r < runs; r++) {
    const report = await Effect.runPromise(ChaosRun.run(seed + r, seconds))
    reports.push(report)
    tell(report)
  }
  tellTotals(reports)
  return reports.some(({ violations }) => violations.length > 0) ? 1 : 0
}

process.exitCode = await main()
