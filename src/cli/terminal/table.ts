/**
 * Tables. On a terminal they are aligned and have a heading; elsewhere they are lines of cells separated by tabs, for `cut`
 * and `awk`.
 */
import * as CliOutput from "effect/cli/CliOutput"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"

/** Text, or a number. `undefined` is an unknown number. */
export type Cell = string | number | undefined

const show = (cell: Cell): string => String(cell ?? "-")

const pad = (cell: Cell, width: number): string => {
  const text = show(cell)
  const blanks = " ".repeat(Math.max(0, width - CliOutput.displayWidth(text)))
  return typeof cell === "string" ? text + blanks : blanks + text
}

/** The lines of an aligned table, the heading first. Numbers are aligned to the right, text to the left. */
export const align = (
  heading: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<Cell>>
): ReadonlyArray<string> => {
  const widths = heading.map((title, i) =>
    rows.reduce((width, row) => Math.max(width, CliOutput.displayWidth(show(row[i]))), title.length)
  )
  const first = rows[0] ?? heading
  const titles = heading.map((title, i) => typeof first[i] === "string" ? title : title.padStart(widths[i]!))
  return [titles, ...rows].map((row) => row.map((cell, i) => pad(cell, widths[i]!)).join("  ").trimEnd())
}

/** Text with escapes for control characters, which could move the cursor or break a line or a table. */
export const oneLine = (text: string): string =>
  // oxlint-disable-next-line no-control-regex
  text.replace(/[\u0000-\u001F\u007F-\u009F\u2028\u2029]/g, (c) =>
    c === "\n"
      ? "\\n"
      : c === "\t"
      ? "\\t"
      : c === "\r"
      ? "\\r"
      : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** Cuts text to this many characters. Three dots mark the cut. */
export const cut = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, Math.max(0, length - 3))}...` : text

/** The table as stdout needs it. */
export const table = Effect.fnUntraced(function*(
  heading: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<Cell>>
) {
  if (!process.stdout.isTTY) return rows.map((row) => `${row.map(show).join("\t")}\n`).join("")
  const [titles, ...lines] = align(heading, rows)
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const bold = canColor ? `\u001B[1m${titles}\u001B[0m` : titles
  return [bold, ...lines].map((line) => `${line}\n`).join("")
})
