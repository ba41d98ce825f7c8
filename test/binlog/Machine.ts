/**
 * A machine that runs a store with a binlog on a disk in memory, step by step: nothing happens but what a test tells it to do.
 */
import * as Effect from "effect/Effect"
import type { Binlog } from "../../src/internal/binlog/binlog.ts"
import type { SyncPolicy } from "../../src/internal/binlog/policy.ts"
import type { Trouble } from "../../src/internal/binlog/groupCommit.ts"
import { open } from "../../src/internal/binlog/open.ts"
import { WallClock } from "../../src/internal/binlog/wallClock.ts"
import { MemoryBudget } from "../../src/internal/server/entities.ts"
import type { Store } from "../../src/internal/server/store.ts"
import { type Image, MemoryDisk, type Operation } from "../support/MemoryDisk.ts"

/** Small, so that a session of some dozens of commands fills many files. */
export const FILE_SIZE = 2000

const YEAR_2026 = 1_767_225_600_000

export interface MachineOptions {
  readonly image: Image
  readonly sync: SyncPolicy
  /** Milliseconds since the first machine was started. */
  readonly time: number
  readonly onMoment?: (operation: Operation) => void
}

/** A machine. */
export class Machine {
  readonly disk: MemoryDisk
  readonly startedAt: number
  time: number
  readonly #sync: SyncPolicy
  /** What runs at the end of the turn. */
  #tasks: Array<() => void> = []
  /** What the disk has to do. */
  #operations: Array<() => void> = []
  #timers: Array<{ readonly at: number; readonly task: () => void }> = []
  readonly troubles: Array<Trouble> = []
  store!: Store
  binlog!: Binlog
  told: ReadonlyArray<string> = []

  constructor({ image, onMoment, sync, time }: MachineOptions) {
    this.time = this.startedAt = time
    this.#sync = sync
    const background = (task: () => void) => void this.#operations.push(task)
    this.disk = new MemoryDisk({ image, background, ...onMoment === undefined ? {} : { onMoment } })
  }

  /** Reads the disk. It throws why it cannot. */
  start(): this {
    const now = () => this.time - this.startedAt
    const opening = open({
      disk: this.disk,
      fileSize: FILE_SIZE,
      sync: this.#sync,
      salvage: false,
      memory: new MemoryBudget(Infinity),
      now,
      after: (millis, task) => void this.#timers.push({ at: this.time + millis, task }),
      clock: new WallClock(now, () => YEAR_2026 + this.time),
      atEndOfTurn: (task) => void this.#tasks.push(task),
      onTrouble: (trouble) => void this.troubles.push(trouble),
      onFull: () => {},
      observer: { onWritten: () => {}, onSynced: () => {}, onFiles: () => {} }
    })
    const opened = Effect.runSync(opening.pipe(
      Effect.catch(({ cause, offset, operation, path }) =>
        Effect.die(new Error(`cannot ${operation} ${path} at ${offset}: ${String(cause)}`))
      )
    ))
    this.store = opened.store
    this.binlog = opened.binlog
    this.told = opened.told
    return this
  }

  get isIdle(): boolean {
    return this.#tasks.length + this.#operations.length === 0
  }

  /** Ends a turn of the event loop. */
  endTurn(): void {
    for (const task of this.#tasks.splice(0)) task()
  }

  /** The disk does one of the things that it has to do. */
  runDisk(which: (count: number) => number): void {
    const count = this.#operations.length
    if (count > 0) this.#operations.splice(which(count), 1)[0]!()
  }

  /** Time passes, and ends what is due. */
  pass(millis: number): void {
    this.time += millis
    const due = this.#timers.filter(({ at }) => at <= this.time)
    this.#timers = this.#timers.filter(({ at }) => at > this.time)
    for (const { task } of due) task()
    this.store.setNow()
    this.store.runTimers()
  }

  /** Everything that is to be done is done. */
  settle(): void {
    while (!this.isIdle) {
      this.endTurn()
      this.runDisk(() => 0)
    }
  }
}
