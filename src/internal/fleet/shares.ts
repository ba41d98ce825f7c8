/**
 * The servers that share the room of an intake, by what their last reserves brought. All of it is kept up to date with each
 * change, so that nothing has to look at all servers while they are busy.
 *
 * Of many servers that have jobs only some are asked at a time, in turns: with a job of each of 64 servers every command would
 * leave in a write of its own, which costs more than all else that a job costs.
 */

// How many servers that have jobs are asked at a time.
const MOST_AT_A_TIME = 8

// How many jobs one of them gives before it is the next one's turn. All turns are as long, so this is also by how much two
// servers can differ.
const JOBS_IN_A_TURN = 32

/** Who shares. */
export class Shares<Source> {
  /** Whose last reserve brought a job. */
  readonly hot = new Set<Source>()
  /** Those of the hot ones that are asked now, and how many jobs each has given in this turn. */
  readonly #active = new Map<Source, number>()
  /** Those of the hot ones that wait for their turn. */
  readonly #next = new Set<Source>()
  /** Those that can be asked, had no job, and are not asked now. */
  readonly idle = new Set<Source>()
  /** Those of the idle ones that come before all others. */
  readonly starved = new Set<Source>()

  /** Those of the hot ones that are asked now. */
  get active(): Iterable<Source> {
    return this.#active.keys()
  }

  /** How many they are. */
  get activeCount(): number {
    return this.#active.size
  }

  /** Whether it is one of them. */
  isActive(source: Source): boolean {
    return this.#active.has(source)
  }

  setHot(source: Source): void {
    this.idle.delete(source)
    this.starved.delete(source)
    if (this.hot.has(source)) return
    this.hot.add(source)
    this.#next.add(source)
    this.#promote()
  }

  setIdle(source: Source): void {
    this.#cool(source)
    this.idle.add(source)
  }

  /** It is asked, or cannot be. */
  setOther(source: Source): void {
    this.#cool(source)
    this.idle.delete(source)
    this.starved.delete(source)
  }

  remove(source: Source): void {
    this.setOther(source)
  }

  /** The idle ones come first from now on. */
  starve(): void {
    for (const source of this.idle) this.starved.add(source)
  }

  /** It has given a job, after which it may be the next one's turn. */
  onJob(source: Source): void {
    if (this.#next.size === 0) return
    const given = (this.#active.get(source) ?? 0) + 1
    if (given < JOBS_IN_A_TURN) {
      if (this.#active.has(source)) this.#active.set(source, given)
      return
    }
    this.#active.delete(source)
    this.#next.add(source)
    this.#promote()
  }

  #cool(source: Source): void {
    if (!this.hot.delete(source)) return
    this.#next.delete(source)
    if (this.#active.delete(source)) this.#promote()
  }

  #promote(): void {
    for (const source of this.#next) {
      if (this.#active.size >= MOST_AT_A_TIME) return
      this.#next.delete(source)
      this.#active.set(source, 0)
    }
  }
}
