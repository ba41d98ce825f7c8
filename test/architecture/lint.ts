/**
 * The rules between rooms as options of the linter, so that an editor shows a forbidden import while you type it.
 * `node test/architecture/lint.ts` writes them to `oxlint.json`, which `.oxlintrc.json` extends.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { isPublic, rooms, rules } from "./rules.ts"

// An override replaces the options that a rule has elsewhere, so each override says this again.
const barrel = { name: "effect", message: "Import the module: import * as Effect from \"effect/Effect\"." }

const override = (files: string, patterns: ReadonlyArray<object>) => ({
  files: [files],
  rules: { "no-restricted-imports": ["error", { paths: [barrel], patterns }] }
})

// Where a file of a room is, and how it reaches the public modules and the rooms.
const placeOf = (name: string): readonly [files: string, toPublic: string, toRooms: string] => {
  if (name === "cli") return ["src/cli/**", "**/", "**/internal/"]
  return isPublic(name) ? [`src/${name}.ts`, "./", "./internal/"] : [`src/internal/${name}/**`, "../../", "../"]
}

const overrideOf = (name: string) => {
  const { types, values } = rules[name]!
  const [files, toPublic, toRooms] = placeOf(name)
  const allow = (target: string) =>
    isPublic(target) ? `!${toPublic}${target}.ts` : `!${toRooms}${target}${target.includes("/") ? ".ts" : "/**"}`
  const message = `The values that ${name} may import: ${values.join(", ")}. See test/architecture/rules.ts.`
  // The linter cannot tell a type of a single file from its values, so of these the command line may import both.
  if (name === "cli") {
    return override(files, [{ group: ["**/internal/**", "**/index.ts", ...[...values, ...types].map(allow)], message }])
  }
  const group = [isPublic(name) ? "./**" : "../**", ...values.map(allow)]
  if (types.length === 0) return override(files, [{ group, message }])
  // An allowed import silences the other patterns as well, so an expression forbids the types of the remaining rooms.
  const others = rooms.filter((room) => room !== name && ![...values, ...types].includes(room))
  const regex = `^\\.[./]*/(internal/)?(${[...others, "cli", "index\\.ts"].join("|")})(/|$)`
  return override(files, [{ group, allowTypeImports: true, message }, { regex, message }])
}

// Users of the package cannot import its internals, so no program that names the package may.
const users = {
  files: ["test/**", "examples/**", "bench/**"],
  rules: {
    "no-restricted-imports": ["error", {
      patterns: [{
        group: ["effect-beanstalkd/internal/**", "effect-beanstalkd/cli/**", "effect-beanstalkd/index"],
        message: "Import an internal module by its relative path."
      }]
    }]
  }
}

/** The contents of `oxlint.json`, one override a line. */
export const text = `{\n  "overrides": [\n${
  [...Object.keys(rules).map(overrideOf), users].map((one) => `    ${JSON.stringify(one)}`).join(",\n")
}\n  ]\n}\n`

if (import.meta.main) writeFileSync(join(import.meta.dirname, "oxlint.json"), text)
