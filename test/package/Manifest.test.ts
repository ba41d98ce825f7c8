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
  it("has no script that npm would run where the package is installed", () => {
    const installing = ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"]
    assert.deepStrictEqual(installing.filter((script) => script in manifest.scripts), [])
  })

  it("builds before it packs", () => {
    assert.include(manifest.scripts["prepack"], "npm run build")
  })

  it("wants effect of everybody, and @effect/platform-node only of those who need it", () => {
    assert.deepStrictEqual(Object.keys(manifest.peerDependencies).toSorted(), ["@effect/platform-node", "effect"])
    assert.deepStrictEqual(manifest.peerDependenciesMeta, { "@effect/platform-node": { optional: true } })
  })

  it("names a command that the build has made executable", () => {
    const command = join(ROOT, manifest.bin["beanstalk"]!)
    assert.match(readFileSync(command, "utf8"), /^#!\/usr\/bin\/env node\n/)
    assert.strictEqual(statSync(command).mode & 0o111, 0o111)
  })
})

describe("an installation", () => {
  it("has given the compiler the diagnostics of Effect", () => {
    // Else `tsc` would find no floating effect, and nobody would notice: `npm run dependencies` does it.
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
      "npm has left out what its registry lacks: run `node test/package/completeLock.ts`"
    )
  })

  it("names no registry", () => {
    assert.deepStrictEqual(Object.keys(packages).filter((path) => packages[path]?.resolved !== undefined), [])
  })
})

describe("the documents", () => {
  it("have no link that leads nowhere", () => {
    assert.deepStrictEqual(brokenLinks(ROOT), [])
  })
})
