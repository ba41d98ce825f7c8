/**
 * Reads the imports of a source file and finds those that break a rule.
 */
import { posix } from "node:path"
import { rules } from "./rules.ts"

export interface Source {
  /** The path from the root of the project, such as `src/internal/pool/opener.ts`. */
  readonly path: string
  readonly text: string
}

// `import x from`, `export x from`, `import "x"` and `import("x")`, each over as many lines as it takes.
const IMPORT = /^(?:import|export)\s+(type\s+)?([^"';]*?)from\s+"(\.[^"]+)"|\bimport\s*\(?\s*"(\.[^"]+)"/gm

// `pool/opener`, `Pool` or `cli/main`.
const nameOf = (path: string): string => path.replace(/^src\/(internal\/)?/, "").replace(/\.ts$/, "")

// A public module is a room of its own.
const roomOf = (name: string): string => name.split("/")[0]!

const hasOnlyTypes = (names: string): boolean =>
  names.startsWith("{") && names.replace(/[{}\s]+/g, " ").split(",").every((name) => /^ ?(type |$)/.test(name))

const allows = (targets: ReadonlyArray<string>, name: string): boolean =>
  targets.includes(name) || targets.includes(roomOf(name))

/** The forbidden imports of a file, each as an edge, `pool/opener -> Worker`. */
export const offences = ({ path, text }: Source): ReadonlyArray<string> => {
  const from = nameOf(path)
  const rule = rules[roomOf(from)]
  if (rule === undefined) return [`${from}: no rule for the room ${roomOf(from)}`]
  return [...text.matchAll(IMPORT)].flatMap(([, type, names = "", named, bare]) => {
    const to = nameOf(posix.join(posix.dirname(path), named ?? bare!))
    const isType = type !== undefined || hasOnlyTypes(names)
    const isAllowed = roomOf(from) === roomOf(to) || allows(rule.values, to) || (isType && allows(rule.types, to))
    return isAllowed ? [] : [`${from} -> ${to}${isType ? " (type)" : ""}`]
  })
}
