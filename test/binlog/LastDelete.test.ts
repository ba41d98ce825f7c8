/**
 * The last record of a file of beanstalkd, if it is a delete: a record that was torn looks like one.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { at } from "../../src/internal/binlog/format.ts"
import { RecordReader } from "../../src/internal/binlog/recordReader.ts"
import { tempDir } from "../support/TempDir.ts"
import * as Durable from "./Durable.ts"

const STATES = join(import.meta.dirname, "../fixtures/binlog/states/binlog/binlog.1")
const DELAYED = 2

/** A file of beanstalkd whose last record deletes a delayed job, with so many microseconds more of delay. */
const withDelete = (micros: number): Buffer => {
  const bytes = readFileSync(STATES)
  const reader = new RecordReader(bytes)
  let record: Buffer | undefined
  for (let from = 4;;) {
    const found = reader.read(from)
    if (found._tag !== "Full" && found._tag !== "Short") {
      const last = Buffer.alloc(84)
      record!.copy(last, 4)
      last.writeBigInt64LE(last.readBigInt64LE(4 + at.deadlineAt) + BigInt(micros) * 1000n, 4 + at.deadlineAt)
      last[4 + at.state] = 0
      return Buffer.concat([bytes.subarray(0, from), last])
    }
    const start = found._tag === "Full" ? found.body - 80 : from + 4
    if (found.record.id === DELAYED) record = bytes.subarray(start, start + 80)
    from = found.end
  }
}

const startedWith = (micros: number) =>
  Effect.gen(function*() {
    const directory = yield* tempDir
    writeFileSync(join(directory, "binlog.1"), withDelete(micros))
    return yield* Durable.use(directory, {}, ({ jobs, told }) =>
      Effect.map(jobs(DELAYED), (all) => ({
        ids: all.map(({ id }) => id),
        told: [...told]
      })))
  })

describe("a delete at the end of a file of beanstalkd", () => {
  it.live("is one if the end of the delay differs by what a start of beanstalkd takes", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* startedWith(7), { ids: [1], told: [] })
    }))

  it.live("is none if the job was given another delay: that was torn, and the job stays", () =>
    Effect.gen(function*() {
      const { ids, told } = yield* startedWith(10_000_000)
      assert.deepStrictEqual(ids, [1, DELAYED])
      assert.match(told.join(), /incomplete/)
    }))
})
