/**
 * `node test/package/completeLock.ts` adds the entries that npm leaves out of the lock file when its registry lacks the
 * binary of a platform. Without such an entry `npm install` from another registry would change the file, and that platform
 * would miss a linter or compiler. Run it after a change of dependencies; `Manifest.test.ts` says when.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export interface Locked {
  readonly version: string
  readonly resolved?: string
  readonly dev?: boolean
  readonly license?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export type Packages = Record<string, Locked>

export const LOCK = join(import.meta.dirname, "../../package-lock.json")

export const read = () => JSON.parse(readFileSync(LOCK, "utf8")) as { readonly packages: Packages }

/** The places where npm looks for a package that `from` needs, the nearest first. */
const places = (from: string, name: string): ReadonlyArray<string> => {
  const inside = `${from === "" ? "" : `${from}/`}node_modules/${name}`
  return from === ""
    ? [inside]
    : [inside, ...places(from.slice(0, Math.max(0, from.lastIndexOf("/node_modules/"))), name)]
}

export interface Missing {
  readonly name: string
  readonly version: string
  readonly parent: Locked
}

/** Optional dependencies, which binaries of platforms are, that have no entry. */
export const missing = (packages: Packages): ReadonlyArray<Missing> =>
  Object.entries(packages).flatMap(([path, parent]) =>
    Object.entries(parent.optionalDependencies ?? {}).flatMap(([name, version]) =>
      places(path, name).some((place) => place in packages) ? [] : [{ name, version, parent }]
    )
  )

/** The entry of a binary, whose name tells its platform: `linux-arm64-glibc`. */
const entryOf = ({ name, parent, version }: Missing) => {
  const platform = /(android|darwin|freebsd|linux|openharmony|win32)-(\w+?)(?:-(glibc|musl|gnu|msvc))?$/.exec(name)
  if (platform === null || !/^\d/.test(version)) throw new Error(`${name}@${version} does not tell its platform`)
  const [, os, cpu, abi] = platform
  const libc = abi === "musl" ? "musl" : os === "linux" && abi !== undefined ? "glibc" : undefined
  return {
    version,
    cpu: [cpu],
    ...parent.dev === true && { dev: true },
    ...libc !== undefined && { libc: [libc] },
    license: parent.license,
    optional: true,
    os: [os]
  }
}

if (import.meta.main) {
  const lock = read()
  const added = missing(lock.packages).map((one) => [`node_modules/${one.name}`, entryOf(one)] as const)
  const packages = Object.entries({ ...lock.packages, ...Object.fromEntries(added) })
    .toSorted(([a], [b]) => a.localeCompare(b, "en"))
  writeFileSync(LOCK, `${JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }, undefined, 2)}\n`)
  console.log(added.map(([place]) => place).join("\n") || "nothing is missing")
}
