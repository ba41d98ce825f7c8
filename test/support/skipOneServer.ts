/**
 * Skips the tests that cannot be the same on several servers, as `test/fixtures/one-server.json` lists them by why.
 */
import { readFileSync } from "node:fs"
import { relative } from "node:path"
import { beforeEach } from "vitest"

const root = `${import.meta.dirname}/../..`

const reasons = JSON.parse(readFileSync(`${root}/test/fixtures/one-server.json`, "utf8")) as Record<
  string,
  ReadonlyArray<string>
>

const reasonOf = new Map(Object.entries(reasons).flatMap(([reason, names]) => names.map((name) => [name, reason])))

beforeEach(({ skip, task }) => {
  const reason = reasonOf.get(`${relative(root, task.file.filepath)} > ${task.fullTestName}`)
  if (reason !== undefined) skip(reason)
})
