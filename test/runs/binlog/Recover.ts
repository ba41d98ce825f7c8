/**
 * Opens the files of a binlog on a disk in memory, as a server does that starts, and goes on until it has nothing to do.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { SyncPolicy } from "../../../src/internal/binlog/policy.ts"
import { open, type Opened } from "../../../src/internal/binlog/open.ts"
import { WallClock } from "../../../src/internal/binlog/wallClock.ts"
import { MemoryBudget } from "../../../src/internal/server/entities.ts"
import { type Image, MemoryDisk } from "../../support/MemoryDisk.ts"
import type { FoundJob } from "./Account.ts"

/** The binlog files of a directory. */
export type Files = ReadonlyMap<string, Buffer>

/** Reads them. */
export const filesOf = (directory: string): Files =>
  new Map(
    readdirSync(directory).filter((name) => name.startsWith("binlog."))
      .map((name) => [name, readFileSync(join(directory, name))])
  )

/** A disk that has these files for sure. */
export const imageOf = (files: Files): Image => {
  const disk = new MemoryDisk()
  for (const [name, bytes] of files) {
    const file = disk.create(name)
    file.write(bytes, 0, bytes.length, 0)
    file.syncNow()
    file.close()
  }
  disk.syncDirectoryNow()
  return disk.image
}

/** What a start gives. */
export type Recovered =
  | {
    readonly _tag: "Started"
    readonly jobs: ReadonlyArray<FoundJob>
    readonly nextId: number
    readonly told: ReadonlyArray<string>
  }
  | { readonly _tag: "Refused"; readonly why: string }

/** How a directory is opened. */
export interface Options {
  readonly fileSize: number
  readonly sync?: SyncPolicy
  readonly salvage?: boolean
}

const jobsOf = ({ store }: Opened): ReadonlyArray<FoundJob> =>
  Array.from(store.jobs.values(), ({ body, delay, id, pri, state, ttr, tube }) => ({
    id,
    tube: tube.name,
    state,
    pri,
    delay,
    ttr,
    body: typeof body === "string" ? body : Buffer.from(body).toString("latin1")
  }))

/** A machine that starts again and again on the same disk. `onMoment` is called before each operation, and within each write. */
export class Restarts {
  readonly #tasks: Array<() => void> = []
  readonly #disk: MemoryDisk

  constructor(image: Image, onMoment: () => void = () => {}) {
    this.#disk = new MemoryDisk({ image, background: (task) => void this.#tasks.push(task), onMoment })
  }

  /** Starts, does what a start brings about, and is killed. */
  start({ fileSize, salvage = false, sync = "always" }: Options): Recovered {
    const now = () => 0
    const opened = Effect.runSync(Effect.result(open({
      disk: this.#disk,
      fileSize,
      sync,
      salvage,
      memory: new MemoryBudget(Infinity),
      now,
      after: (_, task) => void this.#tasks.push(task),
      clock: new WallClock(now, () => Date.now()),
      atEndOfTurn: (task) => void this.#tasks.push(task),
      onTrouble: ({ cause }) => {
        throw cause
      },
      onFull: (cause) => {
        throw cause
      },
      observer: { onWritten: () => {}, onSynced: () => {}, onFiles: () => {} }
    })))
    if (Result.isFailure(opened)) return { _tag: "Refused", why: String(opened.failure.cause) }
    const { success } = opened
    this.#settle()
    const jobs = jobsOf(success)
    const nextId = success.store.nextId()
    success.binlog.kill(() => {})
    this.#settle()
    return { _tag: "Started", jobs, nextId, told: success.told }
  }

  #settle(): void {
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) task()
  }
}
