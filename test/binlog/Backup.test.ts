/**
 * A copy of the files of a running server, as `docs/durability.md` says to make it, has the jobs of that moment.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { copyFileSync, linkSync, mkdirSync, readdirSync } from "node:fs"
import { join } from "node:path"
import * as Connection from "../../src/Connection.ts"
import * as Server from "../../src/Server.ts"
import { tempDir } from "../support/TempDir.ts"

const FILE_SIZE = 2000

/** Links as `ln` does, in the order in which a shell names the files, and copies what the links have. */
const backUp = (from: string, to: string) => {
  const links = join(to, "links")
  const copies = join(to, "copies")
  mkdirSync(links)
  mkdirSync(copies)
  const names = readdirSync(from).filter((name) => name.startsWith("binlog.")).toSorted()
  for (const name of names) linkSync(join(from, name), join(links, name))
  return () => {
    for (const name of names) copyFileSync(join(links, name), join(copies, name))
    return copies
  }
}

describe("a backup of a running server", () => {
  it.live("has the jobs of that moment, though files come and go meanwhile", () =>
    Effect.gen(function*() {
      const [directory, elsewhere] = [yield* tempDir, yield* tempDir]
      const server = yield* Server.make({ port: 0, directory, sync: "always", fileSize: FILE_SIZE })
      const connection = yield* Connection.make(server.clientOptions)
      const kept = [yield* connection.put("kept 0")]
      const work = Effect.gen(function*() {
        kept.push(yield* connection.put(`kept ${kept.length}`))
        for (let n = 0; n < 20; n++) yield* connection.delete(yield* connection.put("gone ".repeat(10)))
      })
      for (let n = 0; n < 10; n++) yield* work
      const before = [...kept]
      const copy = backUp(directory, elsewhere)
      for (let n = 0; n < 10; n++) yield* work
      const first = (yield* connection.stats).binlogOldestIndex
      assert.isAbove(first, 1)
      const restored = yield* Server.make({ port: 0, directory: copy() })
      const reader = yield* Connection.make(restored.clientOptions)
      for (const [n, id] of before.entries()) assert.strictEqual((yield* reader.peek(id)).text, `kept ${n}`)
    }))
})
