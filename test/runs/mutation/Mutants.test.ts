/**
 * The changes that are made to a piece of source, and which tests are close to a module.
 */
import { assert, describe, it } from "@effect/vitest"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import { tempDir } from "../../support/TempDir.ts"
import { Imports } from "./Imports.ts"
import { apply, beforeAndAfter, lineOf, mutantsOf, shuffled } from "./Mutants.ts"

/** All that a piece of source becomes. */
const becomes = (source: string) => mutantsOf(source).map((mutant) => apply(source, mutant))

describe("mutants", () => {
  const cases: ReadonlyArray<readonly [source: string, becomes: ReadonlyArray<string>]> = [
    ["const a = b < c", ["const a = b <= c", "const a = b > c"]],
    ["const a = b >= c", ["const a = b > c", "const a = b < c"]],
    ["const a = b === c", ["const a = b !== c"]],
    ["const a = b /* < */ < c", ["const a = b /* <= */ < c", "const a = b /* > */ < c"]],
    ["const a = b && c", ["const a = b || c"]],
    ["const a = b ?? c", ["const a = c"]],
    ["const a = b instanceof C", ["const a = !(b instanceof C)"]],
    ["const a = !b", ["const a = b"]],
    ["const a = b + c", ["const a = b - c"]],
    ["const a = true", ["const a = false"]],
    ["const a = 5", ["const a = 6", "const a = 4"]],
    ["const a = 0", ["const a = 1", "const a = (-1)"]],
    ["const a = b ? c : d", ["const a = !(b) ? c : d"]],
    ["const a = Math.max(b, c)", ["const a = Math.min(b, c)"]],
    ["a()", ["{}"]],
    ["a++", ["{}", "a--"]],
    ["a += b", ["{}", "a -= b"]],
    ["if (a) b()", ["{}", "if (!(a)) b()", "if (a) {}"]],
    ["if (!a) b()", ["{}", "if (a) b()", "if (!a) {}"]],
    ["for (const a of b) c()", ["{}", "for (const a of b) {}"]],
    ["const a = () => { b() }", ["const a = () => { return; b() }", "const a = () => { {} }"]],
    ["const a = () => { return }", ["const a = () => { return; return }", "const a = () => { {} }"]]
  ]
  it.each(cases)("of %j", (source, expected) => {
    assert.sameMembers(becomes(source), [...expected])
  })

  it("leave types, imports, texts and names alone", () => {
    const source = `import { a } from "./a.ts"
import type { B } from "./b.ts"
type C = { readonly d: true; readonly e: 5 } | (B extends 1 ? 2 : 3)
interface F { readonly 6: 7 }
export { a } from "./a.ts"
const g: 8 = "9 < 10" as unknown as 8
const h = { 11: a, i: g }
export const j = <K extends 12>(l: K | true) => l
`
    assert.deepStrictEqual(becomes(source), [])
  })

  it("are made within what is typed, and in classes and generators", () => {
    const found = becomes("class A { #b = 1 as number; *c(): Iterable<1> { yield this.#b! } }")
    assert.deepStrictEqual(found, [
      "class A { #b = 2 as number; *c(): Iterable<1> { yield this.#b! } }",
      "class A { #b = 0 as number; *c(): Iterable<1> { yield this.#b! } }",
      "class A { #b = 1 as number; *c(): Iterable<1> { return; yield this.#b! } }",
      "class A { #b = 1 as number; *c(): Iterable<1> { {} } }"
    ])
  })

  it("have places in source that is not ASCII", () => {
    const source = "// é 日本 😀\nconst a = b < c\n"
    assert.deepStrictEqual(
      mutantsOf(source).map((mutant) => [lineOf(source, mutant), ...beforeAndAfter(source, mutant)]),
      [
        [2, "const a = b < c", "const a = b <= c"],
        [2, "const a = b < c", "const a = b > c"]
      ]
    )
  })

  it("are shown with their lines, in one line", () => {
    const source = "const a = 1\nif (b) {\n  c()\n}\n"
    const shown = mutantsOf(source).map((mutant) => beforeAndAfter(source, mutant))
    assert.deepInclude(shown, ["if (b) { c() }", "{}"])
    assert.deepInclude(shown, ["c()", "{}"])
  })
})

describe("an order by a seed", () => {
  const all = Array.from({ length: 1000 }, (_, i) => i)

  it("is the same for the same seed, another for another one, and has everything once", () => {
    assert.deepStrictEqual(shuffled(all, 7), shuffled(all, 7))
    assert.notDeepEqual(shuffled(all, 7), shuffled(all, 8))
    for (const seed of [0, 1, 2 ** 32, 123_456_789_012]) assert.sameMembers([...shuffled(all, seed)], all)
  })

  it("has no place that it prefers", () => {
    const first = new Set(Array.from({ length: 200 }, (_, seed) => shuffled(all, seed)[0]))
    assert.isAbove(first.size, 150)
  })
})

describe("the tests of a module", () => {
  const TREE: Readonly<Record<string, string>> = {
    "src/index.ts": `/** Docs. */\nexport * as Pool from "./Pool.ts"\n\nexport * as Tube from "./Tube.ts"\n`,
    "src/Pool.ts": `import {\n  type A,\n  b\n} from "./internal/wire/Turns.ts"\n`,
    "src/Tube.ts": "",
    "src/internal/wire/Turns.ts": "",
    "test/Turns.test.ts": `import { b } from "../src/internal/wire/Turns.ts"`,
    "test/Tube.test.ts": `import { Tube } from "effect-beanstalkd"`,
    "test/pools/Lend.test.ts": `import { Pool } from "effect-beanstalkd"`,
    "test/wire/Far.test.ts": `import * as Work from "../support/Work.ts"`,
    "test/wire/Process.test.ts": "",
    "test/support/Work.ts": `import type { Pool } from "effect-beanstalkd/Pool"`,
    "examples/use.test.ts": `import * as All from "effect-beanstalkd"`
  }

  it.effect("are those that reach it, the closest first, whatever else the index has", () =>
    Effect.gen(function*() {
      const root = yield* tempDir
      for (const [file, text] of Object.entries(TREE)) {
        mkdirSync(dirname(join(root, file)), { recursive: true })
        writeFileSync(join(root, file), text)
      }
      const imports = new Imports(root)
      assert.deepStrictEqual([...imports.testsOf("src/internal/wire/Turns.ts")], [
        ["test/Turns.test.ts", 0],
        ["test/wire/Far.test.ts", 1.3],
        ["test/wire/Process.test.ts", 1.9],
        ["test/pools/Lend.test.ts", 2],
        ["examples/use.test.ts", 3]
      ])
      assert.deepStrictEqual([...imports.testsOf("src/Tube.ts")], [
        ["test/Tube.test.ts", 0],
        ["examples/use.test.ts", 2]
      ])
      assert.deepStrictEqual(imports.modules, [
        "src/Pool.ts",
        "src/Tube.ts",
        "src/index.ts",
        "src/internal/wire/Turns.ts"
      ])
    }))
})
