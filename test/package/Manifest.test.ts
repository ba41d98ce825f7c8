/**
 * `package.json`, the lock file, and the links of the documents.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { missing, read } from "./completeLock.ts"
import { brokenLinks } from "./links.ts"

const ROOT = join(import.meta.dirname, "../..")

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly bin: Readonly<Record<string, string>>
  readonly engines: { readonly node: string }
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>
  readonly scripts: Readonly<Record<string, string>>
}

describe("the manifest", () => {
  it("has no script that npm would run on the machine of a user", () => {
    const installing = ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"]
    assert.deepStrictEqual(installing.filter((script) => script in manifest.scripts), [])
  })

  it("builds before it packs", () => {
    assert.include(manifest.scripts["prepack"], "npm run build")
  })

  it("requires effect, and makes @effect/platform-node optional", () => {
    assert.deepStrictEqual(Object.keys(manifest.peerDependencies).toSorted(), ["@effect/platform-node", "effect"])
    assert.deepStrictEqual(manifest.peerDependenciesMeta, { "@effect/platform-node": { optional: true } })
  })

  it("names a command that the build makes executable", () => {
    const command = join(ROOT, manifest.bin["beanstalk"]!)
    assert.match(readFileSync(command, "utf8"), /^#!\/usr\/bin\/env node\n/)
    assert.strictEqual(statSync(command).mode & 0o111, 0o111)
  })
})

describe("an installation", () => {
  it("patches the diagnostics of Effect into the compiler", () => {
    // Without the patch `tsc` finds no floating effect, and nothing else would tell. `npm run dependencies` patches it.
    const tsc = join(ROOT, "node_modules/.bin/tsc")
    assert.include(execFileSync(process.execPath, [tsc, "--version"], { encoding: "utf8" }), "effect-tsgo")
  })
})

describe("the lock file", () => {
  const { packages } = read()

  it("has the binaries of all platforms", () => {
    assert.deepStrictEqual(
      missing(packages).map(({ name, version }) => `${name}@${version}`),
      [],
      "npm has left out binaries that its registry lacks: run `node test/package/completeLock.ts`"
    )
  })

  it("names no registry", () => {
    assert.deepStrictEqual(Object.keys(packages).filter((path) => packages[path]?.resolved !== undefined), [])
  })
})

describe("the documents", () => {
  it("have no broken link", () => {
    assert.deepStrictEqual(brokenLinks(ROOT), [])
  })
})
