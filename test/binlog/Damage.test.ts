/**
 * Directories with damage that no crash leaves: the server does not start, and says where and why; with `salvage` it starts
 * with what it can read.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { eventually } from "../support/Eventually.ts"
import * as Durable from "./Durable.ts"
import { copyOf, edit, expectedOf, idsOf, MOST, pathIn, SECOND, threeJobs } from "./Fixtures.ts"

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
    make: damaged(copyOf("largest-job"), (directory) => rmSync(pathIn(directory, 2))),
    file: 2,
    offset: 0,
    says: /binlog\.2: it is missing/,
    left: [1, 3],
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
