/**
 * The report for people: markdown that is also aligned.
 */
import { appendFileSync, readFileSync } from "node:fs"
import { cpus, type } from "node:os"
import { LIMIT, type Row } from "./statistics.ts"

/** An aligned markdown table. The columns from `firstNumber` on are flushed right. */
export const table = (
  header: ReadonlyArray<string>,
  lines: ReadonlyArray<ReadonlyArray<string>>,
  firstNumber: number
): string => {
  const widths = header.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]!.length)))
  const pad = (text: string, column: number): string =>
    column < firstNumber ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)
  const rule = widths.map((width, column) => column < firstNumber ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)
  return [header.map(pad), rule, ...lines.map((line) => line.map(pad))]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n")
}

/** What the columns of `rowsTable` mean. */
export const LEGEND = [
  "CPUs: the client and beanstalkd share the `same` one, have their `own`, or `any` that the scheduler gives them.",
  "Slowest and fastest: rounds. CPU µs/op: the client's process, all threads. The last two columns: the medians of the",
  "rounds' ratios, of ops/s and of CPU per op."
].join(" ")

export const rowsTable = (rows: ReadonlyArray<Row>, baseline: string = LIMIT): string =>
  table(
    [
      "bench",
      "client",
      "CPUs",
      "fibers",
      "connections",
      "ops/s",
      "slowest",
      "fastest",
      "CPU µs/op",
      `of ${baseline}`,
      "CPU"
    ],
    rows.map((row) => [
      row.bench,
      row.client,
      row.cpus,
      String(row.fibers),
      String(row.connections),
      String(row.opsPerSecond),
      String(row.slowest),
      String(row.fastest),
      row.cpuMicrosPerOp.toFixed(2),
      row.ratioToLimit?.toFixed(2) ?? "-",
      row.cpuRatio?.toFixed(2) ?? "-"
    ]),
    3
  )

const versionOf = (path: string): string => {
  const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"))
  return `${name} ${version}`
}

const versionsOf = (clients: ReadonlyArray<string>): ReadonlyArray<string> =>
  clients.flatMap((client) =>
    client === LIMIT || client === "before"
      ? []
      : client === "effect-beanstalkd"
      ? [versionOf("../package.json"), versionOf("../node_modules/effect/package.json")]
      : [versionOf(`node_modules/${client}/package.json`)]
  )

/** What the numbers were measured with. */
export const environment = (beanstalkd: string, clients: ReadonlyArray<string>): string =>
  [
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${type()}`,
    `node ${process.versions.node}`,
    beanstalkd,
    ...versionsOf(clients)
  ].join("; ")

/** Adds a dated section to a markdown file, which need not exist yet. */
export const appendSection = (file: string, title: string, text: string): void =>
  appendFileSync(file, `## ${new Date().toISOString().slice(0, 10)}: ${title}\n\n${text}\n\n`)
