/**
 * Jobs that are written again: as often as it gives disk space back, and all of them by a salvage.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { tempDir } from "../support/TempDir.ts"
import * as Durable from "./Durable.ts"

const FILE_SIZE = 4096
const BODY = "x".repeat(200)

const puts = (count: number) => Array.from({ length: count }, () => `put 0 0 60 ${BODY.length}\r\n${BODY}`)

const deletes = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `delete ${from + i}`)

const filesIn = (directory: string) => readdirSync(directory).filter((name) => name.startsWith("binlog."))

describe("a binlog", () => {
  it.live("moves jobs once, however many commands come before their old files may go", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      yield* Durable.use(directory, { fileSize: FILE_SIZE, sync: "1 hour" }, ({ raw, stats }) =>
        Effect.gen(function*() {
          yield* raw(...puts(100))
          yield* raw(...deletes(11, 100))
          for (let i = 0; i < 50; i++) yield* raw(...puts(1), `delete ${101 + i}`)
          const moved = Number((yield* stats)["binlog-records-migrated"])
          assert.isAtLeast(moved, 10)
          assert.isAtMost(moved, 30)
        }))
    }))

  it.live("is salvaged, also if its jobs do not fit into one file", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      yield* Durable.use(directory, { fileSize: FILE_SIZE }, ({ raw }) => raw(...puts(100)))
      rmSync(join(directory, "binlog.3"))
      const left = yield* Durable.use(
        directory,
        { fileSize: FILE_SIZE, salvage: true },
        ({ jobs }) => jobs(100)
      )
      assert.isAtLeast(left.length, 80)
      assert.notInclude(filesIn(directory), "binlog.1")
      const again = yield* Durable.use(directory, { fileSize: FILE_SIZE }, ({ jobs }) => jobs(100))
      assert.deepStrictEqual(again.map(({ id }) => id), left.map(({ id }) => id))
    }))
})
