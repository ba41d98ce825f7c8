/**
 * A short chaos run, of `npm run chaos`.
 */
import { assert, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describeReal } from "../../support/RealServer.ts"

const program = fileURLToPath(new URL("main.ts", import.meta.url))

describeReal("chaos", () => {
  it("loses nothing that was acknowledged in four seconds, and the process ends by itself", async () => {
    const args = [program, "--seed", "7", "--seconds", "4"]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 90_000 })
    console.log(stdout)
    assert.include(stdout, "0 jobs lost, 0 handlers missed, 0 hung, ")
    assert.include(stdout, ", 0 violations in all")
  }, 100_000)
})
