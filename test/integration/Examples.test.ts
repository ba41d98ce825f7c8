/**
 * The examples do what they show, each run as its reader would run it.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { globSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"

const root = join(import.meta.dirname, "../..")

const run = async (example: string): Promise<string> => {
  const { BEANSTALKD_URL: _, ...env } = process.env
  const { stdout } = await promisify(execFile)("node", [join("examples", example)], { cwd: root, env, timeout: 30_000 })
  return stdout
}

const SHOWS: Record<string, ReadonlyArray<string>> = {
  "quickstart.ts": ["reserved job 2: done: water the plants", "deleted  job 4", "0 are ready, 0 reserved"],
  "errors.ts": [
    "refused: a body of 100000 bytes",
    "invalid: put: ttr must be",
    "gone: delete: no job 1",
    "sent: false"
  ],
  "two-servers.ts": ["emails:  default, outbox", "billing: default, charges"],
  "config.ts": ["job 1 is ready in configured"],
  "http-producer.ts": ["202 {\"id\":1}", "400 "],
  "drain-buried.ts": ["kicked  job 5: good 3", "reports: 0 buried, 3 ready"]
}

describe.concurrent("the examples", () => {
  it("are all run here, but for tests, which are run with the other tests", () => {
    const examples = globSync("*.ts", { cwd: join(root, "examples"), exclude: ["*.test.ts"] })
    assert.deepStrictEqual(Object.keys(SHOWS).toSorted(), examples.toSorted())
  })

  it.each(Object.keys(SHOWS))("%s", async (example) => {
    const output = await run(example)
    for (const line of SHOWS[example]!) assert.include(output, line)
  }, 40_000)
})
