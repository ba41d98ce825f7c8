/**
 * A heap gives the same first item as a sorted array, whatever is added, taken out of the middle or ranked anew.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Heap, type HeapItem } from "../../src/internal/server/collections.ts"

class Item implements HeapItem {
  index = -1
  readonly id: number
  rank: number

  constructor(id: number, rank: number) {
    this.id = id
    this.rank = rank
  }
}

const isBefore = (a: Item, b: Item): boolean => a.rank < b.rank || (a.rank === b.rank && a.id < b.id)

const compare = (a: Item, b: Item): number => a.rank - b.rank || a.id - b.id

const heapOf = (ranks: ReadonlyArray<number>) => {
  const heap = new Heap<Item>(isBefore)
  const items = ranks.map((rank, id) => new Item(id, rank))
  for (const item of items) heap.add(item)
  return { heap, items }
}

const drain = (heap: Heap<Item>): ReadonlyArray<Item> => {
  const drained: Array<Item> = []
  for (let item = heap.head; item !== undefined; item = heap.head) {
    heap.remove(item)
    drained.push(item)
  }
  return drained
}

/** Everything that can be seen of a heap that is to hold these items, and no others. */
const isSound = (heap: Heap<Item>, items: ReadonlyArray<Item>): void => {
  assert.strictEqual(heap.size, items.length)
  assert.strictEqual(heap.head, items.toSorted(compare)[0])
  const places = items.toSorted((a, b) => a.index - b.index)
  assert.deepStrictEqual(places.map(({ index }) => index), places.map((_, place) => place))
  for (const [place, item] of places.entries()) {
    if (place > 0) assert.isTrue(isBefore(places[(place - 1) >> 1]!, item), `${place} is before what is above it`)
  }
}

// Few ranks, so that many items have the same one.
const Rank = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
const Which = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 }))
const Step = Schema.Struct({ action: Schema.Literals(["add", "add", "remove", "update"]), rank: Rank, which: Which })

describe("a heap", () => {
  it("of nothing has no head", () => {
    const heap = new Heap<Item>(isBefore)
    assert.deepStrictEqual([heap.size, heap.head], [0, undefined])
  })

  it.prop("gives its items in their order", [Schema.Array(Rank)], ([ranks]) => {
    const { heap, items } = heapOf(ranks)
    isSound(heap, items)
    assert.deepStrictEqual(drain(heap), items.toSorted(compare))
    isSound(heap, [])
  }, { arbitrary: { runs: 300, size: 60 } })

  it.prop("has the same head as a sorted array after every step", [Schema.Array(Step)], ([steps]) => {
    const { heap, items } = heapOf([])
    for (const [id, { action, rank, which }] of steps.entries()) {
      const item = items[which % Math.max(1, items.length)]
      if (action === "add" || item === undefined) {
        const added = new Item(id, rank)
        items.push(added)
        heap.add(added)
      } else if (action === "remove") {
        items.splice(items.indexOf(item), 1)
        heap.remove(item)
        assert.strictEqual(item.index, -1)
      } else {
        item.rank = rank
        heap.update(item)
      }
      isSound(heap, items)
    }
    assert.deepStrictEqual(drain(heap), items.toSorted(compare))
  }, { arbitrary: { runs: 500, size: 80 } })

  it("lets any of its items be taken out, and keeps the others", () => {
    const ranks = [5, 3, 8, 1, 9, 2, 7, 4, 6, 0, 3, 3]
    for (const gone of ranks.keys()) {
      const { heap, items } = heapOf(ranks)
      heap.remove(items[gone]!)
      isSound(heap, items.filter(({ id }) => id !== gone))
      // It can come back.
      heap.add(items[gone]!)
      isSound(heap, items)
    }
  })

  it("finds the place of any of its items, whatever its rank becomes", () => {
    const ranks = [5, 3, 8, 1, 9, 2, 7, 4, 6, 0]
    for (const which of ranks.keys()) {
      for (let rank = -1; rank <= 10; rank++) {
        const { heap, items } = heapOf(ranks)
        items[which]!.rank = rank
        heap.update(items[which]!)
        isSound(heap, items)
      }
    }
  })

  it("of 100,000 items asks for their order a few times for each, not for all of them", () => {
    let comparisons = 0
    const heap = new Heap<Item>((a, b) => {
      comparisons++
      return isBefore(a, b)
    })
    const items = Array.from({ length: 100_000 }, (_, id) => new Item(id, (id * 7_919) % 100_003))
    for (const item of items) heap.add(item)
    const one = new Item(-1, 50_000)
    comparisons = 0
    for (let times = 0; times < 100; times++) {
      heap.add(one)
      heap.remove(one)
      heap.remove(items[times]!)
      heap.add(items[times]!)
    }
    assert.isBelow(comparisons, 400 * 2 * 17)
  })
})
