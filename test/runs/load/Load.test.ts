/**
 * A small load, of `npm run load`.
 */
import { assert, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describeReal } from "../../support/RealServer.ts"

const program = fileURLToPath(new URL("main.ts", import.meta.url))

describeReal("a load", () => {
  it("of jobs, waiting fibers and connections leaves nothing behind", async () => {
    const args = ["--expose-gc", program, "--jobs", "20000", "--fibers", "1000", "--connections", "1000"]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
    console.log(stdout)
    assert.notInclude(stdout, "GROWS")
    assert.include(stdout, "none left")
    assert.include(stdout, "all were answered")
  }, 70_000)
})
