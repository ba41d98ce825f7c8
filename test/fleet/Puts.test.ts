/**
 * What becomes of a job that a server of a fleet does not take.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Result } from "effect"
import { Fleet } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { keysOf, listOf, machines, onFleet, pass, putsOf, settle, statusOf } from "./Fleets.ts"

const all = (names: ReadonlyArray<string>) => [...new Set(names)].sort().join("")

describe("a put", () => {
  it.effect("goes to all servers that are up", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        assert.strictEqual(all(yield* putsOf(fleet, 60)), "abc")
      })
    ))

  it.effect("goes where those of the same turn have gone, 32 of them at most", () =>
    onFleet(
      4,
      Effect.fnUntraced(function*(fleet, ...servers) {
        for (const { injectFaults } of servers) yield* injectFaults({ delay: 100 })
        const putting = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 96 }), () => fleet.put("work", "x"), { concurrency: "unbounded" }),
          { startImmediately: true }
        )
        yield* pass(200)
        const names = (yield* Fiber.join(putting)).map(({ server }) => server)
        const turns = [0, 32, 64].map((first) => all(names.slice(first, first + 32)))
        assert.deepStrictEqual(turns.map((turn) => turn.length), [1, 1, 1], String(turns))
        assert.isAbove(all(names).length, 1)
      })
    ))

  it.effect("of a later turn goes to all servers, also while others are on their way", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet, ...servers) {
        for (const { injectFaults } of servers) yield* injectFaults({ delay: 200 })
        const putting: Array<Fiber.Fiber<{ readonly server: string }, unknown>> = []
        for (let i = 0; i < 30; i++) {
          putting.push(yield* Effect.forkChild(fleet.put("work", "x"), { startImmediately: true }))
          yield* settle
        }
        yield* pass(500)
        assert.strictEqual(all((yield* Fiber.joinAll(putting)).map(({ server }) => server)), "abc")
      })
    ))

  it.effect("goes elsewhere while a server drains, until a new connection says that it does not", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a) {
        yield* a.drain
        assert.strictEqual(all(yield* putsOf(fleet, 30)), "b")
        assert.deepStrictEqual(yield* statusOf(fleet), { a: "draining", b: "up" })
        yield* a.dropConnections
        yield* pass(1000)
        assert.deepStrictEqual(yield* statusOf(fleet), { a: "draining", b: "up" })
        yield* a.restart
        yield* pass(1000)
        assert.deepStrictEqual(yield* statusOf(fleet), { a: "up", b: "up" })
        assert.strictEqual(all(yield* putsOf(fleet, 30)), "ab")
      })
    ))

  it.effect("goes elsewhere while a server has no memory, which rests for 1, 2, 4 and at most 30 seconds", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a) {
        yield* a.fill
        const rests = Effect.fnUntraced(function*(seconds: number) {
          assert.strictEqual(all(yield* putsOf(fleet, 30)), "b")
          assert.strictEqual((yield* statusOf(fleet))["a"], "full")
          yield* TestClock.adjust(seconds * 1000 - 1)
          assert.strictEqual((yield* statusOf(fleet))["a"], "full", `less than ${seconds} s`)
          yield* TestClock.adjust(1)
          assert.strictEqual((yield* statusOf(fleet))["a"], "up")
        })
        for (const seconds of [1, 2, 4, 8, 16, 30, 30]) yield* rests(seconds)
        yield* a.up
        assert.strictEqual(all(yield* putsOf(fleet, 30)), "ab")
        // It has been well for as long as it rested.
        yield* TestClock.adjust("31 seconds")
        yield* a.fill
        for (const seconds of [1, 2]) yield* rests(seconds)
      })
    ))

  it.effect("that is buried at once fails with JobBuried, and is nowhere else", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet, ...servers) {
        for (const { injectFaults } of servers) yield* injectFaults({ shortage: "queues" })
        const error = yield* Effect.flip(fleet.put("work", "hello"))
        assert.strictEqual(error._tag, "JobBuried")
        const { currentJobsBuried, currentJobsReady } = yield* fleet.statsTube("work")
        assert.deepStrictEqual({ currentJobsBuried, currentJobsReady }, { currentJobsBuried: 1, currentJobsReady: 0 })
      })
    ))

  it.effect("that is too big or makes no sense fails at once, wherever it would go", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet, ...servers) {
        assert.strictEqual((yield* Effect.flip(fleet.put("work", new Uint8Array(65_536))))._tag, "JobTooBig")
        for (const { down } of servers) yield* down
        for (
          const put of [
            fleet.put("", "x"),
            fleet.put("-bad", "x"),
            fleet.put("work", 1 as never),
            fleet.put("work", "x", { priority: -1 }),
            fleet.put("work", "x", { key: 1 as never })
          ]
        ) assert.strictEqual((yield* Effect.flip(put))._tag, "InvalidArgument")
      })
    ))

  it.effect("that had not left its server goes to the next at once", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet, a, b) {
        yield* a.down
        yield* b.down
        assert.strictEqual(all(yield* putsOf(fleet, 30)), "c")
      })
    ))

  it.effect("that waits behind others when its server is lost goes to the next, unlike one that had left", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a) {
        const { a: key } = yield* keysOf(fleet)
        yield* a.freeze
        const put = Effect.result(fleet.put("work", "x", { key: key! }))
        const putting = yield* Effect.forkChild(Effect.replicateEffect(put, 5, { concurrency: "unbounded" }), {
          startImmediately: true
        })
        yield* settle
        yield* a.dropConnections
        yield* a.up
        yield* pass(1000)
        const outcomes = yield* Fiber.join(putting)
        const waited = outcomes.filter(Result.isSuccess)
        assert.isAtLeast(waited.length, 3)
        assert.deepStrictEqual([...new Set(waited.map(({ success }) => success.server))], ["b"])
        const left = outcomes.filter(Result.isFailure)
        for (const { failure } of left) {
          assert.deepInclude(failure, { _tag: "BeanstalkdError", server: "a", sent: true })
        }
        const { parts } = yield* fleet.statsTube("work")
        assert.deepStrictEqual(parts.map(({ stats }) => stats.currentJobsReady), [left.length, waited.length])
      }),
      { maxUnanswered: 2 }
    ))

  it.effect("that may have been done fails with sent: true and the server", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a) {
        const keys = yield* keysOf(fleet)
        yield* a.freeze
        const put = yield* Effect.forkChild(Effect.flip(fleet.put("work", "x", { key: keys["a"]! })), {
          startImmediately: true
        })
        yield* settle
        yield* a.dropConnections
        const error = yield* Fiber.join(put)
        assert.deepInclude(error, { _tag: "BeanstalkdError", sent: true, server: "a" })
        yield* a.up
        yield* pass(1000)
        const one = yield* fleet.on("a")
        assert.strictEqual((yield* one.statsTube("work")).currentJobsReady, 1, "it had been done")
      })
    ))

  it.effect("that may have been done is put again on the only server, once that is back, with ambiguous: \"again\"", () =>
    onFleet(
      1,
      Effect.fnUntraced(function*(fleet, a) {
        yield* a.freeze
        const put = yield* Effect.forkChild(fleet.put("work", "x"), { startImmediately: true })
        yield* pass(2500)
        assert.strictEqual(put.pollUnsafe(), undefined)
        yield* a.up
        yield* pass(8000)
        assert.strictEqual((yield* Fiber.join(put)).server, "a")
        // The server has carried out the first one too.
        assert.strictEqual((yield* fleet.statsTube("work")).currentJobsReady, 2)
      }),
      { ambiguous: "again", patience: "1 minute" }
    ))

  it.effect("that may have been done is put on the next server with ambiguous: \"again\"", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a) {
        const keys = yield* keysOf(fleet)
        yield* a.freeze
        const put = yield* Effect.forkChild(fleet.put("work", "x", { key: keys["a"]! }), { startImmediately: true })
        yield* settle
        yield* a.dropConnections
        assert.strictEqual((yield* Fiber.join(put)).server, "b")
      }),
      { ambiguous: "again" }
    ))

  it.effect("that may have been done fails with sent: true, though nobody else takes it", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a, b) {
        const keys = yield* keysOf(fleet)
        yield* a.freeze
        yield* b.down
        const put = yield* Effect.forkChild(Effect.flip(fleet.put("work", "x", { key: keys["a"]! })), {
          startImmediately: true
        })
        yield* settle
        yield* a.injectFaults({ mute: true, refuse: true })
        yield* a.dropConnections
        yield* pass(1000)
        const error = yield* Fiber.join(put)
        assert.deepInclude(error, { _tag: "BeanstalkdError", sent: true })
        assert.strictEqual(error._tag === "BeanstalkdError" && error.reason._tag, "NoServer")
      }),
      { ambiguous: "again", patience: "1 second" }
    ))

  it.effect("that nobody takes waits for patience, and fails with the status of all", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet, a, b, c) {
        yield* a.drain
        yield* b.fill
        yield* c.down
        const put = yield* Effect.forkChild(Effect.flip(fleet.put("work", "x")), { startImmediately: true })
        yield* pass(500)
        yield* TestClock.adjust(499)
        assert.strictEqual(put.pollUnsafe(), undefined)
        yield* TestClock.adjust(1)
        const error = yield* Fiber.join(put)
        assert.deepInclude(error, { _tag: "BeanstalkdError", sent: false, server: "a,b,c", isRetryable: true })
        if (error._tag !== "BeanstalkdError" || error.reason._tag !== "NoServer") return assert.fail(error._tag)
        assert.deepStrictEqual(
          error.reason.servers.map(({ server, status }) => [server, status]),
          [["a", "draining"], ["b", "full"], ["c", "down"]]
        )
        assert.isString(error.reason.servers[2]?.reason)
      }),
      { patience: "1 second" }
    ))

  it.effect("that nobody takes fails at once with patience 0", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a, b) {
        yield* a.down
        yield* b.down
        const error = yield* Effect.flip(fleet.put("work", "x"))
        assert.deepInclude(error, { _tag: "BeanstalkdError", sent: false })
      }),
      { patience: 0 }
    ))

  for (const patience of [10_000, Infinity]) {
    it.effect(`goes on when a server is back, with a patience of ${patience} ms`, () =>
      onFleet(
        2,
        Effect.fnUntraced(function*(fleet, a, b) {
          yield* a.down
          yield* b.down
          const put = yield* Effect.forkChild(fleet.put("work", "x"), { startImmediately: true })
          yield* pass(500)
          assert.strictEqual(put.pollUnsafe(), undefined)
          yield* b.up
          yield* pass(3000)
          const exit = put.pollUnsafe()
          assert.isTrue(exit !== undefined && Exit.isSuccess(exit))
          assert.strictEqual((yield* Fiber.join(put)).server, "b")
        }),
        { patience }
      ))
  }

  it.effect("passes over a server that takes connections and answers nothing", () =>
    Effect.gen(function*() {
      const servers = yield* machines(["a", "b"])
      yield* servers[0]!.freeze
      const fleet = yield* Fleet.make({ servers: listOf(servers) })
      yield* settle
      for (let i = 0; i < 10; i++) {
        assert.notStrictEqual((yield* statusOf(fleet))["a"], "up")
        assert.strictEqual(all(yield* putsOf(fleet, 10)), "b")
        yield* pass(500)
      }
      yield* servers[0]!.up
      yield* pass(10_000)
      assert.strictEqual((yield* statusOf(fleet))["a"], "up")
      assert.strictEqual(all(yield* putsOf(fleet, 30)), "ab")
    }))

  it.effect("passes over a server that owes an answer for a while, and does not before", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a) {
        const keys = yield* keysOf(fleet)
        yield* a.freeze
        yield* Effect.forkChild(Effect.exit(fleet.put("work", "x", { key: keys["a"]! })), { startImmediately: true })
        yield* pass(200)
        assert.strictEqual((yield* statusOf(fleet))["a"], "up")
        yield* pass(300)
        assert.strictEqual((yield* statusOf(fleet))["a"], "silent")
        assert.strictEqual((yield* fleet.put("work", "x", { key: keys["a"]! })).server, "b")
      })
    ))

  it.effect("that is interrupted while it waits is put nowhere", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a, b) {
        yield* a.down
        yield* b.down
        const put = yield* Effect.forkChild(fleet.put("work", "x"), { startImmediately: true })
        yield* pass(100)
        yield* Fiber.interrupt(put)
        yield* a.up
        yield* b.up
        yield* pass(5000)
        assert.strictEqual((yield* Effect.flip(fleet.statsTube("work")))._tag, "NotFound")
      })
    ))
})
