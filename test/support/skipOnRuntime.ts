/**
 * Skips the tests that do not run on Bun or Deno, as `test/fixtures/runtimes.json` lists them by why.
 */
import { isBun, isDeno } from "./Runtime.ts"
import { readList, type Reasons, skipListed } from "./skipListed.ts"

const { bun, deno } = readList("runtimes.json") as { readonly bun: Reasons; readonly deno: Reasons }

if (isBun) skipListed(bun)
if (isDeno) skipListed(deno)
