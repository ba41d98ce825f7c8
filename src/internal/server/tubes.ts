/**
 * The tubes that there are. A tube goes with the last connection that uses or watches it and the last job in it; only
 * `default` stays forever.
 */
import type { TimerQueue } from "./collections.ts"
import { type MemoryBudget, type Reserver, StoredTube, TUBE_BYTES, WATCH_BYTES } from "./entities.ts"

/** Tubes by name. */
export class Tubes {
  readonly #byName = new Map<string, StoredTube>()
  readonly #memory: MemoryBudget
  readonly #resumes: TimerQueue<StoredTube>
  readonly default: StoredTube = this.#make("default")

  constructor(memory: MemoryBudget, resumes: TimerQueue<StoredTube>) {
    this.#memory = memory
    this.#resumes = resumes
  }

  get size(): number {
    return this.#byName.size
  }

  get(name: string): StoredTube | undefined {
    return this.#byName.get(name)
  }

  values(): IterableIterator<StoredTube> {
    return this.#byName.values()
  }

  #make(name: string): StoredTube {
    const tube = new StoredTube(name)
    this.#byName.set(name, tube)
    return tube
  }

  /** A tube, which the caller must then use or watch; or undefined if there is no memory for it. */
  findOrMake(name: string): StoredTube | undefined {
    const found = this.#byName.get(name)
    if (found !== undefined) return found
    if (!this.#memory.hasRoomFor(TUBE_BYTES)) return undefined
    this.#memory.take(TUBE_BYTES)
    return this.#make(name)
  }

  /** The tube of a job that was stored, whether there is memory for it or not. */
  load(name: string): StoredTube {
    const found = this.#byName.get(name)
    if (found !== undefined) return found
    this.#memory.take(TUBE_BYTES)
    return this.#make(name)
  }

  dropIfUnused(tube: StoredTube): void {
    if (tube.using > 0 || tube.watching > 0 || tube.reserved > 0 || tube.buried.size > 0) return
    if (tube.ready.size > 0 || tube.delayed.size > 0 || tube === this.default) return
    this.#resumes.set(tube.resumes, Infinity, 0)
    this.#byName.delete(tube.name)
    this.#memory.free(TUBE_BYTES)
  }

  use(tube: StoredTube): StoredTube {
    tube.using++
    return tube
  }

  unuse(tube: StoredTube): void {
    tube.using--
    this.dropIfUnused(tube)
  }

  /** Has a reserver that is new watch `default`, whether there is memory for it or not. */
  watchDefault(reserver: Reserver): void {
    this.#watch(reserver, this.default)
  }

  /** @returns whether there was memory for it */
  watch(reserver: Reserver, name: string): boolean {
    const tube = this.findOrMake(name)
    if (tube === undefined) return false
    if (reserver.watched.has(tube)) return true
    if (!this.#memory.hasRoomFor(WATCH_BYTES)) {
      this.dropIfUnused(tube)
      return false
    }
    this.#watch(reserver, tube)
    return true
  }

  #watch(reserver: Reserver, tube: StoredTube): void {
    reserver.watched.add(tube)
    tube.watching++
    this.#memory.take(WATCH_BYTES)
  }

  ignore(reserver: Reserver, tube: StoredTube): void {
    if (!reserver.watched.delete(tube)) return
    tube.watching--
    this.#memory.free(WATCH_BYTES)
    this.dropIfUnused(tube)
  }

  /** Forgets pauses and counts, as a server does that is killed. */
  restart(): void {
    for (const tube of this.#byName.values()) {
      tube.totalJobs =
        tube.deletes =
        tube.pauses =
        tube.pause =
          0
      this.#resumes.set(tube.resumes, Infinity, 0)
    }
  }
}
