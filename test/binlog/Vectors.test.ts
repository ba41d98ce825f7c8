/**
 * Directories that beanstalkd left: the server has the jobs that beanstalkd has, or more where that loses some.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cpSync, readdirSync } from "node:fs"
import { eventually } from "../support/Eventually.ts"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"
import * as Durable from "./Durable.ts"
import {
  asOurs,
  copyOf,
  edit,
  endOf,
  expectedOf,
  FIRST_JOB,
  FIXTURES,
  idsOf,
  MOST,
  SECOND,
  threeJobs
} from "./Fixtures.ts"

const NAMES = readdirSync(FIXTURES)

const isNormal = (name: string) => expectedOf(name).ours === undefined

describe("the server has what beanstalkd has of", () => {
  it.live.each(NAMES.filter(isNormal))("%s", (name) =>
    Effect.gen(function*() {
      const { real } = expectedOf(name)
      yield* Durable.use(yield* copyOf(name), {}, ({ jobs, raw, told }) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* jobs(MOST), real.jobs.map(asOurs))
          const tubes = (yield* raw("list-tubes")).split("\n").filter((line) => line.startsWith("- "))
          assert.deepStrictEqual(tubes.map((line) => line.slice(2)).toSorted(), real.tubes.toSorted())
          assert.strictEqual(yield* Durable.putOn(raw)("next"), real.nextId)
          assert.deepStrictEqual(told, [])
        }))
    }))
})

describe("where beanstalkd loses jobs, the server has them, or tells what was torn:", () => {
  it.live.each(NAMES.filter((name) => expectedOf(name).ours?.jobs !== undefined))(
    "%s",
    (name) =>
      Effect.gen(function*() {
        const { ours, real } = expectedOf(name)
        yield* Durable.use(yield* copyOf(name), {}, ({ jobs, raw, told }) =>
          Effect.gen(function*() {
            const all = yield* jobs(MOST)
            assert.deepStrictEqual(idsOf(all), ours!.jobs)
            assert.strictEqual(yield* Durable.putOn(raw)("next"), real.nextId)
            if (ours!.says === "nothing") return assert.deepStrictEqual(told, [])
            yield* eventually(Effect.sync(() => assert.lengthOf(told, 1)))
            assert.match(
              told[0]!,
              /^binlog\.\d: the record at \d+ is incomplete: .*never acknowledged(, or not synced yet,)? and is dropped$/
            )
          }))
      })
  )

  it.live("a job keeps its body in the older file if it was to be moved to another", () =>
    Effect.gen(function*() {
      yield* Durable.use(yield* copyOf("torn-migration"), {}, ({ jobs }) =>
        Effect.map(jobs(1), ([job]) => {
          assert.strictEqual(Buffer.from(job!.bodyBase64, "base64").toString(), "first")
          assert.strictEqual(job!.file, 1)
        }))
    }))
})
describe("a record that was never finished is told, and was never acknowledged:", () => {
  const torn: ReadonlyArray<
    readonly [what: string, jobs: ReadonlyArray<number>, at: number, change: (bytes: Buffer) => Buffer]
  > = [
    ["half of a body", [1, 2], SECOND + 99, (bytes) => bytes.fill(0, endOf(bytes) - 7)],
    [
      "a change of which only the id was written, which beanstalkd takes for a delete",
      [1, 2, 3],
      SECOND + 99 + 106,
      (bytes) => {
        bytes.copy(bytes, endOf(bytes) + 4, FIRST_JOB, FIRST_JOB + 8)
        return bytes
      }
    ]
  ]

  it.live.each(torn)("%s", ([, ids, at, change]) =>
    Effect.gen(function*() {
      const directory = yield* threeJobs
      edit(directory, change)
      yield* Durable.use(directory, {}, ({ jobs, told }) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(idsOf(yield* jobs(MOST)), ids)
          yield* eventually(Effect.sync(() => assert.lengthOf(told, 1)))
          assert.match(told[0]!, new RegExp(`^binlog\\.1: the record at ${at} is incomplete`))
        }))
    }))

  it.live("none in a file that is whole", () =>
    Effect.gen(function*() {
      yield* Durable.use(yield* threeJobs, {}, ({ jobs, told }) =>
        Effect.map(jobs(MOST), (all) => {
          assert.deepStrictEqual(idsOf(all), [1, 2, 3])
          assert.deepStrictEqual(told, [])
        }))
    }))
})

RealServer.describeReal("a directory that beanstalkd has compacted", () => {
  it.live("has the jobs that beanstalkd has", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const args = ["-f0", "-s", "4096"]
      const { kill, raw, restart, stats } = yield* RealServer.make({ binlogDir: directory, args })
      const put = Durable.putOn(raw)
      yield* put("old, ready", { pri: 1 })
      yield* put("old, buried", { pri: 2 })
      yield* raw("reserve-job 2\r\nbury 2 20")
      yield* put("old, delayed", { delay: 4_000_000_000 })
      for (let i = 4; i < 124; i++) yield* raw(`put 0 0 60 50\r\n${"t".repeat(50)}\r\ndelete ${i}`)
      assert.isAbove(Number((yield* stats)["binlog-records-migrated"]), 0)
      yield* kill
      const copy = yield* tempDir
      cpSync(directory, copy, { recursive: true })
      yield* restart
      const real = (yield* Durable.allFacts(raw, 130)).map(asOurs)
      const ours = yield* Durable.use(copy, {}, ({ jobs }) => jobs(130))
      assert.deepStrictEqual(ours, real)
      assert.deepStrictEqual(idsOf(ours), [1, 2, 3])
    }))
})
