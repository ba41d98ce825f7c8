/**
 * The maps for contributors name files and members that exist.
 */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { rooms, rules } from "../architecture/rules.ts"

const root = join(import.meta.dirname, "../..")
const read = (file: string) => readFileSync(join(root, file), "utf8")

const files = new Set(
  globSync(["src/**/*.ts", "test/**/*.ts", "examples/*.ts"], { cwd: root }).flatMap((file) => [file, basename(file)])
)
const source = globSync(["src/**/*.ts", "test/support/**/*.ts", "test/runs/simulation/*.ts"], { cwd: root }).map(read)
  .join("\n")

const named = (document: string): ReadonlyArray<string> => [
  ...new Set([...read(document).replace(/```[^]*?```/g, "").matchAll(/`([^`\n]+)`/g)].map(([, name]) => name!))
]

const isKnown = (name: string): boolean => {
  if (/^[\w./]+\.ts$/.test(name)) return files.has(name)
  // Members and classes, `Pipeline.start` or `#flush`. Options, commands and values are not checked.
  if (/^#?[a-zA-Z]\w+$/.test(name)) return new RegExp(`${name.startsWith("#") ? "" : "\\b"}${name}\\b`).test(source)
  return !/^[A-Z]\w+\.[a-z]\w+$/.test(name) || name.split(".").every(isKnown)
}

describe.each(["CONTRIBUTING.md", "docs/simulation.md"])("%s", (document) => {
  it("names what there is", () => {
    assert.deepStrictEqual(named(document).filter((name) => !isKnown(name)), [])
  })
})

// Every room may use these, so only the first row names one.
const VOCABULARY = ["Errors", "Stats", "Protocol"]

describe("the table of rooms in CONTRIBUTING.md", () => {
  it.each(rooms)("has the imports of %s", (room) => {
    const row = read("CONTRIBUTING.md").split("\n").find((line) => line.startsWith(`| \`${room}\` `))
    const [, ...imports] = [...row!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
    const { types, values } = rules[room]!
    assert.includeMembers([...values, ...types], imports)
    assert.includeMembers(imports, values.filter((name) => !VOCABULARY.includes(name)))
  })
})
