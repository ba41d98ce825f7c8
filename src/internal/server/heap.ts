/**
 * A binary heap whose items know their place in it, so that one in the middle can go without a search.
 */

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
