/**
 * Every example in a docstring or a document compiles against the sources, as strictly as the sources do.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { promisify } from "node:util"

const root = join(import.meta.dirname, "../..")
// Inside the project, so that the examples find its packages.
const scratch = join(root, ".docs-examples")

const FENCE = /^ *(?:\* )?```ts\n([\s\S]*?)^ *(?:\* )?```$/gm

const examplesIn = (file: string): ReadonlyArray<string> =>
  [...readFileSync(join(root, file), "utf8").matchAll(FENCE)].map(([, code]) => code!.replace(/^ *\* ?/gm, ""))

const files = globSync(["src/**/*.ts", "*.md", "docs/**/*.md"], { cwd: root })

const modules = files.flatMap((file) =>
  examplesIn(file).map((code, i) => ({ name: `${basename(file).replace(/\W/g, "_")}_${i + 1}.ts`, code }))
)

const compile = async (): Promise<string> => {
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch)
  writeFileSync(
    join(scratch, "tsconfig.json"),
    JSON.stringify({
      extends: "../tsconfig.json",
      compilerOptions: { noUnusedLocals: false, rootDir: ".." },
      include: ["*.ts"]
    })
  )
  for (const { code, name } of modules) writeFileSync(join(scratch, name), `${code}\nexport {}\n`)
  try {
    const { stdout } = await promisify(execFile)("tsc", ["-p", scratch], {
      env: { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"]}` }
    })
    return stdout
  } catch (error) {
    return (error as { readonly stdout: string }).stdout
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

describe("the examples in the docs", () => {
  it("are found, in the README and in the modules", () => {
    assert.isAbove(modules.filter(({ name }) => name.startsWith("README")).length, 0)
    assert.isAbove(modules.filter(({ name }) => name.startsWith("Connection")).length, 2)
  })

  it("compile", async () => {
    assert.strictEqual(await compile(), "")
  }, 60_000)
})
