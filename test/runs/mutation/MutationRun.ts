/**
 * Tries mutants: those that compile are shown to the closest tests, and to all others if these notice nothing.
 */
import * as Effect from "effect/Effect"
import { cpus } from "node:os"
import { relative } from "node:path"
import { Imports } from "./Imports.ts"
import * as Lane from "./Lane.ts"
import { apply, mutantsOf, type Placed, shuffled } from "./Mutants.ts"

/** What became of a mutant. */
export type Fate =
  | { readonly _tag: "Noticed"; readonly by: string }
  | { readonly _tag: "TimedOut" }
  | { readonly _tag: "Survived" }
  | { readonly _tag: "DoesNotCompile" }

/** A mutant that was tried, and the source that it was made of. */
export interface Tried {
  readonly mutant: Placed
  readonly source: string
  readonly fate: Fate
}

export interface Options {
  readonly root: string
  readonly seed: number
  readonly count: number
  /** Only mutants of these files; of all of `src/` if there are none. */
  readonly files: ReadonlyArray<string>
  /** Only the closest tests. */
  readonly closestOnly: boolean
  readonly onStart: (lanes: number) => void
  /** A test that fails without any change. */
  readonly onBroken: (name: string) => void
  readonly onTried: (tried: Tried) => void
}

/** The tests fail without any change. */
export class Broken extends Error {}

// It looks whether the source is as it was.
const NEVER_ASKED = ["can still break every piece that it means to break"]

const MOST_CLOSEST_FILES = 20
/** In its room, and one file between it and the test at most: see `Imports`. */
const NEAR = 1.2
const MOST_CLOSEST_MILLIS = 60_000
const QUICK_MILLIS = 2000
// A machine that has other things to do takes its time.
const PATIENCE = 5
const LEAST_PATIENCE_MILLIS = 60_000
const BUILD_MILLIS = 300_000
const BASELINE_MILLIS = 3_600_000

/** How long each test file takes, in milliseconds. */
type Durations = ReadonlyMap<string, number>

// After the first time only the mutant is checked and written, and the modules that depend on its types.
const INCREMENTALLY = ["--incremental", "--tsBuildInfoFile", "build.tsbuildinfo"]

const build = (lane: Lane.Lane) => lane.run("tsc", ["-p", "tsconfig.build.json", ...INCREMENTALLY], BUILD_MILLIS)

const butNot = (names: Iterable<string>) =>
  `^(?!.*(${[...NEVER_ASKED, ...names].map((name) => name.replace(/[^\w ]/g, ".")).join("|")}))`

/** What is run of the tests, and how long each file takes. */
interface Asked {
  readonly durations: Durations
  /** The names of those that are not asked, since they fail without any change. */
  readonly broken: ReadonlySet<string>
}

const test = (
  lane: Lane.Lane,
  files: ReadonlyArray<string>,
  broken: Iterable<string>,
  millis: number,
  ...args: ReadonlyArray<string>
) =>
  // A test that fails and then does not has not noticed anything.
  lane.run("vitest", ["run", "-t", butNot(broken), "--retry=1", ...args, ...files], millis)

const failedFile = (output: string): string => /FAIL\s+(\S+\.test\.ts)/.exec(output)?.[1] ?? "a test"

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly startTime: number
    readonly endTime: number
    readonly assertionResults: ReadonlyArray<{ readonly fullName: string; readonly status: string }>
  }>
}

/** How long the test files take without any change, and which tests fail even so: those cannot tell anything. */
const baseline = Effect.fnUntraced(function*(lane: Lane.Lane, files: ReadonlyArray<string>) {
  const built = yield* build(lane)
  if (built.code !== 0) throw new Broken(`it does not compile:\n${built.output}`)
  const args = ["--reporter=json", "--outputFile=baseline.json", "--reporter=dot"]
  const { code, output } = yield* test(lane, files, [], BASELINE_MILLIS, ...args)
  if (code === undefined) throw new Broken("the tests do not end without any change")
  const { testResults }: Report = JSON.parse(lane.read("baseline.json"))
  const durations = new Map<string, number>()
  const broken = new Set<string>()
  for (const { assertionResults, endTime, name, startTime } of testResults) {
    const failed = assertionResults.filter(({ status }) => status === "failed")
    // A file without results could not even be loaded.
    if (failed.length === assertionResults.length) continue
    durations.set(relative(lane.root, name), Math.max(1, endTime - startTime))
    for (const { fullName } of failed) broken.add(fullName)
  }
  if (durations.size === 0) throw new Broken(`the tests fail without any change:\n${output.slice(-5000)}`)
  return { broken, durations }
})

