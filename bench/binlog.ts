/**
 * `binlog`: puts that are kept, by the embedded server and by the real one, with each flag of theirs; what a put costs with
 * many jobs stored, and a start with them.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Start, withServer } from "./beanstalkd.ts"
import { type Placement, placementFor } from "./cpus.ts"
import { type Options, OURS, parseOptions } from "./options.ts"
import { check, prepare } from "./put.ts"
import { appendSection, environment, table } from "./report.ts"
import { type Case, measureRounds } from "./rounds.ts"
import { measureDepths, putMany } from "./server/queue.ts"
import { open } from "./put/limit.ts"
import { median, round, type Row, toRows } from "./statistics.ts"

const BEANSTALKD = "beanstalkd"

export const usage = "binlog [--json] [--out FILE] [--rounds 5] [--ops N] [--cpus same|own|any]"

const CLI = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url))

const root = mkdtempSync(join(tmpdir(), "bench-binlog-"))
process.once("exit", () => rmSync(root, { recursive: true, force: true }))

/** The servers, by their names, on a directory. */
const servers: Readonly<Record<string, (directory: string, flags: ReadonlyArray<string>) => Start>> = {
  [BEANSTALKD]:
    (directory, flags) => (port) => ["beanstalkd", "-l", "127.0.0.1", "-p", String(port), "-b", directory, ...flags],
  [OURS]:
    (directory, flags) => (port) => [process.execPath, CLI, "serve", "--port", String(port), "-b", directory, ...flags]
}

let directories = 0

const newDirectory = (): string => {
  const directory = join(root, String(directories++))
  mkdirSync(directory)
  return directory
}

/** A server that nobody had, with a directory of its own. */
const fresh = (server: string, flags: ReadonlyArray<string>): Start => (port) =>
  servers[server]!(newDirectory(), flags)(port)

interface Mode {
  readonly flag: string
  /** The least of beanstalkd's rate: one put at a time, 64 unanswered, and over 64 connections. */
  readonly least: Readonly<Record<string, number>>
}

const MODES: ReadonlyArray<Mode> = [
  { flag: "-f0", least: { "pipelined 1": 0.6, "pipelined 64": 5, "connections 64": 5 } },
  { flag: "-f50", least: { "pipelined 64": 1 } },
  { flag: "-F", least: { "pipelined 64": 1 } }
]

const casesOf = ({ cpus }: Options): ReadonlyArray<Case> =>
  ([["pipelined", 1], ["pipelined", 64], ["connections", 64]] as const).map(([bench, fibers]) => ({
    bench,
    fibers,
    cpus: placementFor(cpus ?? "own")
  }))

const opsOf = (_: string, { fibers }: Case): number => fibers === 1 ? 5000 : 50_000

const measureMode = async (options: Options, { flag }: Mode) => {
  const cases = casesOf(options)
  const { failed, samples } = await measureRounds({
    rounds: options.rounds,
    cases,
    clients: Object.keys(servers),
    server: (server) => fresh(server, [flag]),
    module: () => new URL("binlog/puts.ts", import.meta.url),
    ops: options.ops === undefined ? opsOf : () => options.ops!,
    prepare: (_, port, ops) => prepare("put", port, ops),
    check: (_, port, ops) => check("put", port, ops)
  })
  return { failed, rows: toRows(samples, cases, Object.keys(servers), BEANSTALKD) }
}

const FEW = 10_000
const MANY = 1_000_000

/** Seconds until a server answers that finds many jobs in its directory. */
const measureStart = async (server: string, placement: Placement): Promise<number> => {
  const directory = newDirectory()
  const start = servers[server]!(directory, ["-F"])
  await withServer(start, placement, async (port) => {
    const socket = await open(port)
    await putMany(socket, MANY)
    socket.end()
  })
  const began = performance.now()
  const seconds = await withServer(start, placement, () => Promise.resolve((performance.now() - began) / 1000))
  rmSync(directory, { recursive: true })
  return seconds
}

