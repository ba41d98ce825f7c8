/**
 * The sink of a tube: how much it pulls, what it gives, and what is known when it fails.
 */
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Queue, Schema, type Sink, Stream } from "effect"
import { Client, type Errors, Server, Tube } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { onFleet, settle } from "../fleet/Fleets.ts"
import { quietly } from "../support/Fixture.ts"
import { areIn } from "../support/Workplace.ts"

const Numbers = Tube.make("numbers", { schema: Schema.Int, priority: 7 })
const Wrong = Tube.make("numbers", { codec: "text", client: 5 as never })

const WINDOW = 512
const CHUNK = 16
const KEPT = 10_000

/** Whole numbers, one after the other and without end, and what has been seen of them. */
const counting = (isWrong: (n: number) => boolean = () => false) => {
  const seen = { pulled: 0, isEnded: false }
  const numbers = function*() {
    while (true) yield isWrong(seen.pulled++) ? 0.5 : seen.pulled - 1
  }
  const stream = Stream.fromIterable(numbers(), { chunkSize: CHUNK }).pipe(
    Stream.ensuring(Effect.sync(() => {
      seen.isEnded = true
    }))
  )
  return { seen, stream }
}

const onServer = <A, E>(
  test: (server: Server.Service) => Effect.Effect<A, E, Client.Beanstalkd | Server.Server>
) => Effect.flatMap(Server.Server, test).pipe(Effect.provide(Server.layerMemory()), quietly)

const run = (stream: Stream.Stream<number>, options?: Client.PutOptions) => Stream.run(stream, Numbers.sink(options))

