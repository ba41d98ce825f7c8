/**
 * Servers in memory that were given no name have one that no other running server has.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { nameOf } from "../../src/internal/server/memoryNames.ts"

/** A server that runs until it is ended. */
const start = Effect.fnUntraced(function*(given?: string) {
  const scope = yield* Scope.make()
  return { name: yield* Scope.provide(nameOf(given), scope), end: Scope.close(scope, Exit.void) }
})

describe("the names of servers in memory", () => {
  it.effect("are counted up, and free again when their server ends", () =>
    Effect.gen(function*() {
      const [first, second, third] = [yield* start(), yield* start(), yield* start()]
      assert.deepStrictEqual([first.name, second.name, third.name], ["memory", "memory-2", "memory-3"])
      yield* second.end
      const next = yield* start()
      assert.strictEqual(next.name, "memory-2")
      yield* Effect.all([first.end, next.end, third.end])
      const last = yield* start()
      assert.strictEqual(last.name, "memory")
      yield* last.end
    }))

  it.effect("are taken as long as one of several servers of the same given name runs", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* start("memory"), yield* start("memory")]
      assert.deepStrictEqual([first.name, second.name], ["memory", "memory"])
      yield* first.end
      const other = yield* start()
      assert.strictEqual(other.name, "memory-2")
      yield* second.end
      const free = yield* start()
      assert.strictEqual(free.name, "memory")
      yield* Effect.all([other.end, free.end])
    }))
})
