/**
 * The pauses between dials: what the Schedule says, what follows its end, and how often at most a server is dialed that
 * closes each connection before its first reply.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Schedule } from "effect"
import { Errors } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { DialBackoff } from "../../src/internal/pool/dialBackoff.ts"
import { start } from "../support/scripted/Peer.ts"

const failure = (reason: Errors.BeanstalkdErrorReason) =>
  new Errors.BeanstalkdError({ command: "connect", server: "nowhere", sent: false, reason })

const refusal = Effect.suspend(() => Effect.fail(failure(new Errors.OpenError({ cause: "refused" }))))
const closed = failure(new Errors.ConnectionClosed({ detail: "the server closed it" }))

const make = Effect.fnUntraced(function*(reconnect: Schedule.Schedule<unknown, Errors.BeanstalkdError>) {
  const backoff = new DialBackoff(reconnect, yield* Clock.Clock)
  const times: Array<number> = []
  const dialed = Effect.map(Clock.currentTimeMillis, (now) => {
    times.push(now)
  })
  return {
    backoff,
    /** The times of the dials. */
    times,
    /** A dial that succeeds. */
    open: backoff.dial(dialed),
    refused: backoff.dial(Effect.andThen(dialed, refusal)),
    /** A dial whose connection the server closes at once. */
    closed: Effect.map(backoff.dial(dialed), () => backoff.onClosedBeforeFirstReply(closed)),
    /** The same, and it begins the Schedule anew if that has ended. */
    closedAnew: Effect.suspend(() => {
      backoff.beginAnew()
      return Effect.map(backoff.dial(dialed), () => backoff.onClosedBeforeFirstReply(closed))
    })
  }
})

/** Dials again and again, whatever comes of it. */
const forever = <E>(dial: Effect.Effect<void, E>) =>
  start(Effect.forever(Effect.andThen(Effect.exit(dial), Effect.sleep("1 millis"))))

const pass = (millis: number) => Effect.forEach(Array.from({ length: millis / 10 }), () => TestClock.adjust(10))

describe("a dial", () => {
  it.effect("waits for nothing while none has failed", () =>
    Effect.gen(function*() {
      const { open, times } = yield* make(Schedule.spaced("1 minute"))
      yield* Effect.replicateEffect(open, 20)
      assert.deepStrictEqual(times, Array.from({ length: 20 }, () => 0))
    }))

  it.effect("waits as the Schedule says after one that was refused", () =>
    Effect.gen(function*() {
      const { refused, times } = yield* make(Schedule.exponential("50 millis"))
      yield* forever(refused)
      yield* pass(2_000)
      assert.deepStrictEqual(times, [0, 50, 150, 350, 750, 1550])
    }))

  it.effect("that was refused is repeated without a pause if the Schedule says so", () =>
    Effect.gen(function*() {
      const { backoff, refused, times } = yield* make(Schedule.recurs(4))
      const exit = yield* Effect.exit(Effect.retry(refused, { while: (error) => !backoff.isFinal(error) }))
      assert.deepStrictEqual([Exit.isFailure(exit), times], [true, [0, 0, 0, 0, 0]])
    }))

  it.effect("has less to wait for when it is asked for later", () =>
    Effect.gen(function*() {
      const { open, refused, times } = yield* make(Schedule.spaced("1 second"))
      yield* Effect.exit(refused)
      yield* TestClock.adjust(700)
      yield* start(open)
      yield* TestClock.adjust(300)
      assert.deepStrictEqual(times, [0, 1000])
    }))

  it.effect("waits only for the rest of the pause in which another one was interrupted", () =>
    Effect.gen(function*() {
      const { open, refused, times } = yield* make(Schedule.exponential("1 second"))
      yield* Effect.exit(refused)
      const first = yield* start(open)
      yield* TestClock.adjust(400)
      yield* Fiber.interrupt(first)
      yield* start(open)
      yield* TestClock.adjust(600)
      assert.deepStrictEqual(times, [0, 1000])
    }))

  it.effect("goes out alone after a failure, and those that wait for it follow at once if it succeeds", () =>
    Effect.gen(function*() {
      const { open, refused, times } = yield* make(Schedule.spaced("1 second"))
      yield* Effect.exit(refused)
      const failing = yield* start(refused)
      const waiting = yield* Effect.replicateEffect(start(open), 5)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(times, [0, 1000])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(times, [0, 1000, ...Array.from({ length: 5 }, () => 2000)])
      yield* Fiber.await(failing)
      yield* Fiber.joinAll(waiting)
    }))

  it.effect("that succeeds after a failure frees those that waited for it to dial side by side", () =>
    Effect.gen(function*() {
      const { backoff, refused } = yield* make(Schedule.spaced("1 second"))
      yield* Effect.exit(refused)
      const slow = yield* Effect.replicateEffect(start(backoff.dial(Effect.sleep("3 seconds"))), 5)
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(slow.filter((dial) => dial.pollUnsafe() !== undefined).length, 1)
      assert.strictEqual(backoff.failure, undefined)
      assert.isTrue(backoff.awaitsReply)
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.joinAll(slow)
    }))

  it.effect("fails with the last failure once the Schedule has ended, until it is begun anew", () =>
    Effect.gen(function*() {
      const { backoff, refused, times } = yield* make(Schedule.recurs(1))
      for (const dials of [2, 4]) {
        assert.isFalse(backoff.isFinal(yield* Effect.flip(refused)))
        const last = yield* Effect.flip(refused)
        assert.isFalse(backoff.isFinal(last))
        for (let again = 0; again < 3; again++) {
          assert.strictEqual(yield* Effect.flip(refused), last)
          assert.deepStrictEqual([backoff.isFinal(last), times.length], [true, dials])
        }
        backoff.beginAnew()
      }
    }))

  it.effect("with options that are wrong is final, and no reason for others to wait", () =>
    Effect.gen(function*() {
      const { backoff, open, times } = yield* make(Schedule.spaced("1 minute"))
      const wrong = failure(
        new Errors.InvalidOptions({ operation: "connect", argument: "port", value: 0, rule: "a port" })
      )
      assert.isTrue(backoff.isFinal(yield* Effect.flip(backoff.dial(Effect.fail(wrong)))))
      yield* open
      assert.deepStrictEqual(times, [0])
    }))

  it.effect("waits for nothing once a connection has heard a reply", () =>
    Effect.gen(function*() {
      const { backoff, closed, open, times } = yield* make(Schedule.spaced("1 minute"))
      yield* closed
      backoff.onReply()
      yield* open
      yield* open
      assert.deepStrictEqual(times, [0, 0, 0])
    }))
})

