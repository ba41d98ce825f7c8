/**
 * The timer of a connection in a process that was busy or suspended: answers that came meanwhile are read first.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Effect } from "effect"
import { PendingCommand } from "../../src/internal/connection/pipelineState.ts"
import { SilenceTimer } from "../../src/internal/connection/silenceTimer.ts"
import { commands } from "../../src/Protocol.ts"

/** A clock whose sleeps end when the test says so, be it too late. */
const clockOfATest = () => {
  const sleeping: Array<Deferred.Deferred<void>> = []
  const state = { millis: 0 }
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => state.millis,
    currentTimeMillis: Effect.sync(() => state.millis),
    currentTimeNanosUnsafe: () => BigInt(state.millis) * 1_000_000n,
    currentTimeNanos: Effect.sync(() => BigInt(state.millis) * 1_000_000n),
    monotonicTimeNanosUnsafe: () => BigInt(state.millis) * 1_000_000n,
    monotonicTimeNanos: Effect.sync(() => BigInt(state.millis) * 1_000_000n),
    sleep: () =>
      Effect.suspend(() => {
        const deferred = Deferred.makeUnsafe<void>()
        sleeping.push(deferred)
        return Deferred.await(deferred)
      })
  }
  /** The timer that is set fires now. */
  const fireAt = Effect.fnUntraced(function*(millis: number) {
    state.millis = millis
    const last = sleeping.at(-1)
    assert.isDefined(last, "no timer is set")
    Deferred.doneUnsafe(last, Effect.void)
    for (let n = 0; n < 5; n++) yield* Effect.yieldNow
  })
  return { clock, fireAt, state }
}

const command = () => new PendingCommand(commands.stats, { head: "stats" }, undefined)

const make = Effect.gen(function*() {
  const { clock, fireAt, state } = clockOfATest()
  const silences: Array<number> = []
  const context = Context.add(yield* Effect.context(), Clock.Clock, clock)
  const timer = new SilenceTimer(1000, () => silences.push(clock.currentTimeMillisUnsafe()), context)
  return { fireAt, silences, state, timer }
})

describe("the timer of a connection", () => {
  it.live("that fires in time tells at once", () =>
    Effect.gen(function*() {
      const { fireAt, silences, timer } = yield* make
      timer.arm(command())
      yield* fireAt(1000)
      assert.deepStrictEqual(silences, [1000])
    }))

  it.live("that fires late lets answers in that are already there", () =>
    Effect.gen(function*() {
      const { fireAt, silences, timer } = yield* make
      timer.arm(command())
      yield* fireAt(5000)
      assert.deepStrictEqual(silences, [])
      const next = command()
      timer.onProgress(10, next)
      yield* fireAt(5100)
      assert.deepStrictEqual(silences, [], "the next command has its own time")
      yield* fireAt(6000)
      assert.deepStrictEqual(silences, [6000])
    }))

  it.live("that fires late again tells, though answers may come: it gives time once", () =>
    Effect.gen(function*() {
      const { fireAt, silences, timer } = yield* make
      timer.arm(command())
      yield* fireAt(5000)
      yield* fireAt(9000)
      assert.deepStrictEqual(silences, [9000])
    }))

  it.live("that fires late, and hears nothing, tells a moment later", () =>
    Effect.gen(function*() {
      const { fireAt, silences, timer } = yield* make
      timer.arm(command())
      yield* fireAt(5000)
      yield* fireAt(5100)
      assert.deepStrictEqual(silences, [5100])
    }))

  it.live("knows for how long the oldest command has gone unanswered", () =>
    Effect.gen(function*() {
      const { state, timer } = yield* make
      assert.strictEqual(timer.owedMillis, undefined)
      state.millis = 100
      timer.arm(command())
      assert.strictEqual(timer.owedMillis, 0)
      state.millis = 400
      assert.strictEqual(timer.owedMillis, 300)
      timer.onProgress(10, command())
      assert.strictEqual(timer.owedMillis, 0)
      state.millis = 500
      timer.onProgress(10, undefined)
      assert.strictEqual(timer.owedMillis, undefined)
    }))
})
