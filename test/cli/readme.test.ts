/**
 * The recording in the README: each command, run in a shell, prints the lines that stand there.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import * as RealServer from "../support/RealServer.ts"
import * as Runtime from "../support/Runtime.ts"
import { tempDir } from "../support/TempDir.ts"

const root = join(import.meta.dirname, "../..")
const main = join(root, "dist/cli/main.js")

const [, recording] = /^```console\n([\s\S]*?)^```$/m.exec(readFileSync(join(root, "README.md"), "utf8"))!
const steps = recording!.split(/^\$ /m).slice(1).map((step) => {
  const [command, ...output] = step.split("\n")
  return { command: command!, output: output.join("\n") }
})

RealServer.describeReal("the recording in the README", () => {
  it.live("is what happens", () =>
    Effect.gen(function*() {
      const { port } = yield* RealServer.make()
      const cwd = yield* tempDir
      const env = { ...process.env, BEANSTALKD_URL: `beanstalk://127.0.0.1:${port}` }
      assert.isAbove(steps.length, 10)
      for (const { command, output } of steps) {
        const script = `beanstalk() { ${Runtime.commandLine} "${main}" "$@"; }\nexec 2>&1\n${command}\ntrue`
        const { stdout } = yield* Effect.promise(() => promisify(execFile)("bash", ["-c", script], { cwd, env }))
        assert.strictEqual(stdout.replaceAll(`:${port}`, ":11300"), output, command)
      }
    }).pipe(Effect.scoped), 120_000)
})
