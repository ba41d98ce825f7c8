/**
 * A short run of `npm run fleet`.
 */
import { assert, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describeReal } from "../../support/RealServer.ts"

const program = fileURLToPath(new URL("main.ts", import.meta.url))

describeReal("a fleet of real servers", () => {
  it("loses nothing that was acknowledged while its servers are killed for two seconds", async () => {
    const args = [program, "--seed", "3", "--seconds", "2", "--servers", "4"]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 90_000 })
    console.log(stdout)
    assert.include(stdout, "; 0 violations")
  }, 100_000)
})
