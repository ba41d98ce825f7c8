/**
 * Jobs by id, in pages of neighbors. A `Map` of all jobs would be copied as a whole whenever it grows: with a million jobs,
 * one put would take a tenth of a second.
 */

const PAGE_SIZE = 256

class Page<A> {
  readonly items: Array<A | undefined> = Array.from({ length: PAGE_SIZE })
  size = 0
}

const pageOf = (id: number): number => Math.floor(id / PAGE_SIZE)

/** Values by whole numbers that rise as they are added. */
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
