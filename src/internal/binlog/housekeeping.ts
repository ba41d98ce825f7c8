/**
 * What a log does for its files between two batches: cuts and closes those that are full, writes jobs of old ones again, and
 * makes the next one before it is needed.
 */
import type { Compaction } from "./compaction.ts"
import type { Trouble } from "./groupCommit.ts"
import type { LogObserver } from "./policy.ts"
import type { Space } from "./space.ts"
import { inOrder, stepsToKnow } from "./sync.ts"

/** What it works with. */
export interface Options {
  readonly space: Space
  readonly compaction: Compaction
  /** Whether new files are made durable ahead of their use. */
  readonly isSynced: boolean
  readonly atEndOfTurn: (task: () => void) => void
  readonly onFiles: LogObserver["onFiles"]
  readonly onTrouble: (trouble: Trouble) => void
}

/** The housekeeping of a log. */
export class Housekeeping {
  readonly #options: Options
  /** Which change of the files the observer knows. */
  #shown = -1
  /** Whether a file is being made. */
  isBusy = false
  isOver = false

  constructor(options: Options) {
    this.#options = options
  }

  /** To be called after each batch. */
  run(): void {
    const { atEndOfTurn, compaction, onTrouble, space } = this.#options
    if (this.isOver) return
    try {
      space.closeLeft()
      if (!this.isBusy) space.dropSurplus()
    } catch (cause) {
      return onTrouble({ operation: "write", file: space.current.name, cause })
    }
    compaction.step()
    this.#show()
    if (this.isBusy || !space.wantsSpare) return
    this.isBusy = true
    atEndOfTurn(() => this.#prepare())
  }

  #show(): void {
    const { onFiles, space } = this.#options
    if (space.changes === this.#shown) return
    this.#shown = space.changes
    onFiles(space.count, space.bytes)
  }

  #prepare(): void {
    const { isSynced, onTrouble, space } = this.#options
    this.isBusy = false
    const file = this.isOver ? undefined : space.prepare()
    if (file === undefined || !isSynced) return
    this.isBusy = true
    inOrder(stepsToKnow(space.disk, [file]), (cause) => {
      this.isBusy = false
      if (cause !== null && !this.isOver) onTrouble({ operation: "sync", file: file.name, cause })
    })
  }
}
