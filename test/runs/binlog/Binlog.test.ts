/**
 * A short run of `npm run binlog`.
 */
import { assert, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describeReal } from "../../support/RealServer.ts"

const program = fileURLToPath(new URL("main.ts", import.meta.url))

const run = async (...args: ReadonlyArray<string>) => {
  const { stdout } = await promisify(execFile)(process.execPath, [program, "--seed", "7", ...args], { timeout: 90_000 })
  assert.include(stdout, ": 0 violations")
}

describeReal("the binlog of our server", () => {
  it(
    "is read and continued by the real server, and the other way round",
    () => run("--workloads", "1", "--commands", "80"),
    100_000
  )

  it(
    "has what was acknowledged, whichever call to the file system its server is killed at",
    () => run("--kills", "4"),
    100_000
  )

  it("loses nothing in silence when it is damaged", () => run("--damage", "--step", "41"), 100_000)
})
