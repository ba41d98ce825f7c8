/**
 * Jobs that may have ended a process, or whose lease ran out: they run alone, and none is given up for what others did.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Latch, Schedule, type Scope, Stream } from "effect"
import { Client, Tube, Worker } from "effect-beanstalkd"
import { commands } from "effect-beanstalkd/Protocol"
import { TestClock } from "effect/testing"
import { Isolation, type Suspect } from "../../src/internal/worker/isolation.ts"
import { moody } from "../pool/Moody.ts"
import { describeServers } from "../support/AnyServer.ts"
import { eventually } from "../support/Eventually.ts"
import { onMemory, onServer } from "../support/Fixture.ts"
import { areIn, silently, statesOf, TUBE, work } from "../support/Workplace.ts"

/** Has these jobs reserved so often by a connection that is closed then, as when a process dies. */
const crash = Effect.fnUntraced(function*(beanstalkd: Client.Service, times: number, jobs = 1) {
  for (let n = 0; n < times; n++) {
    yield* Effect.scoped(Effect.gen(function*() {
      const connection = yield* beanstalkd.connection
      yield* connection.watch(TUBE)
      for (let job = 0; job < jobs; job++) yield* connection.run(commands.reserveWithTimeout, 0)
    }))
  }
})

/** Handlers that note when they begin and end, and how many run at most. */
const noting = (millis: (value: string) => number) => {
  const notes: Array<string> = []
  let running = 0
  const together: Array<number> = []
  const handler = (value: string) =>
    Effect.gen(function*() {
      together.push(++running)
      notes.push(`${(yield* Clock.currentTimeMillis) / 1000} ${value}`)
      yield* Effect.sleep(millis(value))
    }).pipe(Effect.ensuring(Effect.sync(() => running--)))
  return { notes, together, handler }
}

