/**
 * A borrower that has waited in vain hears why the last dial failed, not why the first one did.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { type Connection, Errors, Pool } from "effect-beanstalkd"
import { TestClock } from "effect/testing"

describe("a borrower that no dial has served in time", () => {
  it.effect("fails with the reason of the last dial", () =>
    Effect.gen(function*() {
      let dials = 0
      const open = () =>
        Effect.suspend(() => Effect.fail(new Errors.OpenError({ cause: new Error(`dial ${++dials} failed`) })))
      const dialer: Connection.Dialer = { server: "nowhere", open }
      const pool = yield* Pool.make({ dialer, commandTimeout: "1 second", reconnect: Schedule.spaced("300 millis") })
      const borrowing = yield* Effect.forkChild(Effect.flip(Effect.scoped(pool.get)), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      const { reason } = yield* Fiber.join(borrowing)
      assert.isAbove(dials, 1)
      assert.include(reason.message, `dial ${dials} failed`)
    }).pipe(Effect.scoped))
})
