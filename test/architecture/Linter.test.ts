/**
 * The linter has the same rules between rooms as the architecture test.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { offences, type Source } from "./imports.ts"
import { text } from "./lint.ts"
import { isPublic, PUBLIC, rooms } from "./rules.ts"

// A file that imports values and types of all rooms but its own, and of all public modules, on a line each.
const importer = (name: string): Source => {
  const [path, toPublic, toRooms] = isPublic(name)
    ? [`src/${name}.ts`, "./", "./internal/"]
    : [`src/internal/${name}/importer.ts`, "../../", "../"]
  const targets = [
    ...[...PUBLIC, "index", "cli/main"].map((target) => `${toPublic}${target}.ts`),
    ...[...rooms.map((room) => `${room}/x`), "protocol/scalars"].map((target) => `${toRooms}${target}.ts`)
  ].filter((target) => target !== `./${name}.ts` && !target.startsWith(`../${name}/`))
  const lines = targets.flatMap((target, i) => [
    `import * as v${i} from "${target}"`,
    `import type * as t${i} from "${target}"`
  ])
  return { path, text: lines.join("\n") }
}

const lint = (project: string): string => {
  try {
    const oxlint = join(import.meta.dirname, "../../node_modules/.bin/oxlint")
    return execFileSync(oxlint, ["--format", "unix"], { cwd: project, encoding: "utf8" })
  } catch (error) {
    return (error as { readonly stdout: string }).stdout
  }
}

/** The lines that the linter reports in these files, each as `path:line`. */
const reported = (sources: ReadonlyArray<Source>): ReadonlySet<string> => {
  const project = mkdtempSync(join(tmpdir(), "architecture-"))
  try {
    writeFileSync(
      join(project, ".oxlintrc.json"),
      text.replace("{", "{\n  \"categories\": { \"correctness\": \"off\" },")
    )
    for (const { path, text } of sources) {
      mkdirSync(dirname(join(project, path)), { recursive: true })
      writeFileSync(join(project, path), text)
    }
    return new Set([...lint(project).matchAll(/^[^:]+:\d+(?=:\d+: )/gm)].map(([at]) => at))
  } finally {
    rmSync(project, { recursive: true })
  }
}

describe("the linter", () => {
  it("has the rules of rules.ts (if not: node test/architecture/lint.ts)", () => {
    assert.strictEqual(readFileSync(join(import.meta.dirname, "oxlint.json"), "utf8"), text)
  })

  it("refuses the imports that the architecture test refuses, and no others", () => {
    const sources = [...rooms, ...PUBLIC].map(importer)
    const seen = reported(sources)
    for (const { path, text } of sources) {
      const lines = text.split("\n")
      assert.deepStrictEqual(
        lines.filter((_, i) => seen.has(`${path}:${i + 1}`)),
        lines.filter((line) => offences({ path, text: line }).length > 0),
        path
      )
    }
  })
})
