/**
 * Directories that beanstalkd left, and what it reports of them: `real` is what beanstalkd 1.12 has after a start, and `ours`
 * says where the embedded server differs.
 */
import * as Effect from "effect/Effect"
import { cpSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { tempDir } from "../support/TempDir.ts"
import type { JobFacts } from "./Durable.ts"

export const FIXTURES = join(import.meta.dirname, "../fixtures/binlog")

export interface Expected {
  readonly real: {
    readonly tubes: ReadonlyArray<string>
    readonly jobs: ReadonlyArray<JobFacts>
    readonly nextId: number
  }
  readonly ours?: { readonly jobs?: ReadonlyArray<number>; readonly says: string }
}

export const expectedOf = (name: string) =>
  JSON.parse(readFileSync(join(FIXTURES, name, "expected.json"), "utf8")) as Expected

/** A directory with the files of a fixture, which a test may damage. */
export const copyOf = (name: string) =>
  Effect.tap(
    tempDir,
    (directory) => Effect.sync(() => cpSync(join(FIXTURES, name, "binlog"), directory, { recursive: true }))
  )

export const pathIn = (directory: string, n: number) => join(directory, `binlog.${n}`)

export const edit = (directory: string, change: (bytes: Buffer) => Buffer) => {
  const path = pathIn(directory, 1)
  writeFileSync(path, change(readFileSync(path)))
}

/** beanstalkd counts a restart as a bury. */
export const asOurs = (job: JobFacts): JobFacts => job.state === "buried" ? { ...job, buries: job.buries - 1 } : job

export const idsOf = (jobs: ReadonlyArray<JobFacts>) => jobs.map(({ id }) => id)

// Larger than all ids in the fixtures.
export const MOST = 70

const third = "the third job\r\n"

/** Three jobs in one file: `first`, `second` and `the third job`. */
export const threeJobs = Effect.tap(copyOf("zero-body"), (directory) =>
  Effect.sync(() =>
    edit(directory, (bytes) => {
      const at = bytes.indexOf("second\r\n") + "second\r\n".length + 4 + "default".length + 80
      bytes.write(third, at, "latin1")
      return bytes
    })
  ))

export const endOf = (bytes: Buffer) => bytes.findLastIndex((byte) => byte !== 0) + 1

// Where the first record, and that of its job, begin.
const FIRST = 4
export const FIRST_JOB = FIRST + 4 + "default".length

export const SECOND = FIRST_JOB + 80 + "first\r\n".length
