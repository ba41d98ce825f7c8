/**
 * The package as it is built: what a user imports.
 */
import type * as Package from "../../../src/index.ts"

/** Imports it. The name is no literal, since `tsc` knows nothing of `dist/`. */
export const importBuilt = (): Promise<typeof Package> =>
  import(new URL("../../../dist/index.js", import.meta.url).href)
