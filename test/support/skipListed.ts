/**
 * Tests that cannot run in some surroundings, listed by why.
 */
import { readFileSync } from "node:fs"
import { relative } from "node:path"
import { beforeEach } from "vitest"

const root = `${import.meta.dirname}/../..`

/** By each reason, the tests: `test/cli/top.test.ts > top > shows the tubes`. */
export type Reasons = Readonly<Record<string, ReadonlyArray<string>>>

/** A list in `test/fixtures`. */
export const readList = (name: string): unknown => JSON.parse(readFileSync(`${root}/test/fixtures/${name}`, "utf8"))

/** Skips them, for a setup file. */
export const skipListed = (reasons: Reasons): void => {
  const reasonOf = new Map(Object.entries(reasons).flatMap(([reason, names]) => names.map((name) => [name, reason])))
  beforeEach(({ skip, task }) => {
    const reason = reasonOf.get(`${relative(root, task.file.filepath)} > ${task.fullTestName}`)
    if (reason !== undefined) skip(reason)
  })
}
