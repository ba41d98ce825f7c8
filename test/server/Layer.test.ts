/**
 * The layer with a server in memory and its client: a test may fork and set its clock forward at once, and may end, or fail,
 * whatever its fibers are doing.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber } from "effect"
import { Client, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"

const TUBE = "work"

const onFreshServer = <A, E>(test: Effect.Effect<A, E, Client.Beanstalkd | Server.Server>) =>
  Effect.provide(test, Server.layerMemory())

/** How it ended, and when, if the clock is set forward in the moment after it was forked. */
const forked = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const ended = effect.pipe(
    Effect.matchEffect({
      onFailure: (error) => Effect.map(Clock.currentTimeMillis, (at) => [at, error] as const),
      onSuccess: (value) => Effect.map(Clock.currentTimeMillis, (at) => [at, value] as const)
    })
  )
  const fiber = yield* Effect.forkChild(ended)
  yield* TestClock.adjust("1 hour")
  return yield* Fiber.join(fiber)
})

describe("in a test that sets its clock forward at once", () => {
  it.effect("a reserve that does not wait is over at once", () =>
    onFreshServer(Effect.gen(function*() {
      const beanstalkd = yield* Client.Beanstalkd
      const [at, error] = yield* forked(Effect.scoped(beanstalkd.reserve(TUBE, { timeout: 0 })))
      assert.strictEqual(at, 0)
      assert.propertyVal(error, "_tag", "TimedOut")
    })))

  it.effect("a job that is ready is reserved at once, and its time to run counts from then", () =>
    onFreshServer(Effect.gen(function*() {
      const beanstalkd = yield* Client.Beanstalkd
      const { id } = yield* beanstalkd.put(TUBE, "hello", { ttr: "5 seconds" })
      const holder = yield* Effect.forkChild(Effect.scoped(Effect.andThen(beanstalkd.reserve(TUBE), Effect.never)))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "reserved", timeLeft: 3 })
      yield* TestClock.adjust("4 seconds")
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", reserves: 1, timeouts: 1 })
      yield* Fiber.interrupt(holder)
    })))

  it.effect("more fibers than there are connections time out when they should", () =>
    onFreshServer(Effect.gen(function*() {
      const beanstalkd = yield* Client.Beanstalkd
      const reserve = Effect.scoped(Effect.flip(beanstalkd.reserve(TUBE, { timeout: "5 seconds" })))
      const [at, errors] = yield* forked(Effect.all(Array.from({ length: 12 }, () => reserve), { concurrency: 12 }))
      assert.strictEqual(at, 5000)
      assert.deepStrictEqual((errors as ReadonlyArray<unknown>).map(tag), Array.from({ length: 12 }, () => "TimedOut"))
    })))
})

const tag = (error: unknown) => (error as { readonly _tag: string })._tag

describe("a test that is over", () => {
  const holders: Record<string, Effect.Effect<unknown, unknown, Client.Beanstalkd>> = {
    "holds a job": Effect.scoped(
      Effect.flatMap(Client.Beanstalkd, (beanstalkd) => Effect.andThen(beanstalkd.reserve(TUBE), Effect.never))
    ),
    "waits for a job": Effect.scoped(
      Effect.flatMap(Client.Beanstalkd, (beanstalkd) => Effect.andThen(beanstalkd.reserve("other"), Effect.never))
    )
  }
  const forks = { forkChild: Effect.forkChild, forkDetach: Effect.forkDetach }
  for (const [what, holder] of Object.entries(holders)) {
    for (const [how, fork] of Object.entries(forks)) {
      it.effect(`ends although a fiber (${how}) ${what}`, () =>
        onFreshServer(Effect.gen(function*() {
          const beanstalkd = yield* Client.Beanstalkd
          yield* beanstalkd.put(TUBE, "hello")
          yield* fork(holder)
          yield* TestClock.adjust("1 second")
        })))

      it.effect(`fails although a fiber (${how}) ${what}`, () =>
        Effect.gen(function*() {
          const failing = Effect.gen(function*() {
            const beanstalkd = yield* Client.Beanstalkd
            yield* beanstalkd.put(TUBE, "hello")
            yield* fork(holder)
            yield* TestClock.adjust("1 second")
            return yield* Effect.fail("an assertion")
          })
          assert.deepStrictEqual(yield* Effect.exit(onFreshServer(failing)), Exit.fail("an assertion"))
        }))
    }
  }
})
