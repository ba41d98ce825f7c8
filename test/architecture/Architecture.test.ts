/**
 * The rooms of `src/` import each other as `rules.ts` allows.
 */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { offences, type Source } from "./imports.ts"

const root = join(import.meta.dirname, "../..")

const source: ReadonlyArray<Source> = globSync("src/**/*.ts", { cwd: root }).map((path) => ({
  path,
  text: readFileSync(join(root, path), "utf8")
}))

describe("the rooms of src/", () => {
  it("import each other as the rules allow", () => {
    assert.deepStrictEqual(source.flatMap(offences), [])
  })

  it.each([
    ["internal/server/collections", "import * as Validate from \"../protocol/validate.ts\"", "protocol/validate"],
    ["internal/server/collections", "import type { JobStats } from \"../../Stats.ts\"", "Stats (type)"],
    ["internal/pool/opener", "import {\n  type Intake,\n  make\n} from \"../consumer/fetcher.ts\"", "consumer/fetcher"],
    ["internal/job/lease", "import { FairSemaphore } from \"../pool/fairSemaphore.ts\"", "pool/fairSemaphore"],
    ["internal/worker/policy", "export { run } from \"../../Worker.ts\"", "Worker"],
    ["internal/tube/codec", "export const f = () => import(\"../server/engine.ts\")", "server/engine"],
    ["Client", "import type { Tube } from \"./internal/tube/tubeImpl.ts\"", "tube/tubeImpl (type)"],
    ["Pool", "import * as Client from \"./Client.ts\"", "Client"],
    ["Worker", "import \"./cli/main.ts\"", "cli/main"],
    ["cli/commands/put", "import { Client } from \"../../index.ts\"", "index"],
    ["cli/commands/put", "import { Pipeline } from \"../../internal/connection/pipeline.ts\"", "connection/pipeline"]
  ])("refuse an import that is added to %s: %j", (file, line, target) => {
    const from = file.replace("internal/", "")
    assert.deepStrictEqual(offences({ path: `src/${file}.ts`, text: `${line}\n` }), [`${from} -> ${target}`])
  })

  it("refuse a room without a rule", () => {
    assert.deepStrictEqual(offences({ path: "src/internal/attic/box.ts", text: "" }), [
      "attic/box: no rule for the room attic"
    ])
  })
})
