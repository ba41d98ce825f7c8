/**
 * Borrowers of a pool: what they can do with a connection that they have given back, and what they hear of dials that fail.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, Scheduler } from "effect"
import { Client, type Connection, Errors, Pool, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { poolOf } from "../../src/internal/client/internals.ts"
import { internals } from "../../src/internal/pool/internals.ts"
import { tubeServer } from "../support/scripted/Heard.ts"
import { fails, isFailure, start } from "../support/scripted/Peer.ts"
import { ask, asking, closeable } from "./Pools.ts"

type Dialer = Connection.Dialer

describe("a connection that was given back", () => {
  it.live("cannot be used any more by the borrower that keeps it", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const pool = yield* Pool.make({ port: server.port, maxConnections: 1 })
      const kept = yield* pool.use(Effect.succeed)
      // The next borrower has it meanwhile.
      yield* Effect.scoped(Effect.andThen(
        pool.get,
        Effect.gen(function*() {
          assert.isTrue(yield* kept.closed)
          const error = yield* fails(kept.put("x"), { reason: "ConnectionClosed", sent: false, command: "put" })
          assert.deepInclude(error.reason, { detail: "it was given back to the pool" })
        })
      ))
      assert.strictEqual(yield* ask(pool), "default")
      assert.strictEqual(server.received(), asking)
      assert.deepInclude(yield* pool.stats, { idle: 1, opened: 1, lost: 0 })
    }))

  it.live.each([undefined, "mine"])(
    "puts into the tube of the pool (%s), not into that of its last borrower",
    (use) =>
      Effect.gen(function*() {
        const server = yield* Server.makeMemory()
        const pool = yield* Pool.make({ ...server.clientOptions, maxConnections: 1, use })
        yield* pool.use((connection) => connection.use("theirs"))
        const { tube } = yield* pool.use((connection) => Effect.flatMap(connection.put("x"), connection.statsJob))
        assert.strictEqual(tube, use ?? "default")
        assert.deepInclude(yield* pool.stats, { idle: 1, opened: 1, lost: 0 })
      })
  )

  it.live("watches what it was told to ignore and could not, and the next borrower gets no job of that tube", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const client = yield* Client.make({ ...server.clientOptions, maxConnections: 1 })
      yield* client.put("default", "not mine", { priority: 0 })
      yield* client.put("emails", "mine", { priority: 10 })
      yield* poolOf(client).use((connection) => Effect.flip(connection.ignore("default")))
      assert.strictEqual((yield* client.reserve("emails")).text, "mine")
    }))
})

describe("a borrower whose dial failed", () => {
  /** A dialer that fails with these reasons, and counts its dials. */
  const failing = (error: () => Errors.BeanstalkdErrorReason) => {
    const dials = { count: 0 }
    const dialer: Dialer = {
      server: "away",
      open: () =>
        Effect.suspend(() => {
          dials.count++
          return Effect.fail(error())
        })
    }
    return { dialer, dials }
  }
  const away = new Errors.OpenError({ cause: new Error("nobody is there") })

  it.effect("ends with the pool, and does not go on dialing", () =>
    Effect.gen(function*() {
      const { dialer, dials } = failing(() => away)
      const { close, pool } = yield* closeable({ dialer, reconnect: Schedule.spaced("1 second") })
      const borrower = yield* start(Effect.scoped(pool.get))
      yield* TestClock.adjust("2500 millis")
      assert.isUndefined(borrower.pollUnsafe())
      assert.strictEqual(dials.count, 3)
      yield* close
      yield* TestClock.adjust("500 millis")
      const exit = borrower.pollUnsafe()
      assert.isDefined(exit, "it waits for a pool that is closed")
      isFailure(yield* Effect.flip(exit), { reason: "ConnectionClosed", sent: false })
      assert.strictEqual(dials.count, 3)
    }))

  it.effect("fails at once when the next failure is one that no dial can mend", () =>
    Effect.gen(function*() {
      const wrong = new Errors.InvalidOptions({ operation: "connect", argument: "tls", value: 1, rule: "a key" })
      const { dialer, dials } = failing(() => dials.count < 3 ? away : wrong)
      const pool = yield* Pool.make({ dialer, reconnect: Schedule.spaced("1 second") })
      const borrower = yield* start(Effect.scoped(pool.get))
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(borrower.pollUnsafe())
      yield* TestClock.adjust(1)
      const exit = borrower.pollUnsafe()
      assert.isDefined(exit, "it goes on dialing")
      const { reason } = isFailure(yield* Effect.flip(exit), { reason: "InvalidOptions", sent: false })
      assert.deepInclude<object>(reason, { argument: "tls" })
    }))
})

describe("a fiber of the pool", () => {
  /** A dialer that notes whether its fiber is kept from yielding. */
  const noting = (dialer: Dialer) => {
    const prevented: Array<boolean> = []
    const open: Dialer["open"] = (handlers) =>
      Effect.flatMap(Scheduler.PreventSchedulerYield, (isPrevented) => {
        prevented.push(isPrevented)
        return dialer.open(handlers)
      })
    return { dialer: { ...dialer, open }, prevented }
  }

  it.live("may be made to yield in the middle of a dial, which may be the user's code", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const { dialer, prevented } = noting(server.clientOptions.dialer!)
      const pool = yield* Pool.make({ dialer, minConnections: 1, maxConnections: 2 })
      yield* Effect.scoped(Effect.andThen(pool.get, pool.get))
      yield* internals(pool).shared.connect
      assert.deepStrictEqual(prevented, [false, false, false])
    }))
})
