/**
 * `server`: the embedded server beside the real one. A bare socket puts jobs, and reserves and deletes them in batches,
 * as fast as either server lets it; then, what it takes to have many jobs.
 */
import { embedded, real, type Start } from "./beanstalkd.ts"
import { placementFor } from "./cpus.ts"
import { type Options, OURS, parseOptions } from "./options.ts"
import { check, prepare } from "./put.ts"
import { appendSection, environment, table } from "./report.ts"
import { type Case, measureRounds } from "./rounds.ts"
import { measureDepths, measureMemory, type Memory } from "./server/queue.ts"
import { median, round, type Row, toRows } from "./statistics.ts"
import { BODY_BYTES } from "./support.ts"

const BEANSTALKD = "beanstalkd"
const STARTS: Readonly<Record<string, Start>> = { [BEANSTALKD]: real, [OURS]: embedded }

const JOBS = 100_000
const DEPTHS = [10_000, 100_000, 1_000_000]

export const usage = "server [--json] [--out FILE] [--rounds 5] [--ops N] [--fibers 1,64,512] [--cpus same|own|any]"

/** On a CPU of its own: what the client takes should not hide what the server takes. */
const casesOf = ({ cpus, fibers = [1, 64, 512] }: Options): ReadonlyArray<Case> =>
  ["put", "reserve-delete"].flatMap((bench) =>
    fibers.map((fibers) => ({ bench, fibers, cpus: placementFor(cpus ?? "own") }))
  )

const opsOf = (_: string, { bench, fibers }: Case): number =>
  (fibers === 1 ? 30_000 : 200_000) / (bench === "put" ? 1 : 2)

/** A figure of a server, beside the rates. */
interface Figure {
  readonly work: string
  readonly server: string
  readonly value: number
  readonly unit: string
  /** Of the same server, with the fewest jobs. */
  readonly ratioToFewest: number | null
}

const memoryFigures = (server: string, memories: ReadonlyArray<Memory>): ReadonlyArray<Figure> =>
  (["resident", "heap"] as const).flatMap((kind) => {
    const bytes = memories.flatMap((memory) => memory[kind] === null ? [] : [memory[kind] / JOBS])
    const figure = { work: `${kind} memory, ${JOBS} jobs`, server, value: round(median(bytes), 0), unit: "bytes a job" }
    return bytes.length === 0 ? [] : [{ ...figure, ratioToFewest: null }]
  })

const depthFigures = (server: string, costs: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<Figure> =>
  DEPTHS.map((depth, n) => ({
    work: `put, ${depth} jobs queued`,
    server,
    value: round(median(costs.map((cost) => cost[n]!)), 2),
    unit: "µs a put",
    ratioToFewest: round(median(costs.map((cost) => cost[n]! / cost[0]!)), 2)
  }))

const measureQueues = async ({ cpus, rounds }: Options): Promise<ReadonlyArray<Figure>> => {
  const placement = placementFor(cpus ?? "own")
  const servers = Object.entries(STARTS).map(([server, start]) => ({
    server,
    start,
    memories: [] as Array<Memory>,
    costs: [] as Array<ReadonlyArray<number>>
  }))
  for (let n = 1; n <= rounds; n++) {
    for (const { costs, memories, server, start } of servers) {
      memories.push(await measureMemory(start, placement, JOBS))
      costs.push(await measureDepths(start, placement, DEPTHS))
      console.error(
        `round ${n}/${rounds}, memory and depth, ${server}: ${
          costs.at(-1)!.map((cost) => cost.toFixed(2)).join(", ")
        } µs`
      )
    }
  }
  return [
    ...servers.flatMap(({ memories, server }) => memoryFigures(server, memories)),
    ...servers.flatMap(({ costs, server }) => depthFigures(server, costs))
  ]
}

const ratesTable = (rows: ReadonlyArray<Row>): string =>
  table(
    ["work", "server", "CPUs", "fibers", "ops/s", "slowest", "fastest", "of beanstalkd"],
    rows.map((row) => [
      row.bench,
      row.client,
      row.cpus,
      String(row.fibers),
      String(row.opsPerSecond),
      String(row.slowest),
      String(row.fastest),
      row.ratioToLimit?.toFixed(2) ?? "-"
    ]),
    3
  )

const figuresTable = (figures: ReadonlyArray<Figure>): string =>
  table(
    ["with jobs queued", "server", "value", "unit", "of the first"],
    figures.map(({ ratioToFewest, server, unit, value, work }) => [
      work,
      server,
      String(value),
      unit,
      ratioToFewest?.toFixed(2) ?? "-"
    ]),
    2
  )

const verdict = (isMet: boolean): string => isMet ? "met" : "MISSED"

const targetsTable = (rows: ReadonlyArray<Row>, figures: ReadonlyArray<Figure>): string => {
  const puts = rows.find(({ bench, client, fibers }) => bench === "put" && client === OURS && fibers === 64)
    ?.ratioToLimit
  const deep = figures.findLast(({ server }) => server === OURS)?.ratioToFewest
  return table(
    ["embedded server", "target", "measured", "verdict"],
    [
      ...(puts == null ? [] : [["put, 64 fibers: of beanstalkd", ">= 0.25", puts.toFixed(2), verdict(puts >= 0.25)]]),
      ...(deep == null
        ? []
        : [[
          `put, ${DEPTHS.at(-1)} jobs queued: of one with ${DEPTHS[0]}`,
          "< 1.50",
          deep.toFixed(2),
          verdict(deep < 1.5)
        ]])
    ],
    1
  )
}

const toJson = ({ bench, client, ratioToLimit, ...row }: Row) => ({
  bench: "server",
  work: bench,
  server: client,
  ...row,
  ratioToBeanstalkd: ratioToLimit
})

/** Runs the bench; the exit code. */
export const run = async (args: Array<string>, beanstalkd: string): Promise<number> => {
  const servers = Object.keys(STARTS)
  const options = parseOptions(args, servers)
  const cases = casesOf(options)
  const { samples, failed } = await measureRounds({
    rounds: options.rounds,
    cases,
    clients: servers,
    server: (server) => STARTS[server]!,
    module: () => new URL("put/limit.ts", import.meta.url),
    ops: options.ops === undefined ? opsOf : () => options.ops!,
    prepare,
    check
  })
  const rows = toRows(samples, cases, servers, BEANSTALKD)
  const figures = await measureQueues(options)
  const report = [
    `Medians of ${options.rounds} rounds. ${environment(beanstalkd, [OURS])}.`,
    [
      `Bodies of ${BODY_BYTES.length} bytes, from a bare socket with so many commands unanswered ("fibers"); an op of`,
      "reserve-delete is a reserve and a delete. Of beanstalkd: the median of the rounds' ratios. CPUs: client and server",
      "have their `own`, share the `same`, or `any` that the scheduler gives them. Heap: after a collection of garbage."
    ].join(" "),
    ratesTable(rows),
    figuresTable(figures),
    targetsTable(rows, figures)
  ].join("\n\n")
  if (options.json) {
    for (const row of rows) console.log(JSON.stringify(toJson(row)))
    for (const figure of figures) console.log(JSON.stringify({ bench: "server", ...figure, rounds: options.rounds }))
  } else console.log(report)
  if (options.out !== undefined) appendSection(options.out, "server", report)
  return failed ? 1 : 0
}