describe("a suspect", () => {
  it.effect("is run at once by a worker that has nothing else to do", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { handler, notes } = noting(() => 1000)
      yield* beanstalkd.put(TUBE, "suspect")
      yield* crash(beanstalkd, 1)
      yield* work(handler, { concurrency: 4 })
      assert.deepStrictEqual(notes, ["0 suspect"])
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, {})
    })))

  it.effect("is given up as maxCrashes says, also where there is no end to its attempts", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { handler, notes } = noting(() => 1000)
      yield* beanstalkd.put(TUBE, "suspect")
      yield* crash(beanstalkd, 2)
      yield* work(handler, { maxAttempts: Infinity, maxCrashes: 2 })
      yield* areIn(beanstalkd, { buried: 1 })
      assert.deepStrictEqual(notes, [])
    })))

  it.effect("waits until the others have ended, and no other begins before it is done", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { handler, notes } = noting(() => 10_000)
      yield* beanstalkd.put(TUBE, "suspect", { priority: 1 })
      yield* crash(beanstalkd, 1)
      yield* beanstalkd.put(TUBE, "first", { priority: 0 })
      yield* work(handler, { concurrency: 3 })
      yield* beanstalkd.put(TUBE, "later", { priority: 2 })
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(notes, ["0 first"])
      yield* areIn(beanstalkd, { ready: 1, reserved: 2 })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(notes, ["0 first", "10 suspect"])
      yield* areIn(beanstalkd, { ready: 1, reserved: 1 })
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(notes, ["0 first", "10 suspect", "20 later"])
      yield* areIn(beanstalkd, {})
    })))

  it.effect.each([20, 40])(
    "of %i seconds has a job held that another worker was waiting for, until it is over or 30 seconds long",
    (seconds) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
        const { handler, notes } = noting((value) => value === "suspect" ? seconds * 1000 : 0)
        const Other = Tube.make("other", { codec: "text" })
        yield* Effect.forkScoped(
          Worker.run(Other, handler, { shutdownTimeout: 0, crashGuard: false }),
          { startImmediately: true }
        )
        yield* server.awaitReservers("other")
        yield* beanstalkd.put(TUBE, "suspect")
        yield* crash(beanstalkd, 1)
        yield* work(handler)
        const { id } = yield* beanstalkd.put("other", "later", { ttr: "1 second" })
        yield* TestClock.adjust("19 seconds")
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "reserved", reserves: 1, timeouts: 0 })
        yield* TestClock.adjust("12 seconds")
        assert.strictEqual(notes.length, seconds === 20 ? 2 : 1)
        if (seconds === 40) {
          assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", reserves: 1, releases: 1 })
        }
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(notes, ["0 suspect", `${seconds} later`])
        yield* areIn(beanstalkd, {}, "other")
      }))
  )

  it.effect("lets go of the jobs that are held when their worker shuts down", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const Other = Tube.make("other", { codec: "text" })
      const other = yield* Effect.forkScoped(Worker.run(Other, () => Effect.void, { shutdownTimeout: "1 hour" }), {
        startImmediately: true
      })
      yield* server.awaitReservers("other")
      yield* beanstalkd.put(TUBE, "suspect")
      yield* crash(beanstalkd, 1)
      yield* work(() => Effect.never)
      yield* beanstalkd.put("other", "later")
      yield* areIn(beanstalkd, { reserved: 1 }, "other")
      yield* Fiber.interrupt(other)
      yield* areIn(beanstalkd, { ready: 1 }, "other")
    })))

  it.effect("does not keep a worker from its end whose job was held for it, and is lost", () =>
    Effect.gen(function*() {
      const { cut, dialer, server } = yield* moody()
      const beanstalkd = yield* Client.make(server.clientOptions)
      const Other = Tube.make("other", { codec: "text" })
      const other = yield* Effect.provideServiceEffect(
        Effect.forkScoped(Worker.run(Other, () => Effect.void, { shutdownTimeout: "1 hour" }), {
          startImmediately: true
        }),
        Client.Beanstalkd,
        Client.make({ dialer })
      )
      yield* server.awaitReservers("other")
      yield* beanstalkd.put(TUBE, "suspect")
      yield* crash(beanstalkd, 1)
      yield* Effect.provideService(work(() => Effect.never), Client.Beanstalkd, beanstalkd)
      yield* beanstalkd.put("other", "later")
      yield* areIn(beanstalkd, { reserved: 1 }, "other")
      yield* cut
      yield* areIn(beanstalkd, { ready: 1 }, "other")
      yield* Effect.forkScoped(Fiber.interrupt(other), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.isDefined(other.pollUnsafe())
    }).pipe(Effect.scoped, silently))

  it.effect("runs alone among all workers of its process", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { handler, notes } = noting(() => 10_000)
      const Other = Tube.make("other", { codec: "text" })
      yield* beanstalkd.put(TUBE, "suspect")
      yield* crash(beanstalkd, 1)
      yield* beanstalkd.putAll("other", ["a", "b"])
      yield* Effect.forkScoped(Worker.run(Other, handler, { shutdownTimeout: 0 }), { startImmediately: true })
      yield* work(handler)
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(notes, ["0 a", "10 suspect", "20 b"])
    })))

  it.effect("comes again after 2 to the power of its crashes while another one has its turn", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const { handler, notes, together } = noting(() => 3500)
      const suspects = (yield* beanstalkd.putAll(TUBE, ["a", "b"])).map(({ id }) => id)
      yield* crash(beanstalkd, 2, 2)
      // The second one is reserved before it is known that the first one is a suspect.
      yield* server.injectFaults({ delay: "10 millis" })
      yield* work(handler, { concurrency: 4 })
      yield* TestClock.adjust("500 millis")
      yield* server.injectFaults({})
      yield* TestClock.adjust("100 millis")
      const states = yield* Effect.forEach(suspects, (id) => beanstalkd.statsJob(id))
      assert.deepStrictEqual(states.map(({ delay, state }) => [state, delay]), [["reserved", 0], ["delayed", 4]])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(notes.map((note) => note.slice(-1)), ["a", "b"])
      assert.deepStrictEqual(together, [1, 1])
    })))

  it.effect("goes back when the others do not end within 30 seconds, and is not waited for again until they do", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const goOn = yield* Latch.make()
      const notes: Array<string> = []
      yield* beanstalkd.put(TUBE, "suspect", { priority: 1 })
      yield* crash(beanstalkd, 1)
      yield* beanstalkd.put(TUBE, "hangs", { priority: 0 })
      yield* work(
        (value) => Effect.andThen(Effect.sync(() => notes.push(value)), value === "hangs" ? goOn.await : Effect.void),
        { concurrency: 2 }
      )
      yield* beanstalkd.putAll(TUBE, ["good", "good"], { priority: 2 })
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(notes, ["hangs"])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(notes, ["hangs", "good", "good"])
      yield* TestClock.adjust("10 seconds")
      yield* beanstalkd.put(TUBE, "good")
      assert.deepStrictEqual(notes, ["hangs", "good", "good", "good"])
      yield* goOn.open
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(notes, ["hangs", "good", "good", "good", "suspect"])
      yield* areIn(beanstalkd, {})
    })))

  it.effect("runs among the others if it is told so", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { handler, together } = noting(() => 1000)
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c"])
      yield* crash(beanstalkd, 1, 3)
      yield* work(handler, { concurrency: 3, isolateSuspects: false })
      assert.deepStrictEqual(together, [1, 2, 3])
    })))

  it.effect("whose lease ran out five times is run, and given up only when its handler has failed as often as it may", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      let runs = 0
      const { id } = yield* beanstalkd.put(TUBE, "hello", { ttr: "1 second" })
      const connection = yield* beanstalkd.connection
      yield* connection.watch(TUBE)
      for (let n = 0; n < 5; n++) {
        yield* connection.run(commands.reserveWithTimeout, 0)
        yield* TestClock.adjust("2 seconds")
      }
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", reserves: 5, timeouts: 5 })
      yield* work(() => Effect.andThen(Effect.sync(() => runs++), Effect.fail("no")), { maxAttempts: 7 })
      assert.strictEqual(runs, 1)
      yield* areIn(beanstalkd, { delayed: 1 })
      yield* TestClock.adjust("1 hour")
      yield* areIn(beanstalkd, { buried: 1 })
      assert.strictEqual(runs, 2)
    })))

  it.effect("that waits for its turn is released at once by a shutdown", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "suspect", { priority: 1 })
      yield* crash(beanstalkd, 1)
      yield* beanstalkd.put(TUBE, "first", { priority: 0 })
      const worker = yield* work((value) => value === "first" ? Effect.never : Effect.void, { concurrency: 2 })
      yield* areIn(beanstalkd, { reserved: 2 })
      yield* Fiber.interrupt(worker)
      yield* areIn(beanstalkd, { ready: 2 })
    })))

  it.effect("whose lease is lost while it waits holds nobody up", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const { handler, notes } = noting((value) => value === "first" ? 20_000 : 0)
      yield* beanstalkd.put(TUBE, "suspect", { priority: 1 })
      yield* crash(beanstalkd, 1)
      yield* beanstalkd.put(TUBE, "first", { priority: 0 })
      const worker = yield* work(handler, { concurrency: 2 })
      yield* areIn(beanstalkd, { reserved: 2 })
      yield* server.dropConnections
      yield* TestClock.adjust("1 minute")
      yield* areIn(beanstalkd, {})
      assert.include(notes.join(), "suspect")
      yield* Fiber.interrupt(worker)
    })))
})