describe("a server that closes each connection before its first reply", () => {
  const schedules: Record<string, Schedule.Schedule<unknown, Errors.BeanstalkdError>> = {
    "never pauses": Schedule.forever,
    "has ended before it began": Schedule.recurs(0),
    "ends after three dials": Schedule.recurs(3),
    "pauses for a millisecond": Schedule.spaced("1 millis"),
    "pauses for a millisecond, three times": Schedule.max([Schedule.spaced("1 millis"), Schedule.recurs(3)])
  }

  it.effect.each(Object.entries(schedules))("is dialed at most 10 times a second by a Schedule that %s", (
    [, schedule]
  ) =>
    Effect.gen(function*() {
      const { closedAnew, times } = yield* make(schedule)
      for (let n = 0; n < 5; n++) yield* forever(closedAnew)
      yield* pass(9_990)
      assert.isAtLeast(times.length, 50)
      for (let second = 0; second < 10; second++) {
        assert.isAtMost(times.filter((time) => Math.floor(time / 1000) === second).length, 10)
      }
    }))

  it.effect("is not dialed any more when the Schedule has ended", () =>
    Effect.gen(function*() {
      const { closed, times } = yield* make(Schedule.recurs(3))
      for (let n = 0; n < 5; n++) yield* forever(closed)
      yield* pass(10_000)
      assert.isAtMost(times.length, 5 + 3)
    }))

  it.effect("is dialed less often if the Schedule says so, however many dial", () =>
    Effect.gen(function*() {
      const { closed, times } = yield* make(Schedule.spaced("1 second"))
      for (let n = 0; n < 5; n++) yield* forever(closed)
      yield* pass(3_500)
      assert.deepStrictEqual(times.slice(-3), [1000, 2000, 3000])
    }))

  it.effect("is dialed no more often while it has yet to close what it has accepted", () =>
    Effect.gen(function*() {
      const { backoff, open, times } = yield* make(Schedule.spaced("1 second"))
      backoff.onClosedBeforeFirstReply(closed)
      for (let n = 0; n < 5; n++) yield* start(open)
      yield* pass(3_500)
      assert.deepStrictEqual(times, [1000, 2000, 3000])
    }))

  it.effect("waits no longer than a second because of many dials at once", () =>
    Effect.gen(function*() {
      const { closed, open, times } = yield* make(Schedule.forever)
      yield* Effect.replicateEffect(open, 100)
      yield* closed
      yield* start(open)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(times.at(-1), 1000)
    }))
})
