/**
 * `npm run check:package` packs the package and uses the tarball as a user would. publint and attw check it. An application
 * outside this repository installs it without `@effect/platform-node`, compiles against it with old and new compilers in
 * their strictest mode, and runs on the real server. The command does so too.
 */
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"
import { brokenLinks } from "./links.ts"

const ROOT = join(import.meta.dirname, "../..")

const { devDependencies, exports, name, version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly name: string
  readonly version: string
  readonly exports: Readonly<Record<string, unknown>>
  readonly devDependencies: Readonly<Record<string, string>>
}

const COMPILERS = ["5.8", "5.9", "6.0", "7.0"]

// ---------------------------------------------------------------------------------------------------------------------
// Processes, and what is printed about them
// ---------------------------------------------------------------------------------------------------------------------

interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

// npm passes its configuration on to scripts, and an installation elsewhere must not take over the prefix of this one.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([key]) =>
    !/^(npm_(config_local_prefix|package_|lifecycle_|command))|^INIT_CWD$/.test(key)
  )
)

const run = (cwd: string, command: string, args: ReadonlyArray<string>, env: Record<string, string> = {}): Ended => {
  const { error, status, stderr, stdout } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...environment, ...env },
    maxBuffer: 64 * 1024 * 1024,
    timeout: 300_000
  })
  if (error !== undefined) throw error
  return { status, stdout, stderr }
}

class Failed extends Error {}

const must = (ended: Ended): string => {
  if (ended.status !== 0) throw new Failed(`exit code ${ended.status}\n${ended.stdout}${ended.stderr}`)
  return ended.stdout
}

const equal = (actual: unknown, expected: unknown): void => {
  const [is, ought] = [actual, expected].map((value) => JSON.stringify(value))
  if (is !== ought) throw new Failed(`expected ${ought}\nbut got  ${is}`)
}

const step = <A>(title: string, f: () => A): A => {
  const began = process.hrtime.bigint()
  try {
    const value = f()
    console.log(`ok    ${title} (${(Number(process.hrtime.bigint() - began) / 1e9).toFixed(1)} s)`)
    return value
  } catch (error) {
    console.log(`FAILS ${title}`)
    throw error
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The tarball
// ---------------------------------------------------------------------------------------------------------------------

const NEEDED = [
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
  "dist/cli/main.js",
  "dist/index.d.ts",
  "dist/index.js",
  "docs/guide.md",
  "examples/quickstart.ts",
  "package.json",
  "src/index.ts"
]

/** Scripts that npm runs on the machine of a user. */
const INSTALLING = ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"]

const pack = (directory: string): string => {
  must(run(ROOT, "npm", ["pack", "--silent", "--pack-destination", directory]))
  const tarball = join(directory, `${name}-${version}.tgz`)
  must(run(directory, "tar", ["-xzf", tarball]))
  return tarball
}

const checkContents = (unpacked: string): void => {
  equal(NEEDED.filter((file) => !existsSync(join(unpacked, file))), [])
  const { scripts } = JSON.parse(readFileSync(join(unpacked, "package.json"), "utf8")) as { readonly scripts: object }
  equal(INSTALLING.filter((script) => script in scripts), [])
  equal(brokenLinks(unpacked), [])
}

// ---------------------------------------------------------------------------------------------------------------------
// The application
// ---------------------------------------------------------------------------------------------------------------------

const install = (app: string, packages: ReadonlyArray<string>) =>
  must(run(app, "npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error", ...packages]))

const makeApp = (app: string, tarball: string): void => {
  mkdirSync(app)
  writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }))
  cpSync(join(import.meta.dirname, "app/main.ts"), join(app, "main.ts"))
  const modules = Object.keys(exports).filter((path) => path !== "./package.json")
  writeFileSync(
    join(app, "modules.ts"),
    modules.map((path, i) => `export * as Module${i} from "${name}${path.slice(1)}"\n`).join("")
  )
  install(app, [
    tarball,
    `effect@${devDependencies["effect"]}`,
    `@types/node@${devDependencies["@types/node"]}`,
    ...COMPILERS.map((version) => `typescript-${version}@npm:typescript@~${version}.0`)
  ])
  // Only the socket server needs these packages.
  equal(["@effect/platform-node", "redis", "undici"].filter((dep) => existsSync(join(app, "node_modules", dep))), [])
}

const RESOLUTIONS = {
  nodenext: { module: "NodeNext", moduleResolution: "NodeNext" },
  bundler: { module: "ESNext", moduleResolution: "Bundler" }
}