/** Those that can be among the closest: no more of them need to be timed. */
const candidatesOf = (tests: ReadonlyMap<string, number>): ReadonlyArray<string> => {
  const farthest = [...tests.values()][MOST_CLOSEST_FILES - 1] ?? Infinity
  return [...tests.keys()].filter((test) => tests.get(test)! <= farthest)
}

/** As many as are worth a look of their own; of those that are equally far away, the quick ones first. */
const closestOf = (tests: ReadonlyMap<string, number>, durations: Durations): ReadonlyArray<string> => {
  const closest: Array<string> = []
  let millis = 0
  const quickest = [...tests.keys()].sort((a, b) => (durations.get(a) ?? 0) - (durations.get(b) ?? 0))
  for (const one of quickest.sort((a, b) => tests.get(a)! - tests.get(b)!)) {
    const more = durations.get(one)
    if (more === undefined || (closest.length > 0 && millis + more > MOST_CLOSEST_MILLIS)) continue
    closest.push(one)
    millis += more
    if (closest.length === MOST_CLOSEST_FILES) break
  }
  return closest
}

const patience = (files: ReadonlyArray<string>, durations: Durations): number =>
  LEAST_PATIENCE_MILLIS + PATIENCE * files.reduce((sum, file) => sum + (durations.get(file) ?? 1000), 0)

const look = Effect.fnUntraced(
  function*(lane: Lane.Lane, files: ReadonlyArray<string>, { broken, durations }: Asked): Effect.fn.Return<Fate> {
    const args = ["--bail=1", "--maxWorkers=1", "--reporter=dot"]
    const { code, output } = yield* test(lane, files, broken, patience(files, durations), ...args)
    if (code === undefined) return { _tag: "TimedOut" }
    return code === 0 ? { _tag: "Survived" } : { _tag: "Noticed", by: failedFile(output) }
  }
)

const judge = Effect.fnUntraced(
  function*(lane: Lane.Lane, groups: ReadonlyArray<ReadonlyArray<string>>, asked: Asked): Effect.fn.Return<Fate> {
    const built = yield* build(lane)
    if (built.code !== 0) return { _tag: "DoesNotCompile" }
    for (const files of groups) {
      const fate = yield* look(lane, files, asked)
      if (fate._tag !== "Survived") return fate
    }
    return { _tag: "Survived" }
  }
)

const placedIn = (lane: Lane.Lane, files: ReadonlyArray<string>): ReadonlyArray<Placed> =>
  files.flatMap((file) => mutantsOf(lane.read(file)).map((mutant) => ({ ...mutant, file })))

/** Tries so many mutants that compile, chosen by the seed. */
export const run = Effect.fnUntraced(function*(options: Options) {
  const lanes = yield* Effect.forEach(
    Array.from({ length: Math.min(options.count, cpus().length) }),
    () => Lane.make(options.root)
  )
  const first = lanes[0]!
  const imports = new Imports(first.root)
  const files = options.files.length > 0 ? options.files : imports.modules
  const order = shuffled(placedIn(first, files), options.seed)
  const candidates = new Set(files.flatMap((file) => candidatesOf(imports.testsOf(file))))
  options.onStart(lanes.length)
  const asked = yield* baseline(first, options.closestOnly ? [...candidates] : [])
  const { durations } = asked
  for (const name of asked.broken) options.onBroken(name)

  // Those that are nearest of all notice most, and soon. Each group goes before the next, since vitest by itself begins
  // with the longest files.
  const groupsOf = (file: string) => {
    const tests = imports.testsOf(file)
    const closest = closestOf(tests, durations)
    const isNear = (test: string) => tests.get(test)! <= NEAR
    const isQuick = (test: string) => (durations.get(test) ?? Infinity) < QUICK_MILLIS
    const groups = [
      closest.filter(isNear),
      closest.filter((test) => !isNear(test) && isQuick(test)),
      closest.filter((test) => !isNear(test) && !isQuick(test)),
      options.closestOnly ? [] : imports.tests.filter((test) => durations.has(test) && !closest.includes(test))
    ]
    return groups.filter((group) => group.length > 0)
  }

  let next = 0
  // Those that compile, or may: so that which ones are tried does not depend on who is faster.
  let taken = 0
  const worker = Effect.fnUntraced(function*(lane: Lane.Lane) {
    while (taken < options.count && next < order.length) {
      const mutant = order[next++]!
      taken++
      const source = lane.read(mutant.file)
      lane.write(mutant.file, apply(source, mutant))
      const fate = yield* judge(lane, groupsOf(mutant.file), asked)
      lane.write(mutant.file, source)
      if (fate._tag === "DoesNotCompile") taken--
      options.onTried({ mutant, source, fate })
    }
  })
  yield* Effect.forEach(lanes, worker, { concurrency: "unbounded", discard: true })
}, Effect.scoped)
