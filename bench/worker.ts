/**
 * `worker`: how fast a worker and a stream get through jobs that take no time, beside what a bare socket can do and the
 * peers' own loops; and what a worker costs when there is little to do, and after much has been done.
 */
import { placementFor } from "./cpus.ts"
import { BEFORE, moduleOf, type Options, OURS, parseOptions } from "./options.ts"
import { check } from "./put.ts"
import { appendSection, environment, LEGEND, rowsTable, table } from "./report.ts"
import { type Case, measureRounds } from "./rounds.ts"
import { LIMIT, type Row, toRows } from "./statistics.ts"
import { type Figure, measureFigures } from "./worker/figures.ts"
import { BODY, putJobs } from "./worker/jobs.ts"
import { targetsTable } from "./worker/targets.ts"

const PEERS = ["fivebeans", "jackd", "node-beanstalk"]
const CLIENTS = [LIMIT, OURS, ...PEERS]

/** The peers' loops take a connection for each fiber; what 64 of these do says enough. */
const PEERS_FIBERS = [1, 64]

// A worker that keeps up with a server is on another machine or another CPU than that. With one for both (`--cpus same`),
// what the server takes for its smaller batches is measured as well.
const OWN_CPU = "own"

const PREFETCHES = [1, 16, 64]
const STREAM_FIBERS = 64

export const usage =
  `worker [--json] [--out FILE] [--rounds 5] [--ops N] [--fibers 1,16,64,256] [--cpus same|own|any] [--before CHECKOUT] [--clients ${
    CLIENTS.join(",")
  }]`

const casesOf = ({ cpus, fibers = [1, 16, 64, 256] }: Options): ReadonlyArray<Case> => {
  const one = (bench: string, fibers: number): Case => ({ bench, fibers, cpus: placementFor(cpus ?? OWN_CPU) })
  return [
    ...fibers.map((fibers) => one("worker", fibers)),
    ...fibers.map((fibers) => one("worker-guarded", fibers)),
    ...PREFETCHES.map((prefetch) => one(`stream-${prefetch}`, STREAM_FIBERS))
  ]
}

const runs = (client: string, { bench, fibers }: Case): boolean =>
  !PEERS.includes(client) || (bench === "worker" && PEERS_FIBERS.includes(fibers))

/** About a second's worth for each client. */
const opsOf = (client: string, { fibers }: Case): number =>
  fibers === 1 || PEERS.includes(client) ? 20_000 : fibers < 64 ? 50_000 : 100_000

const figuresTable = (figures: ReadonlyArray<Figure>): string =>
  table(
    ["figure", "client", "value", "unit", "of limit"],
    figures.map(({ client, ratioToLimit, unit, value, work }) => [
      work,
      client,
      String(value),
      unit,
      ratioToLimit?.toFixed(2) ?? "-"
    ]),
    2
  )

/** A row as JSON: which worker it is, or which stream, has a key of its own. */
const toJson = (row: Row) => {
  const [, prefetch] = row.bench.match(/^stream-(\d+)$/) ?? []
  if (prefetch !== undefined) return { ...row, bench: "stream", prefetch: Number(prefetch) }
  return { ...row, bench: "worker", crashGuard: row.bench === "worker-guarded" }
}

/** Runs the bench; the exit code. */
export const run = async (args: Array<string>, beanstalkd: string): Promise<number> => {
  const options = parseOptions(args, CLIENTS)
  const cases = casesOf(options)
  const { samples, failed } = await measureRounds({
    rounds: options.rounds,
    cases,
    clients: options.clients,
    runs,
    module: (client) => moduleOf(options, "worker", client),
    ops: options.ops === undefined ? opsOf : () => options.ops!,
    prepare: (_, port, ops) => putJobs(port, ops),
    check
  })
  const baseline = options.before === undefined ? LIMIT : BEFORE
  const rows = toRows(samples, cases, options.clients, baseline)
  const figures = options.clients.includes(OURS) && options.before === undefined
    ? await measureFigures(placementFor(options.cpus ?? OWN_CPU), options.rounds)
    : []
  const report = [
    `Medians of ${options.rounds} rounds. ${environment(beanstalkd, options.clients)}.`,
    [
      `Bodies of ${BODY.length} bytes; an op is a job reserved and deleted. The limit is a bare socket that reserves and`,
      "deletes in batches, with as many jobs asked for or in hand as there are fibers, and never asks for statistics.",
      "worker-guarded: with `crashGuard`, a stats-job a job. stream-16: with a prefetch of 16, the default, as",
      "`Stream.mapEffect(..., { concurrency: 64, unordered: true })` that deletes.",
      `${LEGEND} Connections: our workers open more if they need them.`
    ].join(" "),
    rowsTable(rows, baseline),
    ...(options.before === undefined ? [figuresTable(figures), targetsTable(rows, figures)] : [])
  ].join("\n\n")
  if (options.json) {
    for (const row of rows) console.log(JSON.stringify(toJson(row)))
    for (const figure of figures) console.log(JSON.stringify({ bench: "worker", ...figure, rounds: options.rounds }))
  } else console.log(report)
  if (options.out !== undefined) appendSection(options.out, "worker", report)
  return failed ? 1 : 0
}
