/**
 * A package that is not installed. This module imports nothing, because it is there for the case that imports fail.
 */

/** The message for a failed import, if it failed because a package is not installed. */
export const describeMissing = (error: unknown): string | undefined => {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "ERR_MODULE_NOT_FOUND") return undefined
  const [, name] = /^Cannot find package '([^']+)'/.exec(error.message) ?? []
  return name && `the package ${name} is missing: npm install ${name}`
}
