/**
 * Which server of a fleet gets a job.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Fleet, Tube } from "effect-beanstalkd"
import { keysOf, listOf, machines, NAMES, onFleet, pass, settle } from "./Fleets.ts"

const KEYS = Array.from({ length: 400 }, (_, i) => `user ${i}`)

const homesOf = (fleet: Fleet.Service) =>
  Effect.forEach(KEYS, (key) => Effect.map(fleet.put("work", "", { key }), ({ server }) => server))

const countsOf = (servers: ReadonlyArray<string>) => {
  const counts: Record<string, number> = {}
  for (const server of servers) counts[server] = (counts[server] ?? 0) + 1
  return counts
}

const withServers = (servers: ReadonlyArray<string | Fleet.ServerOptions>) =>
  Effect.tap(Fleet.make({ servers }), () => settle)

describe("a key", () => {
  it.effect("has the same server each time, also in another process and with another order of the list", () =>
    Effect.gen(function*() {
      const list = listOf(yield* machines(NAMES))
      const homes = yield* homesOf(yield* withServers(list))
      assert.deepStrictEqual(yield* homesOf(yield* withServers(list.toReversed())), homes)
    }))

  it.effect("moves when its server is removed: one of 8 moves about an eighth", () =>
    Effect.gen(function*() {
      // As long as names are: the ring spreads names of one letter badly.
      const list = listOf(yield* machines(NAMES.map((name) => `beanstalkd-${name}.internal:11300`)))
      const before = yield* homesOf(yield* withServers(list))
      const after = yield* homesOf(yield* withServers(list.slice(1)))
      const moved = before.filter((home, i) => after[i] !== home).length
      assert.isAtLeast(moved, countsOf(before)[list[0]!.name!]!)
      assert.isBelow(moved / KEYS.length, 0.2)
      assert.isUndefined(countsOf(after)[list[0]!.name!])
    }))

  it.effect("goes elsewhere while its server is down, and comes home", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet, a) {
        const key = (yield* keysOf(fleet))["a"]!
        yield* a.down
        assert.notStrictEqual((yield* fleet.put("work", "", { key })).server, "a")
        yield* a.up
        yield* pass(3000)
        assert.strictEqual((yield* fleet.put("work", "", { key })).server, "a")
      })
    ))

  it.effect("waits for its server with whenDown: \"wait\", and holds up no other", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet, a) {
        const keys = yield* keysOf(fleet)
        yield* a.down
        const put = yield* Effect.forkChild(fleet.put("work", "", { key: keys["a"]! }), { startImmediately: true })
        assert.strictEqual((yield* fleet.put("work", "", { key: keys["b"]! })).server, "b")
        yield* pass(500)
        assert.strictEqual(put.pollUnsafe(), undefined)
        yield* a.up
        yield* pass(3000)
        assert.strictEqual((yield* Fiber.join(put)).server, "a")
      }),
      { whenDown: "wait" }
    ))

  it.effect("is the tube with route: \"tube\", unless a put has one", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        for (const tube of ["one", "two", "three"]) {
          const refs = yield* fleet.putAll(tube, Array.from({ length: 20 }, String))
          assert.strictEqual(new Set(refs.map(({ server }) => server)).size, 1)
        }
        assert.strictEqual(Object.keys(countsOf(yield* homesOf(fleet))).length, 3)
      }),
      { route: "tube" }
    ))

  it.effect("is what a function gives, and a function that throws or gives something else is an InvalidArgument", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        const homes = yield* Effect.forEach(["a1", "a2", "a3", "a4"], (tube) => fleet.put(tube, ""))
        assert.strictEqual(new Set(homes.map(({ server }) => server)).size, 1)
        assert.strictEqual((yield* Effect.flip(fleet.put("throws", "")))._tag, "InvalidArgument")
        assert.strictEqual((yield* Effect.flip(fleet.put("odd", "")))._tag, "InvalidArgument")
      }),
      {
        route: ({ tube }) => {
          if (tube === "throws") throw new Error("no")
          return tube === "odd" ? 1 as never : tube[0]
        }
      }
    ))

  it.effect("is that of a tube's values", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*() {
        const Mails = Tube.make("mails", { codec: "text", key: (to: string) => to })
        const refs = yield* Mails.putAll(Array.from({ length: 20 }, () => "ann@example.com"))
        assert.strictEqual(new Set(refs.map(({ server }) => server)).size, 1)
      })
    ))
})

describe("without a key", () => {
  it.effect("jobs are spread within 15 percent", () =>
    onFleet(
      8,
      Effect.fnUntraced(function*(fleet) {
        const refs = yield* Effect.forEach(Array.from({ length: 8000 }), () => fleet.put("work", ""), {
          concurrency: 64
        })
        for (const [server, count] of Object.entries(countsOf(refs.map(({ server }) => server)))) {
          assert.isAtLeast(count, 850, server)
          assert.isAtMost(count, 1150, server)
        }
      })
    ))

  it.effect("a server of weight 3 gets about three times the jobs, and as many of those with keys", () =>
    Effect.gen(function*() {
      const [a, b] = listOf(yield* machines(["a", "b"])) as [Fleet.ServerOptions, Fleet.ServerOptions]
      const fleet = yield* withServers([{ ...a, weight: 3 }, b])
      const keyed = countsOf(yield* homesOf(fleet))
      assert.closeTo(keyed["a"]! / KEYS.length, 0.75, 0.1)
      const refs = yield* Effect.forEach(Array.from({ length: 1000 }), () => fleet.put("work", ""))
      assert.closeTo(countsOf(refs.map(({ server }) => server))["a"]! / 1000, 0.75, 0.1)
    }))
})
