/**
 * Takes many jobs into the table of a server, one after the other, each of which is deleted before the next one comes but one
 * that stays, and reports by how many bytes the process has grown.
 *
 * Argument: how many.
 */
import * as Effect from "effect/Effect"
import { JobTable } from "../../../src/internal/server/collections.ts"
import { memory } from "./memory.ts"

const count = Number(process.argv[2])

const program = Effect.gen(function*() {
  const table = new JobTable<string>()
  table.add(1, "stays")
  const before = yield* memory
  for (let id = 2; id < count; id++) {
    table.add(id, "goes")
    table.remove(id)
  }
  const after = yield* memory
  console.log(JSON.stringify({ grown: after - before, jobs: [...table.values()] }))
})

await Effect.runPromise(program)
