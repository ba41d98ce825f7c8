/**
 * The collections that the store keeps its jobs, tubes and reservers in. None of them searches: an item knows its place, and
 * leaves from the middle as cheaply as from an end.
 */

// ---------------------------------------------------------------------------------------------------------------------
// By rank
// ---------------------------------------------------------------------------------------------------------------------

/** An item of a heap. `index` belongs to the heap that the item is in, and is -1 while it is in none. */
export interface HeapItem {
  index: number
}

/** A heap. `isBefore` must be a total order. */
export class Heap<A extends HeapItem> {
  readonly #items: Array<A> = []
  readonly #isBefore: (a: A, b: A) => boolean

  constructor(isBefore: (a: A, b: A) => boolean) {
    this.#isBefore = isBefore
  }

  get size(): number {
    return this.#items.length
  }

  /** The item before all others. */
  get head(): A | undefined {
    return this.#items[0]
  }

  add(item: A): void {
    this.#items.push(item)
    this.#rise(item, this.#items.length - 1)
  }

  remove(item: A): void {
    const hole = item.index
    item.index = -1
    const last = this.#items.pop()
    if (last === undefined || last === item) return
    this.#sink(last, hole)
    if (last.index === hole) this.#rise(last, hole)
  }

  /** Moves an item to its place after its rank has changed. */
  update(item: A): void {
    const at = item.index
    this.#sink(item, at)
    if (item.index === at) this.#rise(item, at)
  }

  #put(item: A, at: number): void {
    this.#items[at] = item
    item.index = at
  }

  #rise(item: A, from: number): void {
    let at = from
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = this.#items[above]!
      if (!this.#isBefore(item, parent)) break
      this.#put(parent, at)
      at = above
    }
    this.#put(item, at)
  }

  #sink(item: A, from: number): void {
    const items = this.#items
    let at = from
    while (true) {
      let below = 2 * at + 1
      if (below >= items.length) break
      if (below + 1 < items.length && this.#isBefore(items[below + 1]!, items[below]!)) below++
      const child = items[below]!
      if (!this.#isBefore(child, item)) break
      this.#put(child, at)
      at = below
    }
    this.#put(item, at)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// By moment
// ---------------------------------------------------------------------------------------------------------------------

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

// ---------------------------------------------------------------------------------------------------------------------
// By arrival
// ---------------------------------------------------------------------------------------------------------------------

/** A linked list, so that an item in the middle can go without a search. An item is in one list at most. */
export class List<A extends { previous: A | undefined; next: A | undefined }> {
  head: A | undefined
  #last: A | undefined
  size = 0

  append(item: A): void {
    item.previous = this.#last
    if (this.#last === undefined) this.head = item
    else this.#last.next = item
    this.#last = item
    this.size++
  }

  remove(item: A): void {
    const { next, previous } = item
    if (previous === undefined) this.head = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    item.previous = item.next = undefined
    this.size--
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// By id
// ---------------------------------------------------------------------------------------------------------------------

const PAGE_SIZE = 256

class Page<A> {
  readonly items: Array<A | undefined> = Array.from({ length: PAGE_SIZE })
  size = 0
}

const pageOf = (id: number): number => Math.floor(id / PAGE_SIZE)

/**
 * Values by whole numbers that rise as they are added, in pages of neighbors. A `Map` of all jobs would be copied as a whole
 * whenever it grows: with a million jobs, one put would take a tenth of a second.
 */
export class JobTable<A> {
  readonly #pages = new Map<number, Page<A>>()
  /** The page that was made last. It stays even while it is empty, for the next ids. */
  #newest = -1

  get(id: number): A | undefined {
    return this.#pages.get(pageOf(id))?.items[id % PAGE_SIZE]
  }

  /** Adds the value of an id that has none. */
  add(id: number, value: A): void {
    const at = pageOf(id)
    const page = this.#pages.get(at) ?? this.#makePage(at)
    page.items[id % PAGE_SIZE] = value
    page.size++
  }

  /** Removes the value of an id that has one. */
  remove(id: number): void {
    const at = pageOf(id)
    const page = this.#pages.get(at)!
    page.items[id % PAGE_SIZE] = undefined
    page.size--
    if (at !== this.#newest) this.#dropIfEmpty(at)
  }

  /** All values, page by page. */
  *values(): IterableIterator<A> {
    for (const { items } of this.#pages.values()) {
      for (const item of items) {
        if (item !== undefined) yield item
      }
    }
  }

  #makePage(at: number): Page<A> {
    const page = new Page<A>()
    this.#dropIfEmpty(this.#newest)
    this.#pages.set(at, page)
    this.#newest = at
    return page
  }

  #dropIfEmpty(at: number): void {
    if (this.#pages.get(at)?.size === 0) this.#pages.delete(at)
  }
}