interface Figures {
  readonly depth: number
  readonly start: number
  readonly startOfBeanstalkd: number
}

const measureMany = async ({ cpus, rounds }: Options): Promise<Figures> => {
  const placement = placementFor(cpus ?? "own")
  const depths: Array<number> = []
  const ours: Array<number> = []
  const theirs: Array<number> = []
  for (let n = 1; n <= rounds; n++) {
    const [few, many] = await measureDepths(fresh(OURS, ["-f50"]), placement, [FEW, MANY])
    depths.push(many! / few!)
    theirs.push(await measureStart(BEANSTALKD, placement))
    ours.push(await measureStart(OURS, placement))
    const parts = [depths, theirs, ours].map((values) => values.at(-1)!.toFixed(2))
    console.error(`round ${n}/${rounds}, many jobs: a put ${parts[0]}, starts of ${parts[1]} and ${parts[2]} s`)
  }
  return { depth: median(depths), start: median(ours), startOfBeanstalkd: median(theirs) }
}

const verdict = (isMet: boolean): string => isMet ? "met" : "MISSED"

const ratesTable = (rows: ReadonlyArray<Row & Mode>): string =>
  table(
    ["flag", "work", "server", "fibers", "puts/s", "slowest", "fastest", "of beanstalkd", "target", "verdict"],
    rows.map(({ bench, client, fastest, fibers, flag, least, opsPerSecond, ratioToLimit, slowest }) => {
      const target = client === OURS ? least[`${bench} ${fibers}`] : undefined
      return [
        flag,
        bench,
        client,
        String(fibers),
        String(opsPerSecond),
        String(slowest),
        String(fastest),
        ratioToLimit?.toFixed(2) ?? "-",
        target === undefined ? "" : `>= ${target}`,
        target === undefined ? "" : verdict((ratioToLimit ?? 0) >= target)
      ]
    }),
    3
  )

const manyTable = ({ depth, start, startOfBeanstalkd }: Figures): string =>
  table(
    ["with 1,000,000 jobs stored", "target", "measured", "verdict"],
    [
      ["put: of one with 10,000", "< 1.50", depth.toFixed(2), verdict(depth < 1.5)],
      [
        `start: of beanstalkd's (${startOfBeanstalkd.toFixed(1)} s)`,
        "<= 1.50",
        (start / startOfBeanstalkd).toFixed(2),
        verdict(start <= 1.5 * startOfBeanstalkd)
      ]
    ],
    1
  )

/** Runs the bench; the exit code. */
export const run = async (args: Array<string>, beanstalkd: string): Promise<number> => {
  const options = parseOptions(args, Object.keys(servers))
  const rows: Array<Row & Mode> = []
  let failed = false
  for (const mode of MODES) {
    const measured = await measureMode(options, mode)
    failed ||= measured.failed
    rows.push(...measured.rows.map((row) => ({ ...row, ...mode })))
  }
  const figures = await measureMany(options)
  const report = [
    `Medians of ${options.rounds} rounds. ${environment(beanstalkd, [OURS])}.`,
    [
      "Puts of 64 bytes from bare sockets into a directory that was empty: so many unanswered on one connection",
      "(`pipelined`), or one on each of so many (`connections`). Of beanstalkd: the median of the rounds' ratios."
    ].join(" "),
    ratesTable(rows),
    manyTable(figures)
  ].join("\n\n")
  if (options.json) {
    for (const { least: _, ...row } of rows) console.log(JSON.stringify({ ...row, bench: "binlog", work: row.bench }))
    console.log(
      JSON.stringify({ bench: "binlog", ...figures, ratio: round(figures.start / figures.startOfBeanstalkd, 2) })
    )
  } else console.log(report)
  if (options.out !== undefined) appendSection(options.out, "binlog", report)
  return failed ? 1 : 0
}
