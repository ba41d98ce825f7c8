/**
 * The start of the command. On a Node that is too old, or without a package that it needs, one line says so.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { accessSync, constants, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { vi } from "vitest"
import { describeMissing } from "../../src/cli/missingPackage.ts"
import { tempDir } from "../support/TempDir.ts"

// Each test starts processes, on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000 })

const ROOT = join(import.meta.dirname, "../..")
const MAIN = join(ROOT, "dist/cli/main.js")

const run = (args: ReadonlyArray<string>, node = process.execPath) => {
  const { status, stderr, stdout } = spawnSync(node, args, { encoding: "utf8" })
  return { status, stdout, stderr }
}

const { engines, version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly engines: { readonly node: string }
  readonly version: string
}

const started = { status: 0, stdout: `beanstalk v${version}\n`, stderr: "" }

const refused = (node: string) => ({
  status: 1,
  stdout: "",
  stderr: `beanstalk: Node 22.19 or later is needed, this is Node ${node}\n`
})

const versionOf = (node: string): string => {
  try {
    return execFileSync(node, ["-p", "process.versions.node"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    }).trim()
  } catch {
    return ""
  }
}

/** A Node of this machine that the package does not support. */
const oldNode = (process.env["PATH"] ?? "").split(delimiter).map((directory) => join(directory, "node"))
  .find((node) => /^(1\d|20|21)\./.test(versionOf(node)))

describe("the command", () => {
  it("asks for the Node that package.json asks for", () => {
    assert.strictEqual(engines.node, ">=22.19")
  })

  it.live("says in one line that Node is too old, and starts on every later Node", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const on = (node: string) => {
        const pretend = join(directory, "pretend.cjs")
        const versions = `{ ...process.versions, node: ${JSON.stringify(node)} }`
        writeFileSync(pretend, `Object.defineProperty(process, "versions", { value: ${versions} })`)
        return run(["-r", pretend, MAIN, "--version"])
      }
      for (const node of ["12.22.12", "18.20.8", "20.20.2", "22.9.0", "22.18.0"]) {
        assert.deepStrictEqual(on(node), refused(node))
      }
      for (const node of ["22.19.0", "22.20.1", "23.0.0", "24.21.0", "100.0.0"]) {
        assert.deepStrictEqual(on(node), started)
      }
    }).pipe(Effect.scoped))

  it.skipIf(oldNode === undefined)("says so on a real Node that is too old (skipped if the PATH has none)", () => {
    assert.deepStrictEqual(run([MAIN, "--version"], oldNode), refused(versionOf(oldNode!)))
  })

  it("is executable, and npx finds it in a clone", () => {
    accessSync(MAIN, constants.X_OK)
    const { status, stderr, stdout } = spawnSync("npx", ["--offline", "beanstalk", "--version"], {
      cwd: ROOT,
      encoding: "utf8"
    })
    assert.deepStrictEqual({ status, stdout, stderr }, started)
  })

  it("begins with a file that an old Node can read", () => {
    const code = readFileSync(MAIN, "utf8").replace(/\/\*[\s\S]*?\*\/|^ *\/\/.*$/gm, "")
    assert.notMatch(code, /^ *import [^(]|^ *export [^{]|\bawait\b|\?\.|\?\?|#[a-z]|\d_\d/m)
  })
})

describe("without a package", () => {
  it.each([
    ["Node", "Cannot find package 'effect' imported from /a/run.js"],
    ["Bun", "Cannot find package 'effect' imported from /a/run.js"],
    ["Deno", "Could not find package 'effect' from referrer 'file:///a/run.js'."],
    ["Deno, in a project", "Import \"effect/Runtime\" not a dependency\n    at file:///a/run.js:5:26\n"]
  ])("%s says so in its own words", (_, message) => {
    const error = Object.assign(new Error(message), { code: "ERR_MODULE_NOT_FOUND" })
    assert.strictEqual(describeMissing(error), "the package effect is missing: npm install effect")
    const scoped = Object.assign(new Error(message.replace("effect", "@effect/x")), { code: "ERR_MODULE_NOT_FOUND" })
    assert.strictEqual(describeMissing(scoped), "the package @effect/x is missing: npm install @effect/x")
  })

  // A copy of the published files, with only these packages beside it.
  const installed = Effect.fnUntraced(function*(packages: ReadonlyArray<string>) {
    const directory = yield* tempDir
    const own = join(directory, "node_modules/effect-beanstalkd")
    mkdirSync(own, { recursive: true })
    for (const file of ["dist", "package.json"]) cpSync(join(ROOT, file), join(own, file), { recursive: true })
    for (const name of packages) symlinkSync(join(ROOT, "node_modules", name), join(directory, "node_modules", name))
    return join(own, "dist/cli/main.js")
  })

  it.live("effect: no command runs, and one line says why", () =>
    Effect.gen(function*() {
      const { status, stderr, stdout } = run([yield* installed([]), "--version"])
      assert.deepStrictEqual([status, stdout], [1, ""])
      assert.strictEqual(stderr, "beanstalk: the package effect is missing: npm install effect\n")
    }).pipe(Effect.scoped))

  it.live("@effect/platform-node: only serve needs it, and one line says so", () =>
    Effect.gen(function*() {
      const main = yield* installed(["effect"])
      assert.deepStrictEqual(run([main, "--version"]), started)
      const list = run([main, "list", "--url", "unix:///nonexistent/x.sock"])
      assert.match(list.stderr, /^UNREACHABLE: there is no socket .*\n$/)
      const { status, stderr, stdout } = run([main, "serve", "--port", "0"])
      assert.deepStrictEqual([status, stdout], [1, ""])
      assert.match(stderr, /^beanstalk: .*@effect\/platform-node.*: npm install @effect\/platform-node\n$/)
    }).pipe(Effect.scoped))
})
