/**
 * The stamps of the records to come: see `stampOf`.
 */
import { nextEpoch, stampOf } from "./format.ts"

/** Counts the syncs of a log. */
export class Stamps {
  #epoch: number
  #isFirst = true
  #isSyncing = false

  /** `last` is the number of the last sync of the log before. */
  constructor(last: number) {
    this.#epoch = nextEpoch(last)
  }

  /** The stamp of the next record. */
  take(): number {
    const stamp = stampOf(this.#epoch, this.#isFirst, this.#isSyncing)
    this.#isFirst = false
    return stamp
  }

  /** A sync begins. `isAwaited` if nothing is written before it has ended. */
  begin(isAwaited: boolean): void {
    this.#epoch = nextEpoch(this.#epoch)
    this.#isFirst = true
    this.#isSyncing = !isAwaited
  }

  end(): void {
    this.#isSyncing = false
  }
}
