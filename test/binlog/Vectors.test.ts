/**
 * Directories that beanstalkd left, and what was made of them since: the server has the jobs that beanstalkd has, or better
 * ones where that loses some, or says why it does not start.
 *
 * `expected.json` says what beanstalkd 1.12 reports after a start; `ours` says where the embedded server differs.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { eventually } from "../support/Eventually.ts"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"
import * as Durable from "./Durable.ts"
import type { JobFacts } from "./Durable.ts"

const FIXTURES = join(import.meta.dirname, "../fixtures/binlog")

interface Expected {
  readonly real: {
    readonly tubes: ReadonlyArray<string>
    readonly jobs: ReadonlyArray<JobFacts>
    readonly nextId: number
  }
  readonly ours?: { readonly jobs?: ReadonlyArray<number>; readonly says: string }
}

const expectedOf = (name: string) => JSON.parse(readFileSync(join(FIXTURES, name, "expected.json"), "utf8")) as Expected

/** A directory with the files of a fixture, which a test may damage. */
const copyOf = (name: string) =>
  Effect.tap(
    tempDir,
    (directory) => Effect.sync(() => cpSync(join(FIXTURES, name, "binlog"), directory, { recursive: true }))
  )

const pathIn = (directory: string, n: number) => join(directory, `binlog.${n}`)

const edit = (directory: string, change: (bytes: Buffer) => Buffer) => {
  const path = pathIn(directory, 1)
  writeFileSync(path, change(readFileSync(path)))
}

/** beanstalkd counts a restart as a bury. */
const asOurs = (job: JobFacts): JobFacts => job.state === "buried" ? { ...job, buries: job.buries - 1 } : job

const idsOf = (jobs: ReadonlyArray<JobFacts>) => jobs.map(({ id }) => id)

// Larger than all ids in the fixtures.
const MOST = 70

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
            assert.match(told[0]!, /^binlog\.\d: the record at \d+ is incomplete: .*never acknowledged and is dropped$/)
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

const third = "the third job\r\n"

/** Three jobs in one file: `first`, `second` and `the third job`. */
const threeJobs = Effect.tap(copyOf("zero-body"), (directory) =>
  Effect.sync(() =>
    edit(directory, (bytes) => {
      const at = bytes.indexOf("second\r\n") + "second\r\n".length + 4 + "default".length + 80
      bytes.write(third, at, "latin1")
      return bytes
    })
  ))

const endOf = (bytes: Buffer) => bytes.findLastIndex((byte) => byte !== 0) + 1

// Where the first record, and that of its job, begin.
const FIRST = 4
const FIRST_JOB = FIRST + 4 + "default".length

const SECOND = FIRST_JOB + 80 + "first\r\n".length

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

/** A directory that the server must refuse: how it is made, of which file, at which place and why. */
interface Damage {
  readonly what: string
  readonly make: typeof threeJobs
  readonly file: number
  readonly offset: number
  readonly says: RegExp
  /** The jobs that are left with `salvage`. */
  readonly left: ReadonlyArray<number>
  /** Which files are moved away then. */
  readonly moved: ReadonlyArray<string>
}

const damaged = (make: typeof threeJobs, change: (directory: string) => void) =>
  Effect.tap(make, (directory) => Effect.sync(() => change(directory)))

const edited = (name: string | undefined, change: (bytes: Buffer) => void) =>
  damaged(name === undefined ? threeJobs : copyOf(name), (directory) =>
    edit(directory, (bytes) => {
      change(bytes)
      return bytes
    }))

const twoFiles = idsOf(expectedOf("two-files").real.jobs)

