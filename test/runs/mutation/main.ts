/**
 * `npm run mutate -- --seed S --count N [--file src/X.ts]`: makes N small changes to `src/`, one at a time, and tells which
 * of them no test notices. `--closest` asks only the tests that are closest to what was changed; `--least 93` makes it
 * fail when fewer than 93 percent are noticed.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { join, normalize } from "node:path"
import { parseArgs } from "node:util"
import * as Usage from "../../support/Usage.ts"
import { beforeAndAfter, lineOf } from "./Mutants.ts"
import * as MutationRun from "./MutationRun.ts"

const root = join(import.meta.dirname, "../../..")

const fileOf = (path: string): string => {
  const file = normalize(path)
  if (file.startsWith("src/") && file.endsWith(".ts") && existsSync(join(root, file))) return file
  throw new Usage.WrongUsage(`--file is not a file of src/: ${path}`)
}

const USAGE = "usage: npm run mutate -- [--seed S] [--count N] [--file src/X.ts]... [--closest] [--least PERCENT]"

const options = Usage.read(USAGE, () => {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      count: { type: "string", default: "100" },
      file: { type: "string", multiple: true, default: [] },
      closest: { type: "boolean", default: false },
      least: { type: "string", default: "0" }
    }
  })
  return {
    seed: Usage.whole("seed", values.seed),
    count: Usage.positive("count", values.count),
    files: values.file.map(fileOf),
    closestOnly: values.closest,
    least: Usage.whole("least", values.least)
  }
})

const place = ({ mutant, source }: MutationRun.Tried) => `${mutant.file}:${lineOf(source, mutant)}`

const words = (fate: MutationRun.Fate): string => {
  switch (fate._tag) {
    case "Noticed":
      return `noticed by ${fate.by}`
    case "TimedOut":
      return "noticed, since it takes too long"
    case "Survived":
      return "NOT NOTICED"
    case "DoesNotCompile":
      return "does not compile"
  }
}

const show = (tried: MutationRun.Tried): string => {
  const [before, after] = beforeAndAfter(tried.source, tried.mutant)
  return `${place(tried)} (${tried.mutant.change})\n  - ${before}\n  + ${after}`
}

const tried: Array<MutationRun.Tried> = []

/** What has been found so far, also when it is interrupted. */
const sumUp = () => {
  const withFate = (tag: MutationRun.Fate["_tag"]) => tried.filter(({ fate }) => fate._tag === tag)
  const survivors = withFate("Survived")
  const slow = withFate("TimedOut").length
  const noticed = withFate("Noticed").length + slow
  const leftOut = withFate("DoesNotCompile").length
  const count = noticed + survivors.length
  const percent = count === 0 ? 100 : Math.floor((noticed / count) * 1000) / 10
  if (survivors.length > 0) console.log(`\nnot noticed:\n${survivors.map(show).join("\n")}`)
  console.log(
    `\n${count} mutants by seed ${options.seed}: ${noticed} noticed (${slow} of them since they took too long), ` +
      `${survivors.length} not: ${percent} %; ${leftOut} more were left out, since they do not compile`
  )
  if (count === 0 || percent < options.least) process.exitCode = 1
}

const program = MutationRun.run({
  ...options,
  root,
  onStart: (lanes) => console.log(`first the tests without any change; then ${lanes} mutants at a time`),
  onBroken: (name) => console.log(`not asked, since it fails without any change: ${name}`),
  onTried: (one) => {
    tried.push(one)
    if (one.fate._tag === "DoesNotCompile") return
    const count = tried.filter(({ fate }) => fate._tag !== "DoesNotCompile").length
    console.log(`${count}/${options.count} ${place(one)} (${one.mutant.change}): ${words(one.fate)}`)
  }
}).pipe(Effect.ensuring(Effect.sync(sumUp)))

NodeRuntime.runMain(
  Effect.catchDefect(program, (defect) =>
    Effect.sync(() => {
      console.error(defect instanceof MutationRun.Broken ? defect.message : defect)
      process.exitCode = 2
    }))
)
