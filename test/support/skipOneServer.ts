/**
 * Skips the tests that cannot be the same on several servers, as `test/fixtures/one-server.json` lists them by why.
 */
import { readList, type Reasons, skipListed } from "./skipListed.ts"

skipListed(readList("one-server.json") as Reasons)