const DAMAGES: ReadonlyArray<Damage> = [
  {
    what: "a length with a flipped bit, behind which beanstalkd reads no further",
    make: edited(undefined, (bytes) => bytes[SECOND + 1]! ^= 1),
    file: 1,
    offset: SECOND,
    says: /binlog\.1 is damaged at \d+: a tube name of 263 bytes/,
    left: [1, 3],
    moved: ["binlog.1"]
  },
  {
    what: "an id that is no exact number",
    make: edited(undefined, (bytes) => bytes.writeBigUInt64LE(2n ** 53n, SECOND + 4 + "default".length)),
    file: 1,
    offset: SECOND,
    says: /id is above 9007199254740990/,
    left: [1, 3],
    moved: ["binlog.1"]
  },
  {
    what: "a file of a later version",
    make: copyOf("version-8"),
    file: 1,
    offset: 0,
    says: /it is of version 8/,
    left: [],
    moved: ["binlog.1"]
  },
  {
    what: "a file that is missing",
    make: damaged(copyOf("two-files"), (directory) => renameSync(pathIn(directory, 2), pathIn(directory, 3))),
    file: 2,
    offset: 0,
    says: /binlog\.2: it is missing/,
    left: twoFiles,
    moved: []
  },
  {
    what: "a file that cannot be read",
    make: damaged(copyOf("two-files"), (directory) => mkdirSync(pathIn(directory, 3))),
    file: 3,
    offset: 0,
    says: /binlog\.3: it cannot be read: EISDIR/,
    left: twoFiles,
    moved: ["binlog.3"]
  },
  {
    what: "a file of ours with a flipped bit in the middle",
    make: edited("checksums", (bytes) => bytes[bytes.indexOf("beta") + 88]! ^= 4),
    file: 1,
    offset: 184,
    says: /binlog\.1 is damaged at \d+: a wrong checksum/,
    left: [1, 3],
    moved: ["binlog.1"]
  }
]

describe("the server does not start, and says where and why:", () => {
  it.live.each(DAMAGES)("$what", ({ file, make, offset, says }) =>
    Effect.gen(function*() {
      const directory = yield* make
      const before = readdirSync(directory).toSorted()
      const error = yield* Durable.refusal(directory)
      assert.deepStrictEqual([error.path, error.operation, error.offset], [pathIn(directory, file), "read", offset])
      assert.match(error.message, says)
      assert.match(error.message, /salvage/)
      assert.deepStrictEqual(readdirSync(directory).toSorted(), [...before, "lock"].toSorted())
    }))
})

describe("with salvage the server starts with the jobs that it can read, and keeps the files that it cannot:", () => {
  it.live.each(DAMAGES)("$what", ({ left, make, moved, says }) =>
    Effect.gen(function*() {
      const directory = yield* make
      yield* Durable.use(directory, { salvage: true }, ({ jobs, told }) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(idsOf(yield* jobs(MOST)), left)
          yield* eventually(Effect.sync(() => assert.match(told.join("\n"), says)))
        }))
      const aside = join(directory, "damaged")
      assert.deepStrictEqual(existsSync(aside) ? readdirSync(aside) : [], moved)
      yield* Durable.use(directory, {}, ({ jobs, told }) =>
        Effect.map(jobs(MOST), (all) => {
          assert.deepStrictEqual(idsOf(all), left)
          assert.deepStrictEqual(told, [])
        }))
    }))
})

describe("a version with any one flipped bit", () => {
  it.live.each(["states", "version-5", "checksums"])("loses no job of %s silently", (name) =>
    Effect.gen(function*() {
      const all = idsOf(expectedOf(name).real.jobs)
      for (let bit = 0; bit < 32; bit++) {
        const directory = yield* edited(name, (bytes) => bytes[bit >> 3]! ^= 1 << (bit & 7))
        const outcome = yield* Effect.result(Durable.use(directory, {}, ({ jobs }) => jobs(MOST)))
        if (outcome._tag === "Success") assert.deepStrictEqual(idsOf(outcome.success), all, `bit ${bit}`)
        else assert.match(outcome.failure.message, /version|damaged/, `bit ${bit}`)
      }
    }).pipe(Effect.scoped))
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
