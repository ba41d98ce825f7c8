/**
 * Leases that are kept: which jobs, until when, and with a touch at which moment.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Stream } from "effect"
import { Consumer, Errors, Protocol } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { LeaseKeeper } from "../../src/internal/consumer/leaseKeeper.ts"
import type { ReservedJob } from "../../src/internal/job/reservedJob.ts"
import { onMemory } from "../support/Fixture.ts"
import { TUBE } from "../support/Workplace.ts"

const make = Effect.gen(function*() {
  const fork = Effect.runForkWith(yield* Effect.context())
  return new LeaseKeeper(20_000, yield* Clock.Clock, fork)
})

const id = Protocol.JobId.make(1)

/** A job that notes when it is touched, in milliseconds; `ttr` is in seconds, and undefined if the server has no such job. */
const makeJob = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  return (ttr: number | undefined) => {
    const touches: Array<number> = []
    const state = { isOver: false, isLost: false }
    const job = {
      get isOver() {
        return state.isOver
      },
      known: undefined,
      inspect: (resume: (exit: Exit.Exit<unknown, unknown>) => void) =>
        resume(
          ttr === undefined
            ? Exit.fail(new Errors.NotFound({ command: "stats-job", server: "here", id }))
            : Exit.succeed({ ttr })
        ),
      lose: () => {
        state.isLost = state.isOver = true
      },
      touch: Effect.sync(() => {
        touches.push(clock.currentTimeMillisUnsafe())
      })
    }
    return { job: job as unknown as ReservedJob, state, touches }
  }
})

describe("a lease that is kept", () => {
  it.effect("is touched at each half of its time, and not a millisecond sooner or later", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("12345 millis")
      const leases = yield* make
      const { job, touches } = (yield* makeJob)(10)
      leases.add(job)
      yield* TestClock.adjust("21 seconds")
      assert.deepStrictEqual(touches, [5000, 10_000, 15_000, 20_000].map((millis) => 12_345 + millis))
      assert.isTrue(leases.has(job))
    }))

  it.effect("is touched at each touch interval if that is shorter than half of its time", () =>
    Effect.gen(function*() {
      const leases = yield* make
      const { job, touches } = (yield* makeJob)(120)
      leases.add(job)
      yield* TestClock.adjust("65 seconds")
      assert.deepStrictEqual(touches, [20_000, 40_000, 60_000])
    }))

  it.effect("counts from when the job came, though others came before", () =>
    Effect.gen(function*() {
      const leases = yield* make
      const jobOf = yield* makeJob
      const [first, second, third] = [jobOf(1), jobOf(2), jobOf(3)]
      for (const { job } of [first, second, third]) {
        leases.add(job)
        yield* TestClock.adjust("100 millis")
      }
      yield* TestClock.adjust("1800 millis")
      assert.deepStrictEqual([first.touches, second.touches, third.touches], [[500, 1000, 1500, 2000], [1100, 2100], [
        1700
      ]])
    }))

  it.effect("is forgotten when it is removed, young or old, and touched no more", () =>
    Effect.gen(function*() {
      const leases = yield* make
      const jobOf = yield* makeJob
      const young = jobOf(10)
      const old = jobOf(10)
      leases.add(old.job)
      yield* TestClock.adjust("6 seconds")
      leases.add(young.job)
      assert.deepStrictEqual([leases.has(young.job), leases.has(old.job)], [true, true])
      leases.remove(young.job)
      leases.remove(old.job)
      assert.deepStrictEqual([leases.has(young.job), leases.has(old.job)], [false, false])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([young.touches, old.touches], [[], [5000]])
    }))

  it.effect("is forgotten when the server has no such job any more, which loses it", () =>
    Effect.gen(function*() {
      const leases = yield* make
      const { job, state, touches } = (yield* makeJob)(undefined)
      leases.add(job)
      yield* TestClock.adjust("249 millis")
      assert.deepStrictEqual([leases.has(job), state.isLost], [true, false])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([leases.has(job), state.isLost], [false, true])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(touches, [])
    }))

  it.effect("is not touched after its job is settled, and not asked about if that took but a moment", () =>
    Effect.gen(function*() {
      const leases = yield* make
      const jobOf = yield* makeJob
      const quick = jobOf(undefined)
      const slow = jobOf(10)
      leases.add(quick.job)
      leases.add(slow.job)
      quick.state.isOver = true
      yield* TestClock.adjust("3 seconds")
      slow.state.isOver = true
      yield* TestClock.adjust("1 minute")
      assert.isFalse(quick.state.isLost)
      // The one that was due when it was settled is answered NOT_FOUND.
      assert.isAtMost(slow.touches.length, 1)
      assert.deepStrictEqual([leases.has(quick.job), leases.has(slow.job)], [false, false])
    }))
})

describe("a job of a stream", () => {
  it.effect("is kept while it waits to be pulled, and from then on no longer", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, ["a", "b"], { ttr: "10 seconds" })
      const pull = yield* Stream.toPull(Consumer.stream(TUBE))
      const [first] = yield* pull
      yield* first.delete
      yield* TestClock.adjust("20 seconds")
      const [second] = yield* pull
      assert.deepInclude(yield* second.stats, { state: "reserved", reserves: 1, timeouts: 0 })
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Effect.flip(second.delete))._tag, "NotFound")
    })))
})