/** Compiles the application, and returns the errors. */
const compile = (app: string, compiler: string, options: object): ReadonlyArray<string> => {
  writeFileSync(
    join(app, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        target: "ES2023",
        types: ["node"],
        outDir: "out",
        strict: true,
        exactOptionalPropertyTypes: true,
        noImplicitOverride: true,
        noImplicitReturns: true,
        noPropertyAccessFromIndexSignature: true,
        noUncheckedIndexedAccess: true,
        noUncheckedSideEffectImports: true,
        noUnusedLocals: true,
        noUnusedParameters: true,
        isolatedModules: true,
        verbatimModuleSyntax: true,
        erasableSyntaxOnly: true,
        skipLibCheck: false,
        ...options
      },
      files: ["main.ts", "modules.ts"]
    })
  )
  rmSync(join(app, "out"), { recursive: true, force: true })
  const { stdout } = run(app, process.execPath, [join(app, "node_modules", `typescript-${compiler}`, "bin/tsc")])
  return stdout.split("\n").filter((line) => line.includes("error TS"))
}

/** `effect` 4.1.0 names `JsonWebKey`, a type of lib "DOM". Without that lib, an application sees this error of `effect`. */
const isOfEffect = (error: string) => error.startsWith("node_modules/effect/")

const runApp = (app: string, url: string): void =>
  equal(must(run(app, process.execPath, ["out/main.js"], { BEANSTALKD_URL: url })).split("\n"), [
    "client: hello",
    "client: no other job",
    "worker: moon, sun, world",
    ""
  ])

// ---------------------------------------------------------------------------------------------------------------------
// The command
// ---------------------------------------------------------------------------------------------------------------------

const useCommand = (cwd: string, npx: ReadonlyArray<string>, url: string): void => {
  const beanstalk = (...args: ReadonlyArray<string>) =>
    must(run(cwd, "npx", [...npx, ...args], { BEANSTALKD_URL: url }))
  equal(beanstalk("--version"), `beanstalk v${version}\n`)
  const id = beanstalk("put", "-u", "command", "hello").trim()
  equal(JSON.parse(beanstalk("reserve", "delete", "-i", "-w", "command")), { body: "hello", id: Number(id) })
}

/** The socket server may need `@effect/platform-node`. If it is missing, one line says so. */
const serveWithout = (app: string): void => {
  const { status, stderr } = run(app, "npx", ["beanstalk", "serve", "--port", "0"])
  equal([status, stderr.split("\n").length], [1, 2])
  equal(/^beanstalk: .*@effect\/platform-node/.test(stderr), true)
}

const serveWith = (app: string): void => {
  install(app, [`@effect/platform-node@${devDependencies["@effect/platform-node"]}`])
  const { status, stderr, stdout } = run(app, "bash", [
    "-c",
    "exec 3< <(exec node_modules/.bin/beanstalk serve --port 0); server=$!; read -r line <&3; echo \"$line\"; kill $server; wait $server"
  ])
  equal([status, stderr, /^listening on 127\.0\.0\.1:\d+\n$/.test(stdout)], [0, "", true])
}

// ---------------------------------------------------------------------------------------------------------------------

const main = Effect.gen(function*() {
  const directory = yield* tempDir
  const { port } = yield* RealServer.make()
  const url = `beanstalk://127.0.0.1:${port}`
  const app = join(directory, "app")
  const empty = join(directory, "empty")
  mkdirSync(empty)
  // npx keeps its installations in the cache. This cache shares the downloads, and its installations are gone afterwards.
  const cache = join(directory, "cache")
  mkdirSync(cache)
  symlinkSync(join(must(run(directory, "npm", ["config", "get", "cache"])).trim(), "_cacache"), join(cache, "_cacache"))

  const tarball = step("npm pack", () => pack(directory))
  step(
    "the tarball is complete, has no install scripts, and no broken links",
    () => checkContents(join(directory, "package"))
  )
  step("publint --strict", () => must(run(ROOT, "publint", [tarball, "--strict"])))
  step("attw --profile esm-only", () => must(run(ROOT, "attw", [tarball, "--profile", "esm-only"])))

  step("an application installs it without @effect/platform-node", () => makeApp(app, tarball))
  for (const compiler of COMPILERS) {
    for (const [resolution, options] of Object.entries(RESOLUTIONS)) {
      step(
        `TypeScript ${compiler}, ${resolution}: compiles without an error, skipLibCheck: false`,
        () => equal(compile(app, compiler, options), [])
      )
    }
  }
  step("TypeScript 7.0, lib without DOM: no error is of this package", () => {
    const errors = compile(app, "7.0", { ...RESOLUTIONS.nodenext, lib: ["ES2023"] })
    equal(errors.filter((error) => !isOfEffect(error)), [])
  })
  step(`Node ${process.versions.node}: client and worker run on the real server`, () => runApp(app, url))

  step("npx beanstalk in the application", () => useCommand(app, ["beanstalk"], url))
  step(
    "npx -p TARBALL beanstalk elsewhere",
    () => useCommand(empty, ["--yes", "--cache", cache, "-p", tarball, "beanstalk"], url)
  )
  step("beanstalk serve without @effect/platform-node says so in one line", () => serveWithout(app))
  step("beanstalk serve with @effect/platform-node serves", () => serveWith(app))
})

await Effect.runPromise(Effect.scoped(main)).catch((error: unknown) => {
  console.error(error instanceof Failed ? error.message : error)
  process.exitCode = 1
})
