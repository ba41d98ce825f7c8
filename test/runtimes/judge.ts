/**
 * Judges a run of all tests on another runtime than Node: whether enough of them ran, and the others are listed with a
 * reason.
 */
import { relative } from "node:path"
import type { Reasons } from "../support/skipListed.ts"

/** What vitest's reporter `json` writes, as far as it is read. */
export interface Report {
  readonly success: boolean
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly assertionResults: ReadonlyArray<{
      readonly ancestorTitles: ReadonlyArray<string>
      readonly title: string
      readonly status: string
    }>
  }>
}

export interface Judgement {
  /** What to print, the complaints last. */
  readonly lines: ReadonlyArray<string>
  readonly isGood: boolean
}

/** The share of the tests that must run, in percent. */
const LEAST = 97

/** Judges the run of all tests in the project at `root`. Any test that has not passed counts against the runtime. */
export const judge = (runtime: string, root: string, report: Report, reasons: Reasons): Judgement => {
  const tests = report.testResults.flatMap(({ assertionResults, name }) =>
    assertionResults.map(({ ancestorTitles, status, title }) => ({
      name: [relative(root, name), ...ancestorTitles, title].join(" > "),
      status
    }))
  )
  const known = new Set(tests.map(({ name }) => name))
  const listed = Object.values(reasons).flat()
  const passed = tests.filter(({ status }) => status === "passed").length
  const percent = 100 * passed / Math.max(1, tests.length)
  const unlisted = tests.filter(({ name, status }) => status !== "passed" && !listed.includes(name))
  const complaints = [
    ...report.success ? [] : ["the run has failed"],
    ...percent >= LEAST ? [] : [`${percent.toFixed(2)} % of the tests have passed, and ${LEAST} % must`],
    ...Object.keys(reasons).filter((reason) => reason.trim() === "").map(() => "tests are listed without a reason"),
    ...listed.filter((name, i) => listed.indexOf(name) !== i).map((name) => `listed twice: ${name}`),
    ...listed.filter((name) => !known.has(name)).map((name) => `listed, and there is no such test: ${name}`)
  ]
  return {
    lines: [
      `${runtime}: ${passed} of ${tests.length} tests have passed (${percent.toFixed(2)} %)`,
      ...Object.entries(reasons).map(([reason, names]) => `  ${names.length} do not run there: ${reason}`),
      ...unlisted.map(({ name, status }) => `  ${status}: ${name}`),
      ...complaints.map((complaint) => `  WRONG: ${complaint}`)
    ],
    isGood: complaints.length === 0
  }
}
