/**
 * Gives disk space back: writes the jobs of the oldest file again, and removes files that no job needs.
 *
 * Files go from the oldest on, since the delete of a job is in a later file than the job. What a file had must be durable
 * elsewhere before it goes, and so must the names of the files that have it.
 */
import type { Trouble } from "./groupCommit.ts"
import type { LogEntry } from "./logFile.ts"
import type { Space } from "./space.ts"

/** What a compaction works with. */
export interface Options {
  readonly space: Space
  /** Writes a job again; tells whether there was room. */
  readonly rewrite: (entry: LogEntry) => boolean
  readonly onTrouble: (trouble: Trouble) => void
}

// A commit gets so many bytes longer.
const BYTES_PER_STEP = 256 * 1024

// Old files may be so many times as large as the jobs, and one file more, so that little is left as it is.
const MOST_WASTE = 2

/** The compaction of a log. */
export class Compaction {
  readonly #options: Options
  /** How many bytes the full records of all jobs take. */
  living = 0
  /** How many jobs have been written again. */
  moved = 0
  /** Up to this number, files may go once they are unused. */
  #removable = 0
  /** Whether a file is being removed. */
  isBusy = false

  constructor(options: Options) {
    this.#options = options
  }

  /** The number of the last of the files at the beginning that no job needs; 0 if there is none. */
  get unused(): number {
    let last = 0
    for (const { entries, number } of this.#options.space.old) {
      if (entries.size > 0) break
      last = number
    }
    return last
  }

  /** Whether a file is not needed any more, and may not go before the next sync. */
  get isWaiting(): boolean {
    return this.unused > this.#removable
  }

  /** Writes some jobs again, if the files are much larger than the jobs. */
  step(): void {
    const { rewrite, space } = this.#options
    // A file that no job needs goes once it is known that it may, and there may be many commits until then.
    if (space.oldBytes - space.unusedBytes <= MOST_WASTE * this.living + space.fileSize) return
    const first = space.old.find(({ entries }) => entries.size > 0)
    let bytes = 0
    for (let entry = first?.entries.head; entry !== undefined && bytes < BYTES_PER_STEP; entry = first!.entries.head) {
      if (!rewrite(entry)) return
      bytes += entry.size
      this.moved++
    }
  }

  /** The files up to this number are not needed any more. */
  remove(upTo: number): void {
    this.#removable = Math.max(this.#removable, upTo)
    this.#removeNext()
  }

  // One at a time, and the directory is durable in between: a file in the middle must not be gone while an older one is
  // there.
  #removeNext(): void {
    const { onTrouble, space } = this.#options
    const first = space.old[0]
    if (this.isBusy || first === undefined || first.number > this.#removable) return
    this.isBusy = true
    const failed = (operation: Trouble["operation"], cause: unknown) =>
      onTrouble({ operation, file: first.name, cause })
    space.disk.syncDirectory((error) => {
      this.isBusy = false
      if (error !== null) return failed("sync", error)
      try {
        space.removeOldest()
      } catch (cause) {
        return failed("remove", cause)
      }
      this.#removeNext()
    })
  }
}
