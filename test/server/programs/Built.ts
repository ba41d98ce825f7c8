/**
 * The package as it is built: what a user imports.
 */

/** Imports it. The name is no literal, since `tsc` knows nothing of `dist/`. */
export const importBuilt = (): Promise<typeof import("../../../src/index.ts")> =>
  import(new URL("../../../dist/index.js", import.meta.url).href)