describe("the isolation of a process", () => {
  it("waits no longer for the turn of a suspect that has left, so the next one has all of its time", () => {
    const isolation = new Isolation()
    isolation.join({ jobs: () => ["a suspect", "another job"].map(Object), resume: () => {} })
    const timers = new Map<string, () => void>()
    const refused: Array<string> = []
    const suspect = (name: string): Suspect => ({
      onTurn: () => {},
      onRefused: () => void refused.push(name),
      wait: (onTimeout) => {
        timers.set(name, onTimeout)
        return () => void timers.delete(name)
      }
    })
    const first = suspect("first")
    isolation.enter(first)
    isolation.leave(first)
    isolation.enter(suspect("second"))
    assert.deepStrictEqual([...timers.keys()], ["second"])
    timers.get("second")!()
    assert.deepStrictEqual(refused, ["second"])
  })
})

describeServers("a job", (target) => {
  const on = <A, E>(
    test: (beanstalkd: Client.Service) => Effect.Effect<A, E, Client.Beanstalkd | Scope.Scope>
  ): Effect.Effect<A, unknown, Scope.Scope> =>
    Effect.flatMap(
      onServer(target)(),
      ({ beanstalkd }) => Effect.provideService(silently(test(beanstalkd)), Client.Beanstalkd, beanstalkd)
    )

  const reasons: Record<string, {
    readonly body: string
    readonly crashes?: number
    readonly options: Worker.Options<string, "no", never>
  }> = {
    "for its attempts": { body: "fails", options: { maxAttempts: 2, retrySchedule: Schedule.spaced(0) } },
    "for its crashes": { body: "fails", crashes: 3, options: { maxAttempts: 1 } },
    "for what retryIf says": { body: "fails", options: { retryIf: () => false } },
    "at the end of the Schedule": { body: "fails", options: { retrySchedule: Schedule.recurs(0) } },
    "for a defect": { body: "dies", options: { onDefect: "bury" } }
  }

  it.live.each(Object.entries(reasons))(
    "that was given up %s runs once more with each kick",
    ([, reason]) =>
      on(Effect.fnUntraced(function*(beanstalkd) {
        let runs = 0
        const { id } = yield* beanstalkd.put(TUBE, reason.body)
        yield* crash(beanstalkd, reason.crashes ?? 0)
        yield* work((value) => {
          runs++
          return value === "dies" ? Effect.die("a defect") : Effect.fail("no" as const)
        }, reason.options)
        yield* eventually(areIn(beanstalkd, { buried: 1 }))
        assert.strictEqual(runs, reason.crashes === undefined ? reason.options.maxAttempts ?? 1 : 0)
        for (let kick = 1; kick <= 3; kick++) {
          const before = runs
          yield* beanstalkd.kickJob(id)
          yield* eventually(
            Effect.map(beanstalkd.statsJob(id), (stats) => assert.deepInclude(stats, { state: "buried", kicks: kick }))
          )
          assert.strictEqual(runs, before + 1)
        }
      }))
  )

  it.live("that was released 50 times is run, and given up only when its handler has failed", () =>
    on(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      for (let n = 0; n < 50; n++) {
        yield* Effect.scoped(Effect.flatMap(beanstalkd.reserve(TUBE), (job) => job.release()))
      }
      const done = yield* Latch.make()
      yield* work(() => done.open)
      yield* done.await
      yield* eventually(areIn(beanstalkd, {}))
    })))

  it.live("that 20 graceful shutdowns have given back is run to its end, and none of them counts as a crash", () =>
    on(Effect.fnUntraced(function*(beanstalkd) {
      const { id } = yield* beanstalkd.put(TUBE, "hello")
      for (let n = 0; n < 20; n++) {
        const began = yield* Latch.make()
        const worker = yield* work(() => Effect.andThen(began.open, Effect.never))
        yield* began.await
        yield* Fiber.interrupt(worker)
      }
      assert.deepInclude(yield* beanstalkd.statsJob(id), { reserves: 20, releases: 20 })
      const done = yield* Latch.make()
      yield* work(() => done.open)
      yield* done.await
      yield* eventually(areIn(beanstalkd, {}))
    })))

  it.live("that a stream has given back at its end has not crashed", () =>
    on(Effect.fnUntraced(function*(beanstalkd) {
      const { id } = yield* beanstalkd.put(TUBE, "hello")
      const Texts = Tube.make(TUBE, { codec: "text" })
      for (let n = 0; n < 3; n++) {
        const began = yield* Latch.make()
        const reading = yield* Effect.forkScoped(
          Stream.runForEach(Texts.stream(), () => Effect.andThen(began.open, Effect.never))
        )
        yield* began.await
        yield* Fiber.interrupt(reading)
      }
      assert.deepInclude(yield* beanstalkd.statsJob(id), { reserves: 3, releases: 3 })
      assert.deepStrictEqual(yield* statesOf(beanstalkd), { ready: 1, reserved: 0, delayed: 0, buried: 0 })
    })))
})
