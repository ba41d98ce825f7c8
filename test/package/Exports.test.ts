/**
 * The exports of the package: the public modules, with the exports that `test/fixtures/exports.txt` lists, and nothing else.
 * After an intended change, `npx vitest run test/package/Exports -u` writes the list again.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, vi } from "vitest"

vi.setConfig({ testTimeout: 120_000 })

const ROOT = join(import.meta.dirname, "../..")

const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>
}

interface Exported {
  readonly kind: string
  readonly name: string
}

// The compiler writes one export per line, or a list in braces.
const DECLARATION =
  /^export (?:declare )?(?:abstract )?(?:(class|const|function|interface|namespace|type) (\w+)|(type )?\{([\s\S]*?)\}|(\* as) (\w+))/gm

const listed = (isType: boolean, names: string): ReadonlyArray<Exported> =>
  names.replace(/\/\*[\s\S]*?\*\//g, "").split(",").map((item) => item.trim()).filter((item) => item !== "").map((
    item
  ) => ({
    kind: isType || item.startsWith("type ") ? "type" : "re-export",
    name: item.replace(/^type /, "").replace(/^.* as /, "")
  }))

const exportsOf = (types: string): ReadonlyArray<Exported> =>
  [...readFileSync(join(ROOT, types), "utf8").matchAll(DECLARATION)]
    .flatMap(([, kind, name, type, names, star, namespace]) =>
      names !== undefined
        ? listed(type !== undefined, names)
        : [star === undefined ? { kind: kind!, name: name! } : { kind: "module", name: namespace! }]
    )
    .toSorted((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : a.kind < b.kind ? -1 : 1)

const modules = Object.entries(exports).flatMap(([path, target]) =>
  typeof target === "string" ? [] : [{ path, exported: exportsOf(target.types), file: target.default }]
)

const isValue = ({ kind }: Exported) => !["interface", "namespace", "type"].includes(kind)

/** Runs code in a Node process for which this package is installed. */
const inNode = (code: string): unknown =>
  JSON.parse(execFileSync(process.execPath, ["--input-type=module", "-e", code], { cwd: ROOT, encoding: "utf8" }))

describe("the package", () => {
  it("has the public modules and exports of the list", async () => {
    const list = modules.map(({ exported, path }) =>
      [path.replace(/^\./, "effect-beanstalkd"), ...exported.map(({ kind, name }) => `  ${name} (${kind})`)].join("\n")
    )
    await expect(`${list.join("\n\n")}\n`).toMatchFileSnapshot("../fixtures/exports.txt")
  })

  it("has at run time the exports that its declarations promise", () => {
    const names = inNode(`
      const paths = ${JSON.stringify(modules.map(({ path }) => path.replace(/^\./, "effect-beanstalkd")))}
      const modules = await Promise.all(paths.map((path) => import(path)))
      console.log(JSON.stringify(modules.map((module) => Object.keys(module).sort())))
    `)
    assert.deepStrictEqual(
      names,
      modules.map(({ exported }) => [...new Set(exported.filter(isValue).map(({ name }) => name))])
    )
  })

  it("refuses every other module, internal or of the command, by any name", () => {
    const files = globSync("dist/**/*.js", { cwd: ROOT }).map((file) => file.replace(/^dist\//, ""))
    const closed = files.filter((file) => !modules.some((module) => module.file === `./dist/${file}`))
    assert.include(closed, "internal/server/collections.js")
    assert.include(closed, "cli/main.js")
    assert.isAbove(closed.length, 60)
    const names = [...closed, "index.js"].flatMap((file) => [file.replace(/\.js$/, ""), file, `dist/${file}`])
    const others = ["internal", "internal/server", "cli", "dist", "src/index.ts", "src/internal/server/collections.ts"]
    const specifiers = [...names, ...others].map((name) => `effect-beanstalkd/${name}`)
    const outcomes = inNode(`
      const outcome = (specifier) => import(specifier).then(() => "imported", (error) => error.code)
      console.log(JSON.stringify(await Promise.all(${JSON.stringify(specifiers)}.map(outcome))))
    `)
    assert.deepStrictEqual(outcomes, specifiers.map(() => "ERR_PACKAGE_PATH_NOT_EXPORTED"))
  })
})
