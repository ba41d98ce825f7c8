/**
 * Runs the tests on Bun and Deno, with all examples and the command, and checks that they run there, but for those that
 * `test/fixtures/runtimes.json` lists with a reason.
 *
 * `npm run test:runtimes -- bun` takes one of the two, `npm run test:runtimes -- test/cli` some tests, without judging.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readList, type Reasons } from "../support/skipListed.ts"
import { judge, type Report } from "./judge.ts"

const root = join(import.meta.dirname, "../..")
const binary = (name: string) => join(import.meta.dirname, "node_modules/.bin", name)

const commands: Readonly<Record<string, ReadonlyArray<string>>> = {
  bun: [binary("bun")],
  deno: [binary("deno"), "run", "-A", "-q"]
}

const args = process.argv.slice(2)
const tests = args.filter((arg) => !(arg in commands))
const runtimes = Object.keys(commands).filter((name) => args.length === tests.length || args.includes(name))

const run = (runtime: string, outputFile: string): number => {
  const [command, ...before] = commands[runtime]!
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", "vitest.runtimes.config.ts"]
  const reporters = ["--reporter=dot", "--silent=passed-only", "--reporter=json", `--outputFile.json=${outputFile}`]
  const { error, status } = spawnSync(command!, [...before, ...vitest, ...reporters, ...tests], {
    cwd: root,
    env: { ...process.env, DENO_NO_UPDATE_CHECK: "1" },
    stdio: "inherit"
  })
  if (error !== undefined) throw error
  return status ?? 1
}

const directory = mkdtempSync(join(tmpdir(), "runtimes-"))
process.on("exit", () => rmSync(directory, { recursive: true, force: true }))

const lists = readList("runtimes.json") as Readonly<Record<string, Reasons>>

for (const runtime of runtimes) {
  const outputFile = join(directory, `${runtime}.json`)
  const status = run(runtime, outputFile)
  if (status !== 0) process.exitCode = 1
  if (tests.length > 0) continue
  const { isGood, lines } = judge(
    runtime,
    root,
    JSON.parse(readFileSync(outputFile, "utf8")) as Report,
    lists[runtime]!
  )
  console.log(lines.join("\n"))
  if (!isGood) process.exitCode = 1
}
