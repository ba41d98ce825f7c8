/**
 * `put`: how fast one connection puts jobs, and how fast it reserves and deletes them, beside other clients for node
 * and what the machine allows at all.
 */
import { ask } from "./beanstalkd.ts"
import { placementFor } from "./cpus.ts"
import { BEFORE, moduleOf, type Options, parseOptions } from "./options.ts"
import limit from "./put/limit.ts"
import { targetsTable } from "./put/targets.ts"
import { appendSection, environment, LEGEND, rowsTable } from "./report.ts"
import { type Case, measureRounds } from "./rounds.ts"
import { LIMIT, toRows } from "./statistics.ts"
import { BODY, BODY_BYTES, TUBE } from "./support.ts"

const PEERS = ["fivebeans", "jackd", "node-beanstalk"]
const CLIENTS = [LIMIT, "effect-beanstalkd", ...PEERS]

export const usage =
  `put [--json] [--out FILE] [--rounds 5] [--ops N] [--fibers 1,64,512] [--cpus same|own|any] [--before CHECKOUT] [--clients ${
    CLIENTS.join(",")
  }]`

/** On one CPU unless told otherwise: on two, much of what is measured is how fast they wake each other up. */
const casesOf = (options: Options): ReadonlyArray<Case> => {
  const one = (bench: string, fibers: number): Case => {
    const cpus = placementFor(options.cpus ?? "same")
    return { bench, fibers, cpus }
  }
  return [
    ...(options.fibers ?? [1, 64, 512]).map((fibers) => one("put", fibers)),
    ...(options.fibers ?? [1, 64]).map((fibers) => one("reserve-delete", fibers))
  ]
}

/** About a second's worth for each client, so that the slow ones don't take most of the time. */
const opsOf = (client: string, { bench, fibers }: Case): number => {
  if (fibers === 1) return bench === "put" ? 30_000 : 15_000
  if (client === "node-beanstalk") return bench === "put" ? 15_000 : 7_500
  if (bench === "put") return fibers > 64 ? 100_000 : 200_000
  return client === "jackd" ? 20_000 : 50_000
}

export const prepare = async (bench: string, port: number, ops: number): Promise<void> => {
  if (bench === "put") return
  const session = await limit.put(port, 512)
  await session.run(ops)
  await session.close()
}

/** The number of that name in the reply to `stats`. */
const stat = (stats: string, name: string): number => Number(stats.match(new RegExp(`^${name}: (\\d+)`, "m"))?.[1])

export const check = async (bench: string, port: number, ops: number): Promise<void> => {
  const replies = await ask(port, `use ${TUBE}\r\npeek-ready\r\nstats\r\nquit\r\n`)
  const ready = bench === "put" ? ops : 0
  if (stat(replies, "total-jobs") !== ops || stat(replies, "current-jobs-ready") !== ready) {
    throw new Error(`not ${ops} jobs put and ${ready} left: ${replies}`)
  }
  if (ready > 0 && !replies.includes(` ${BODY_BYTES.length}\r\n${BODY}\r\n`)) {
    throw new Error(`not the body that was put: ${replies}`)
  }
}

/** Runs the bench; the exit code. */
export const run = async (args: Array<string>, beanstalkd: string): Promise<number> => {
  const options = parseOptions(args, CLIENTS)
  const cases = casesOf(options)
  const { samples, failed } = await measureRounds({
    rounds: options.rounds,
    cases,
    clients: options.clients,
    module: (client) => moduleOf(options, "put", client),
    ops: options.ops === undefined ? opsOf : () => options.ops!,
    prepare,
    check
  })
  const baseline = options.before === undefined ? LIMIT : BEFORE
  const rows = toRows(samples, cases, options.clients, baseline)
  const report = [
    `Medians of ${options.rounds} rounds. ${environment(beanstalkd, options.clients)}.`,
    `Bodies of ${BODY_BYTES.length} bytes; an op of reserve-delete is a reserve and a delete. ${LEGEND}`,
    rowsTable(rows, baseline),
    ...(options.before === undefined ? [targetsTable(samples, PEERS)] : [])
  ].join("\n\n")
  if (options.json) rows.forEach((row) => console.log(JSON.stringify(row)))
  else console.log(report)
  if (options.out !== undefined) appendSection(options.out, "put", report)
  return failed ? 1 : 0
}