describe("the sink of a tube", () => {
  it("gives a number, and fails as putAll does", () => {
    expectTypeOf(Numbers.sink).returns.toEqualTypeOf<
      Sink.Sink<number, number, never, Errors.PutAllError, Client.Beanstalkd>
    >()
  })

  it.effect("puts what the stream gives, in order and with the options, and gives the number", () =>
    onServer(Effect.fnUntraced(function*() {
      assert.strictEqual(yield* run(Stream.range(1, 2_000), { delay: "1 hour" }), 2_000)
      assert.deepInclude(yield* Numbers.stats, { currentJobsDelayed: 2_000 })
      assert.strictEqual(yield* run(Stream.range(1, 3)), 3)
      assert.strictEqual((yield* Numbers.peekReady).value, 1)
      assert.strictEqual(yield* run(Stream.empty), 0)
    })))

  it.effect("can be one of several sinks of a stream, or take a part of it", () =>
    onServer(Effect.fnUntraced(function*() {
      const { stream } = counting()
      assert.strictEqual(yield* run(Stream.take(stream, 40)), 40)
      assert.strictEqual((yield* Numbers.stats).currentJobsReady, 40)
    })))

  it.effect("pulls no more than a window, and a chunk, ahead of the answers", () =>
    onServer(Effect.fnUntraced(function*({ injectFaults }) {
      const { seen, stream } = counting()
      yield* Numbers.put(0)
      yield* injectFaults({ mute: true })
      const running = yield* Effect.forkChild(run(stream))
      yield* settle
      assert.isAtLeast(seen.pulled, WINDOW)
      assert.isAtMost(seen.pulled, WINDOW + CHUNK)
      yield* Fiber.interrupt(running)
    })))

  it.effect("stops at the first failure: it awaits what is on its way, and tells what was put", () =>
    onServer(Effect.fnUntraced(function*() {
      const { seen, stream } = counting((n) => n === 1_000)
      const error = yield* Effect.flip(run(stream))
      assert.deepInclude(error, { _tag: "PutAllError", omitted: 0 })
      assert.deepInclude(error.cause, { _tag: "InvalidArgument", value: 0.5 })
      assert.isTrue(seen.isEnded)
      assert.isAtMost(seen.pulled, 1_000 + WINDOW + CHUNK)
      assert.isAtLeast(error.inserted.length, 1_000)
      assert.strictEqual((yield* Numbers.stats).totalJobs, error.inserted.length)
      assert.strictEqual(new Set(error.inserted.map(String)).size, error.inserted.length)
    })))

  it.effect.each(["sink", "putAll"] as const)(
    "fails although the stream has become quiet: %s",
    (member) =>
      onServer(Effect.fnUntraced(function*({ drain }) {
        const queue = yield* Queue.unbounded<number>()
        const numbers = Stream.fromQueue(queue)
        const putting = yield* Effect.forkChild(member === "sink" ? run(numbers) : Numbers.putAll(numbers))
        yield* Queue.offer(queue, 1)
        yield* settle
        yield* drain
        yield* Queue.offer(queue, 2)
        const { cause, inserted } = yield* Effect.flip(Fiber.join(putting))
        assert.deepStrictEqual([cause._tag, inserted.length], ["Draining", 1])
      }))
  )

  it.effect("pulls nothing more once the stream has ended", () =>
    onServer(Effect.fnUntraced(function*() {
      let pulls = 0
      const pull = Effect.suspend(() =>
        ++pulls === 1 ? Effect.delay(Effect.succeed([1, 2] as const), 10) : Cause.done()
      )
      const running = yield* Effect.forkChild(run(Stream.fromPull(Effect.succeed(pull))))
      yield* settle
      yield* TestClock.adjust(10)
      assert.deepStrictEqual([yield* Fiber.join(running), pulls], [2, 2])
    })))

  it.effect("keeps the references of the last jobs only, and counts the others", () =>
    onServer(Effect.fnUntraced(function*() {
      const last = 2 * KEPT + 1_000
      const error = yield* Effect.flip(run(counting((n) => n === last).stream))
      const { totalJobs } = yield* Numbers.stats
      assert.deepStrictEqual([error.inserted.length, error.omitted], [KEPT, totalJobs - KEPT])
      assert.strictEqual(Math.max(...error.inserted.map(({ id }) => id)), totalJobs)
      assert.include(error.message, `put stopped after ${totalJobs} jobs: put: value must be`)
    })))

  it.effect("ends at once when it is interrupted, though puts are on their way, and its stream with it", () =>
    onServer(Effect.fnUntraced(function*({ injectFaults }) {
      const { seen, stream } = counting()
      yield* Numbers.put(0)
      yield* injectFaults({ mute: true })
      const running = yield* Effect.forkChild(run(stream))
      yield* settle
      yield* Fiber.interrupt(running)
      assert.isTrue(seen.isEnded)
      const { pulled } = seen
      yield* injectFaults({})
      yield* settle
      assert.strictEqual(seen.pulled, pulled)
    })))

  it.effect("passes on what its stream fails with", () =>
    onServer(Effect.fnUntraced(function*() {
      const broken = Stream.concat(Stream.make(1, 2), Stream.fail("broken"))
      assert.strictEqual(yield* Effect.flip(Stream.run(broken, Numbers.sink())), "broken")
    })))

  it.effect("checks its options, though there is nothing to put", () =>
    onServer(Effect.fnUntraced(function*() {
      const { cause, inserted } = yield* Effect.flip(run(Stream.empty, { priority: -1 }))
      assert.deepStrictEqual(inserted, [])
      assert.deepInclude(cause, { _tag: "InvalidArgument", operation: "put", argument: "priority" })
    })))

  it.effect("fails with what Tube.make has refused", () =>
    onServer(Effect.fnUntraced(function*() {
      const { cause, inserted } = yield* Effect.flip(Stream.run(Stream.make("x"), Wrong.sink()))
      assert.deepStrictEqual(inserted, [])
      assert.strictEqual(cause.message, "Tube.make: client must be the tag of a client, got 5")
    })))

  it.effect("can be run again, and by several streams at a time", () =>
    onServer(Effect.fnUntraced(function*(server) {
      const sink = Numbers.sink()
      const counts = yield* Effect.forEach([100, 200, 300], (n) => Stream.run(Stream.range(1, n), sink), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(counts, [100, 200, 300])
      yield* server.drain
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Stream.run(Stream.make(1), sink))))
    })))

  it.effect("fills all servers of a fleet, and stops when none takes jobs", () =>
    onFleet(3, (fleet, ...machines) =>
      Effect.gen(function*() {
        const queue = yield* Queue.unbounded<number>()
        const offer = (count: number) => Queue.offerAll(queue, Array.from({ length: count }, (_, i) => i))
        const running = yield* Effect.forkChild(run(Stream.fromQueue(queue)))
        yield* offer(3_000)
        yield* settle
        yield* areIn(fleet, { ready: 3_000 }, "numbers")
        for (const { clientOptions } of machines) {
          const { statsTube } = yield* Client.make(clientOptions)
          assert.isAbove((yield* statsTube("numbers")).currentJobsReady, 0)
        }
        yield* machines[0]!.drain
        yield* offer(1_000)
        yield* settle
        yield* areIn(fleet, { ready: 4_000 }, "numbers")
        yield* Effect.forEach(machines, ({ drain }) => drain)
        yield* offer(1)
        yield* settle
        // The patience of the fleet.
        yield* TestClock.adjust("10 seconds")
        const { cause, inserted } = yield* Effect.flip(Fiber.join(running))
        assert.deepInclude(cause, { _tag: "BeanstalkdError", sent: false })
        assert.include(cause.message, "draining")
        assert.strictEqual(new Set(inserted.map(String)).size, 4_000)
      })))
})
