/**
 * `queue`: the store of Effect's queues on beanstalkd beside Effect's own stores: how fast elements are offered and taken, and
 * how soon an element that one process offers is handled in another.
 */
import { withServer } from "./beanstalkd.ts"
import { placementFor } from "./cpus.ts"
import { type Options, parseOptions, UsageError } from "./options.ts"
import { BENCHES, open } from "./queue/session.ts"
import { OURS, REDIS, removeFiles, STORES } from "./queue/stores.ts"
import { appendSection, environment, LEGEND, rowsTable, table } from "./report.ts"
import { type Case, inChild, measureRounds } from "./rounds.ts"
import { median, round, type Row, toRows } from "./statistics.ts"

const CLIENTS = Object.keys(STORES)
const PROGRAM = new URL("queue/latency.ts", import.meta.url).pathname
const MILLIS = "ms"

/** Every store polls or waits in its own way; more elements tell nothing more. */
const LATENCIES = 15

export const usage =
  `queue [--json] [--out FILE] [--rounds 5] [--ops N] [--fibers 1,64] [--cpus same|own|any] [--clients ${
    CLIENTS.map((client) => client.replaceAll(" ", "_")).join(",")
  }]`

const casesOf = ({ cpus, fibers = [1, 64] }: Options): ReadonlyArray<Case> =>
  fibers.flatMap((fibers) => BENCHES.map((bench): Case => ({ bench, fibers, cpus: placementFor(cpus ?? "own") })))

const opsOf = (_client: string, { fibers }: Case): number => fibers === 1 ? 4000 : 20_000

/** Offers what is to be taken. */
const prepare = async (bench: string, port: number, ops: number, client: string): Promise<void> => {
  removeFiles(port)
  if (bench.startsWith("offer")) return
  const fibers = 50
  const session = await open(client, bench.replace("take", "offer"))(port, fibers)
  await session.run(Math.ceil(ops / fibers) * fibers)
  await session.close()
}

interface Latency {
  readonly client: string
  readonly millis: ReadonlyArray<number>
}

const latencyOf = async (client: string): Promise<Latency> => {
  const millis: ReadonlyArray<number> = await withServer(STORES[client]!.server, "any", (port) => {
    removeFiles(port)
    return inChild("any", [PROGRAM], { store: client, port, elements: LATENCIES, role: "producer" })
  })
  console.error(`offer to handler, ${client}: ${round(median(millis), 1)} ms`)
  return { client, millis }
}

const latencyTable = (latencies: ReadonlyArray<Latency>): string =>
  table(
    ["from offer to handler, two processes", "median", "fastest", "slowest", "unit"],
    latencies.map(({ client, millis }) => [
      client,
      ...[median(millis), Math.min(...millis), Math.max(...millis)].map((value) => value.toFixed(1)),
      MILLIS
    ]),
    1
  )

interface Target {
  readonly what: string
  readonly target: string
  readonly measured: number | null | undefined
  readonly isMet: (measured: number) => boolean
}

const targetsOf = (rows: ReadonlyArray<Row>, latencies: ReadonlyArray<Latency>): ReadonlyArray<Target> => {
  const ofRedis = (bench: string): Target => ({
    what: `${bench}, 64 fibers: of Redis`,
    target: ">= 1.00",
    measured: rows.find((row) => row.bench === bench && row.fibers === 64 && row.client === OURS)?.ratioToLimit,
    isMet: (measured) => measured >= 1
  })
  const ours = latencies.find(({ client }) => client === OURS)
  return [
    ofRedis("offer"),
    ofRedis("take"),
    {
      what: "offer to handler, median, ms",
      target: "< 5.00",
      measured: ours === undefined ? undefined : median(ours.millis),
      isMet: (measured) => measured < 5
    }
  ]
}

const targetsTable = (targets: ReadonlyArray<Target>): string =>
  table(
    [OURS, "target", "measured", "verdict"],
    targets.map(({ isMet, measured, target, what }) => [
      what,
      target,
      measured?.toFixed(2) ?? "-",
      measured == null ? "not measured" : isMet(measured) ? "met" : "MISSED"
    ]),
    1
  )

const optionsOf = (args: Array<string>): Options => {
  const options = parseOptions(args.map((arg) => arg.replaceAll("_", " ")), CLIENTS)
  if (options.before !== undefined) throw new UsageError("queue has no --before")
  return options
}

/** Runs the bench; the exit code. */
export const run = async (args: Array<string>, beanstalkd: string): Promise<number> => {
  const options = optionsOf(args)
  const cases = casesOf(options)
  const { samples, failed } = await measureRounds({
    rounds: options.rounds,
    cases,
    clients: options.clients,
    server: (client) => STORES[client]!.server,
    module: (client) => new URL(`queue/client.ts?store=${encodeURIComponent(client)}`, import.meta.url),
    ops: options.ops === undefined ? opsOf : () => options.ops!,
    prepare,
    check: () => Promise.resolve()
  })
  const rows = toRows(samples, cases, options.clients, REDIS)
  const latencies: Array<Latency> = []
  for (const client of [OURS, REDIS, "sqlite"].filter((client) => options.clients.includes(client))) {
    latencies.push(await latencyOf(client))
  }
  const report = [
    `Medians of ${options.rounds} rounds. ${environment(beanstalkd, [])}.`,
    [
      "Elements of 60 bytes through `PersistedQueue`, all stores with their defaults. offer-id, take-id: with ids of the",
      "producer; the store `beanstalkd` has claims in memory then, and needs none otherwise. SQLite is `node:sqlite` in the",
      `measured process, so that its CPU counts as well. ${LEGEND}`
    ].join(" "),
    rowsTable(rows, REDIS),
    latencyTable(latencies),
    targetsTable(targetsOf(rows, latencies))
  ].join("\n\n")
  if (options.json) {
    for (const row of rows) console.log(JSON.stringify(row))
    for (const latency of latencies) console.log(JSON.stringify(latency))
  } else console.log(report)
  if (options.out !== undefined) appendSection(options.out, "queue", report)
  return failed ? 1 : 0
}
