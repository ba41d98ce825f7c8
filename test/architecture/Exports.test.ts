/**
 * What the package exports: its modules, and the names in each of them.
 */
import { assert, describe, expect, it } from "@effect/vitest"
import * as Package from "effect-beanstalkd"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { PUBLIC } from "./rules.ts"

const root = join(import.meta.dirname, "../..")

const DECLARATION = /^export (?:declare )?(?:abstract )?(?:const|class|interface|type|function) (\w+)/gm
const LIST = /^export (?:type )?\{([^}]*)\}/gm

// Types have no value at run time, so the names are read from the source.
const namesIn = (module: string): ReadonlyArray<string> => {
  const source = readFileSync(join(root, "src", `${module}.ts`), "utf8")
  const listed = [...source.matchAll(LIST)].flatMap(([, names]) => names!.replace(/\/\*.*?\*\//gs, "").split(","))
  const declared = [...source.matchAll(DECLARATION)].map(([, name]) => name!)
  const names = [...declared, ...listed.map((name) => name.replace(/^\s*(?:type )?(?:\w+ as )?/, "").trim())]
  return [...new Set(names.filter((name) => name !== ""))].toSorted()
}

describe("the package", () => {
  it("exports the public modules by name, and nothing else", () => {
    assert.deepStrictEqual(Object.keys(Package), PUBLIC.toSorted())
  })

  it("exports the names in exports.txt (after a change: vitest run test/architecture --update)", async () => {
    const list = PUBLIC.toSorted().map((module) =>
      `${module}\n${namesIn(module).map((name) => `  ${name}\n`).join("")}`
    )
    await expect(list.join("\n")).toMatchFileSnapshot("exports.txt")
  })

  it.each(Object.entries(Package))("has no value in %s that the list does not show", (module, namespace) => {
    assert.includeMembers([...namesIn(module)], Object.keys(namespace))
  })

  it.each(PUBLIC)("has an entry point for %s", (module) => {
    assert.strictEqual(resolve(`effect-beanstalkd/${module}`), join(root, "dist", `${module}.js`))
  })

  it.each([
    "internal/server/heap",
    "internal/protocol/scalars",
    "internal/connection/pipeline.js",
    "cli/main",
    "cli/commands/put",
    "dist/internal/server/heap.js",
    "src/internal/server/heap.ts",
    "index",
    "Nothing"
  ])("refuses to load %s", (path) => {
    assert.throws(() => resolve(`effect-beanstalkd/${path}`), /is not defined by "exports"/)
  })
})

// Node's own resolution, which knows nothing of the aliases of the test runner.
const { resolve } = createRequire(import.meta.url)
