/**
 * A package that is not installed. This module imports nothing, because it is there for the case that imports fail.
 */

// As Node and Bun say it, and as Deno says it. Where no package.json asks for the package, Deno names a module of it.
const MISSING = /^(?:Cannot|Could not) find package '([^']+)'|^Import "((?:@[^/"]+\/)?[^/"]+)[^"]*" not a dependency/

/** The message for a failed import, if it failed because a package is not installed. */
export const describeMissing = (error: unknown): string | undefined => {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "ERR_MODULE_NOT_FOUND") return undefined
  const [, named, importedFrom] = MISSING.exec(error.message) ?? []
  const name = named ?? importedFrom
  return name && `the package ${name} is missing: npm install ${name}`
}
