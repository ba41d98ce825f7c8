/**
 * The moments at which a store has something to do by itself: when delays end, when pauses end, when leases and waits
 * run out.
 */
import type { Reserver, StoredTube } from "./entities.ts"
import { Heap, type HeapItem } from "./heap.ts"

/** The next moment of its owner, which is Infinity while there is none. */
export class Timer<A> implements HeapItem {
  readonly owner: A
  at = Infinity
  /** Decides which of two timers of the same moment comes first. */
  rank = 0
  index = -1

  constructor(owner: A) {
    this.owner = owner
  }
}

/** Timers of one kind, the earliest first. */
export class TimerQueue<A> {
  readonly #timers = new Heap<Timer<A>>((a, b) => a.at < b.at || (a.at === b.at && a.rank < b.rank))

  /** When the first of them is due; Infinity for never. */
  get next(): number {
    return this.#timers.head?.at ?? Infinity
  }

  /** The owner of the first timer, if that is due by now. */
  due(now: number): A | undefined {
    const first = this.#timers.head
    return first !== undefined && first.at <= now ? first.owner : undefined
  }

  set(timer: Timer<A>, at: number, rank: number): void {
    timer.at = at
    timer.rank = rank
    if (at === Infinity) {
      if (timer.index !== -1) this.#timers.remove(timer)
    } else if (timer.index === -1) this.#timers.add(timer)
    else this.#timers.update(timer)
  }
}

/** All timers of a store. */
export class Deadlines {
  /** The first delayed job of a tube is ready. */
  readonly matures = new TimerQueue<StoredTube>()
  /** The pause of a tube is over. */
  readonly resumes = new TimerQueue<StoredTube>()
  /** A lease of a reserver is over, or nearly so while it waits, or its wait is over. */
  readonly expires = new TimerQueue<Reserver>()

  /** When the first of all is due; Infinity for never. */
  get next(): number {
    return Math.min(this.matures.next, this.resumes.next, this.expires.next)
  }
}
