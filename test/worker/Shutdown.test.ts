/**
 * How a worker ends: because it is interrupted with jobs in flight, or because it cannot go on.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Latch, Layer, Schedule, Scope } from "effect"
import { Client, Errors, Tube, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { eventually } from "../support/Eventually.ts"
import * as RealServer from "../support/RealServer.ts"
import * as Runtime from "../support/Runtime.ts"
import { tempDir } from "../support/TempDir.ts"
import { service } from "./Processes.ts"
import { onMemory, onServer } from "../support/Fixture.ts"
import { areIn, keepLog, outcomes, silently, Texts, TUBE, work } from "../support/Workplace.ts"

describe("a worker that is interrupted", () => {
  it.effect("lets handlers end, and releases those that do not, at once and with their own priority", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const ended: Array<string> = []
      const bodies = Array.from({ length: 64 }, (_, n) => n % 2 === 0 ? "short" : "long")
      const ids = [...yield* beanstalkd.putAll(TUBE, bodies, { priority: 7 })]
      yield* beanstalkd.put(TUBE, "waiting", { priority: 8 })
      const worker = yield* work(
        (value) =>
          Effect.sleep(value === "short" ? "4 seconds" : "6 seconds").pipe(
            Effect.andThen(Effect.sync(() => ended.push(value)))
          ),
        { concurrency: 64, shutdownTimeout: "5 seconds" }
      )
      yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(ended.length, 32)
      yield* areIn(beanstalkd, { reserved: 32, ready: 1 })
      yield* TestClock.adjust("999 millis")
      yield* areIn(beanstalkd, { reserved: 32, ready: 1 })
      yield* TestClock.adjust("1 millis")
      yield* Fiber.await(worker)
      yield* areIn(beanstalkd, { ready: 33 })
      for (const id of ids.filter((_, n) => n % 2 === 1)) {
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", pri: 7, delay: 0, reserves: 1 })
      }
      assert.strictEqual(ended.length, 32)
      assert.strictEqual(yield* server.connectionCount, 1)
      assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 64, succeeded: 32 })
    })))

  it.effect("and has nothing to do ends at once", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const worker = yield* work(() => Effect.void, { shutdownTimeout: "1 hour" })
      yield* server.awaitReservers(TUBE)
      yield* Fiber.interrupt(worker)
      assert.strictEqual(yield* server.connectionCount, 1)
      yield* beanstalkd.put(TUBE, "hello")
      yield* areIn(beanstalkd, { ready: 1 })
    })))

  it.effect("waits forever for handlers if it is told so", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const goOn = yield* Latch.make()
      yield* beanstalkd.put(TUBE, "hello")
      const worker = yield* work(() => goOn.await, { shutdownTimeout: Infinity })
      const ending = yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      yield* TestClock.adjust("3 hours")
      assert.isUndefined(ending.pollUnsafe())
      yield* goOn.open
      yield* Fiber.join(ending)
      yield* areIn(beanstalkd, {})
    })))

  it.effect("takes no more jobs, also none whose number of attempts it is asking for", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      let runs = 0
      yield* work(() => Effect.sync(() => runs++))
      yield* server.awaitReservers(TUBE)
      const worker = yield* work(() => Effect.sync(() => runs++), { shutdownTimeout: "1 hour" })
      yield* server.awaitReservers(TUBE, 2)
      yield* server.injectFaults({ delay: "2 seconds" })
      yield* Effect.forkScoped(beanstalkd.putAll(TUBE, ["a", "b"]))
      yield* TestClock.adjust("3 seconds")
      yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(runs, 1)
      yield* TestClock.adjust("1 minute")
      assert.isDefined(worker.pollUnsafe())
      assert.strictEqual(runs, 2)
    })))

  it.effect("tries a job again later that fails meanwhile, also one that dies", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, ["fails", "dies"])
      const worker = yield* work(
        (value) => Effect.andThen(Effect.sleep("1 second"), value === "dies" ? Effect.die("no") : Effect.fail("no")),
        { concurrency: 2, shutdownTimeout: "5 seconds" }
      )
      yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.await(worker)
      yield* areIn(beanstalkd, { delayed: 2 })
    })))

  it.effect("waits for a handler that cannot be interrupted, keeps its job meanwhile, and releases it", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello", { ttr: "2 seconds" })
      const worker = yield* work(() => Effect.uninterruptible(Effect.sleep("1 minute")), { forceAfter: Infinity })
      yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(worker.pollUnsafe())
      yield* areIn(beanstalkd, { reserved: 1 })
      yield* TestClock.adjust("1 second")
      yield* Fiber.await(worker)
      assert.strictEqual((yield* beanstalkd.stats).jobTimeouts, 0)
      yield* areIn(beanstalkd, { ready: 1 })
    })))

  it.effect("ends in spite of a server that says nothing any more", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const began = yield* Clock.currentTimeMillis
      const fiber = yield* Deferred.make<Fiber.Fiber<unknown, unknown>>()
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c"])
      const worker = yield* work(() => Effect.never, { concurrency: 4, shutdownTimeout: "5 seconds" })
      yield* Deferred.succeed(fiber, worker)
      yield* server.injectFaults({ mute: true })
      const ending = yield* Effect.forkScoped(
        Effect.andThen(Fiber.interrupt(worker), Clock.currentTimeMillis),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 minute")
      assert.isAtMost((yield* Fiber.join(ending)) - began, 15_000)
      yield* server.injectFaults({})
      yield* TestClock.adjust("10 seconds")
      yield* areIn(beanstalkd, { ready: 3 })
    })))
})

RealServer.describeReal("a worker service that gets SIGTERM in the middle of 64 jobs", () => {
  it.live("has those deleted that end in time, and the others ready at once with their own priority", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* onServer(RealServer)()
      const long = yield* Effect.forEach(
        Array.from({ length: 32 }, (_, n) => n),
        (n) => beanstalkd.put(TUBE, "never", { priority: 100 + n })
      )
      const short = (yield* beanstalkd.putAll(TUBE, Array.from({ length: 32 }, () => "until SIGTERM"))).map(({ id }) =>
        id
      )
      const options = { concurrency: 64, shutdownTimeout: "300 millis" }
      const { child, exited, stderr, told } = yield* service(server.port, yield* tempDir, options)
      yield* eventually(Effect.sync(() => assert.strictEqual(told("began").length, 64)), { within: "10 seconds" })
      Runtime.signal(child, "SIGTERM")
      yield* exited
      assert.strictEqual(stderr(), "")
      assert.deepStrictEqual(told("ended").toSorted((a, b) => a - b), [...short])
      assert.deepStrictEqual(told("interrupted").toSorted((a, b) => a - b), long.map(({ id }) => id))
      yield* areIn(beanstalkd, { ready: 32 })
      yield* Effect.forEach(
        long,
        (id, n) =>
          Effect.map(
            beanstalkd.statsJob(id),
            (stats) => assert.deepInclude(stats, { state: "ready", pri: 100 + n, delay: 0, reserves: 1, timeouts: 0 })
          )
      )
      assert.strictEqual(yield* Effect.map(beanstalkd.stats, ({ currentConnections }) => currentConnections), 1)
    }))
})

const giveUp = { reconnect: Schedule.recurs(2) }

describe("a worker whose server is gone for good, by the Schedule of its client", () => {
  it.effect("fails", () =>
    onMemory(
      Effect.fnUntraced(function*(beanstalkd, server) {
        yield* beanstalkd.put(TUBE, "hello")
        const interrupted = yield* Deferred.make<void>()
        const worker = yield* work(() =>
          Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
        )
        yield* server.injectFaults({ refuse: true })
        yield* server.dropConnections
        const error = yield* Effect.flip(Fiber.join(worker))
        assert.instanceOf(error, Errors.BeanstalkdError)
        assert.strictEqual(error.reason._tag, "OpenError")
        yield* Deferred.await(interrupted)
      }, silently),
      { client: giveUp }
    ))

  const layerOf = (client: Client.Service, tube: Tube.Tube<string>, began: Latch.Latch) =>
    Worker.layer(tube, () => Effect.andThen(began.open, Effect.never)).pipe(
      Layer.provide(Layer.succeed(Client.Beanstalkd, client))
    )

  it.effect("ends the program that has launched its layer, and says so", () => {
    const { log, logged } = keepLog()
    return onMemory(
      Effect.fnUntraced(function*(beanstalkd, server) {
        const began = yield* Latch.make()
        yield* beanstalkd.put(TUBE, "hello")
        const program = yield* Effect.forkScoped(Layer.launch(layerOf(beanstalkd, Texts, began)))
        yield* began.await
        yield* server.injectFaults({ refuse: true })
        yield* server.dropConnections
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(program)))
        const fatal = log.filter(({ level }) => level === "Fatal")
        assert.strictEqual(fatal.length, 1)
        assert.include(fatal[0]!.message, `the worker of ${TUBE} has ended`)
        assert.include(fatal[0]!.message, "the server refuses connections")
      }, logged),
      { client: giveUp }
    )
  })

  it.effect("throws where nobody catches it when its layer was built side by side with others", () =>
    onMemory(
      Effect.fnUntraced(function*(beanstalkd, server) {
        const uncaught = yield* Deferred.make<unknown>()
        const listeners = process.listeners("uncaughtException")
        process.removeAllListeners("uncaughtException")
        process.once("uncaughtException", (error) => Deferred.doneUnsafe(uncaught, Exit.succeed(error)))
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => listeners.forEach((l) => process.on("uncaughtException", l)))
        )
        const began = yield* Latch.make()
        yield* beanstalkd.put(TUBE, "hello")
        const other = Tube.make("other", { codec: "text" })
        const all = Layer.mergeAll(layerOf(beanstalkd, Texts, began), layerOf(beanstalkd, other, began))
        const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
        yield* Effect.forkScoped(Layer.buildWithScope(all, scope))
        yield* began.await
        yield* server.injectFaults({ refuse: true })
        yield* server.dropConnections
        assert.instanceOf(yield* Deferred.await(uncaught), Errors.BeanstalkdError)
      }, silently),
      { client: giveUp }
    ))
})
