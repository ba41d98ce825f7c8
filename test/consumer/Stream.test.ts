/**
 * What a stream of reserved jobs gives, from one tube or several, and how it ends.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Random, Schedule, Stream } from "effect"
import { Client, Consumer, Errors, Tube, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { type AnyServer, describeServers } from "../support/AnyServer.ts"
import { eventually } from "../support/Eventually.ts"
import { onMemory } from "../support/Fixture.ts"
import { areIn, silently, Texts, TUBE } from "../support/Workplace.ts"

/** `WORKER_FULL=1` has all jobs and all interruptions. */
const FULL = process.env["WORKER_FULL"] === "1"
const MANY = FULL ? 100_000 : 20_000
const INTERRUPTIONS = FULL ? 500 : 150

const drained = <E, R>(jobs: Stream.Stream<{ readonly text: string; readonly delete: Effect.Effect<void, E> }, E, R>) =>
  Stream.mapEffect(jobs, (job) => Effect.as(job.delete, job.text))

describe("a stream", () => {
  it.effect("gives the jobs of several tubes, the most urgent first", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put("a", "3", { priority: 3 })
      yield* beanstalkd.put("b", "1", { priority: 1 })
      yield* beanstalkd.put("c", "2", { priority: 2 })
      yield* beanstalkd.put("elsewhere", "0", { priority: 0 })
      const texts = yield* Consumer.stream(["a", "b", "c"]).pipe(drained, Stream.take(3), Stream.runCollect)
      assert.deepStrictEqual(texts, ["1", "2", "3"])
    })))

  it.effect("of one tube gives jobs that know it, and that of several jobs that ask for it once", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      for (const [tubes, asked] of [[TUBE, 0], [[TUBE, TUBE], 0], [[TUBE, "other"], 1]] as const) {
        const { cmdStatsJob } = yield* beanstalkd.stats
        yield* beanstalkd.put(TUBE, "hello")
        const tube = yield* Consumer.stream(tubes).pipe(
          Stream.mapEffect((job) => Effect.tap(Effect.andThen(job.tube, job.tube), job.delete)),
          Stream.runHead
        )
        assert.deepInclude(tube, { value: TUBE })
        assert.strictEqual((yield* beanstalkd.stats).cmdStatsJob - cmdStatsJob, asked)
      }
    })))

  it.effect("waits for days, in a reserve that is repeated, and then has the job at once", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const first = yield* Consumer.stream(TUBE).pipe(drained, Stream.runHead, Effect.forkScoped)
      yield* server.awaitReservers(TUBE)
      yield* TestClock.adjust("24 hours")
      assert.strictEqual((yield* beanstalkd.stats).currentWaiting, 1)
      yield* beanstalkd.put(TUBE, "hello")
      assert.deepInclude(yield* Fiber.join(first), { value: "hello" })
      assert.strictEqual(yield* server.connectionCount, 1)
    })))

  it.effect("goes on with a server that drains", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* beanstalkd.putAll(TUBE, ["a", "b"])
      yield* server.drain
      const texts = yield* Consumer.stream(TUBE).pipe(drained, Stream.take(2), Stream.runCollect)
      assert.deepStrictEqual(texts, ["a", "b"])
    })))

  it.effect("goes on after DEADLINE_SOON, with one connection that holds jobs about to time out", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const times: Array<number> = []
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c", "d"], { ttr: "1 second" })
      yield* Consumer.stream(TUBE, { maxConnections: 1, keepLeases: true }).pipe(
        Stream.mapEffect((job) => Effect.andThen(Effect.sleep("3 seconds"), job.delete), { concurrency: 4 }),
        Stream.tap(() => Effect.map(Clock.currentTimeMillis, (now) => times.push(now))),
        Stream.runDrain,
        Effect.forkScoped
      )
      yield* TestClock.adjust("2 seconds")
      yield* beanstalkd.put(TUBE, "e")
      yield* TestClock.adjust("20 millis")
      yield* areIn(beanstalkd, { reserved: 5 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(times.length, 5)
      assert.deepInclude(yield* beanstalkd.stats, { jobTimeouts: 0, currentJobsReserved: 0 })
    })))

  it.effect("fails when the server is gone for good, by the Schedule of its client", () =>
    onMemory(
      Effect.fnUntraced(function*(_, server) {
        const failing = yield* Effect.forkScoped(Effect.flip(Stream.runDrain(Consumer.stream(TUBE))))
        yield* server.awaitReservers(TUBE)
        yield* server.injectFaults({ refuse: true })
        yield* server.dropConnections
        const error = yield* Fiber.join(failing)
        assert.strictEqual(error.reason._tag, "OpenError")
      }),
      { client: { reconnect: Schedule.recurs(3) } }
    ))

  it.effect("does the same in the same order every time under a TestClock, along with workers", () =>
    Effect.gen(function*() {
      const atWork = Random.withSeed(onMemory(manyAtWork), "the same")
      const first = yield* atWork
      assert.isAbove(first.length, 300)
      for (let again = 0; again < 3; again++) assert.deepStrictEqual(yield* atWork, first)
    }).pipe(silently))

  const wrong: ReadonlyArray<readonly [tubes: unknown, options: object, argument: string]> = [
    [TUBE, { keepLeases: "yes" }, "keepLeases"],
    [TUBE, { keepLeases: null }, "keepLeases"],
    ["no tube", {}, "tubes"],
    [[], {}, "tubes"],
    [["a", ""], {}, "tubes"],
    [undefined, {}, "tubes"],
    [TUBE, { prefetch: 0 }, "prefetch"],
    [TUBE, { prefetch: Infinity }, "prefetch"],
    [TUBE, { prefetch: 1.5 }, "prefetch"],
    [TUBE, { maxInFlight: 0 }, "maxInFlight"],
    [TUBE, { maxInFlight: NaN }, "maxInFlight"],
    [TUBE, { maxConnections: 0 }, "maxConnections"],
    [TUBE, { maxConnections: "8" }, "maxConnections"],
    [TUBE, { touchInterval: "249 millis" }, "touchInterval"],
    [TUBE, { touchInterval: "soon" }, "touchInterval"]
  ]

  it.effect.each(wrong)("of %o with %o fails with the reason InvalidOptions, before a connection is dialled", (
    [tubes, options, argument]
  ) =>
    onMemory(Effect.fnUntraced(function*(_, server) {
      const error = yield* Effect.flip(Stream.runDrain(Consumer.stream(tubes as never, options)))
      assert(error.reason._tag === "InvalidOptions")
      assert.strictEqual(error.reason.argument, argument)
      assert.include(error.message, `Consumer.stream: ${argument} must be `)
      assert.isFalse(error.isRetryable)
      assert.strictEqual(yield* server.connectionCount, 1)
    })))

  it.effect("takes undefined for every option, and Infinity for maxInFlight", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, ["a", "b"])
      const nothing = {
        prefetch: undefined,
        maxInFlight: undefined,
        maxConnections: undefined,
        keepLeases: undefined,
        touchInterval: undefined
      }
      for (const options of [nothing, { maxInFlight: Infinity }]) {
        assert.strictEqual((yield* Consumer.stream(TUBE, options).pipe(drained, Stream.runHead))._tag, "Some")
      }
    })))

  it.live(
    `of ${MANY} jobs from a server in memory leaves the processor to others, and so does a worker`,
    () =>
      onMemory(Effect.fnUntraced(function*(beanstalkd) {
        let longest = 0
        // CPU time of this thread: another process may have the CPU meanwhile.
        const now = () => process.threadCpuUsage().user / 1000
        let last = now()
        // Forgets what the puts have cost.
        const startOver = () => {
          longest = 0
          last = now()
        }
        const timer = setInterval(() => {
          longest = Math.max(longest, now() - last)
          last = now()
        }, 1)
        yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(timer)))
        const bodies = Array.from({ length: MANY }, () => "x")
        yield* beanstalkd.putAll(TUBE, bodies)
        startOver()
        let handled = 0
        const worker = yield* Effect.forkScoped(
          Worker.run(Texts, () => Effect.sync(() => handled++), { concurrency: 64 })
        )
        yield* eventually(Effect.sync(() => assert.strictEqual(handled, MANY)), { within: "20 seconds" })
        yield* Fiber.interrupt(worker)
        const worked = longest
        yield* beanstalkd.putAll(TUBE, bodies)
        startOver()
        yield* Consumer.stream(TUBE).pipe(drained, Stream.take(MANY), Stream.runDrain)
        assert.isBelow(worked, 300)
        assert.isBelow(longest, 300)
      })),
    40_000
  )
})

/** A stream and two workers with jobs of different lengths, of which some fail. */
const manyAtWork = Effect.fnUntraced(function*(beanstalkd: Client.Service) {
  const log: Array<string> = []
  const began = yield* Clock.currentTimeMillis
  const tell = (what: string) => Effect.map(Clock.currentTimeMillis, (now) => void log.push(`${now - began}: ${what}`))
  const handler = (name: string) => (value: string, job: { readonly id: number }) =>
    Effect.sleep(`${(job.id % 7) * 300} millis`).pipe(
      Effect.andThen(job.id % 5 === 0 ? Effect.fail("no") : Effect.void),
      Effect.onExit((exit) => tell(`${name} ${exit._tag} ${value}`))
    )
  yield* Effect.forkScoped(Worker.run(Texts, handler("1"), { concurrency: 4, shutdownTimeout: 0, maxAttempts: 3 }))
  yield* Effect.forkScoped(Worker.run(Texts, handler("2"), { concurrency: 9, shutdownTimeout: 0, crashGuard: false }))
  yield* Tube.make(TUBE, { codec: "text" }).stream({ prefetch: 3 }).pipe(
    Stream.mapEffect((job) => Effect.andThen(Effect.sleep("150 millis"), Effect.andThen(job.delete, tell(job.text)))),
    Stream.runDrain,
    Effect.forkScoped
  )
  yield* Effect.forkScoped(Effect.forEach(Array.from({ length: 300 }, (_, n) => n), (n) =>
    Effect.andThen(
      beanstalkd.put(TUBE, `${n}`, { priority: n % 3, delay: `${n % 4} seconds`, ttr: "1 second" }),
      Effect.sleep("40 millis")
    )))
  yield* TestClock.adjust("1 hour")
  return log
})

/** A consumer or a worker under load, begun and interrupted at random. */
const oneOf = (client: Client.Service) =>
  Effect.gen(function*() {
    const number = (most: number) => Random.nextIntBetween(0, most)
    const hold = Effect.flatMap(number(8), Effect.sleep)
    const consumer = (yield* number(2)) === 0
      ? Consumer.stream(TUBE, { prefetch: 1 + (yield* number(20)), maxConnections: 1 + (yield* number(4)) }).pipe(
        Stream.mapEffect((job) => Effect.andThen(hold, job.release()), { concurrency: 1 + (yield* number(20)) }),
        Stream.runDrain,
        Effect.ignore
      )
      : Worker.run(Texts, () => Effect.andThen(hold, Effect.fail("no")), {
        concurrency: 1 + (yield* number(30)),
        maxConnections: 1 + (yield* number(4)),
        maxAttempts: Infinity,
        retrySchedule: Schedule.forever,
        crashGuard: (yield* number(2)) === 0,
        // A reserve that waits can bring a job while its connection is being closed. Such a job has crashed.
        isolateSuspects: false,
        maxCrashes: Infinity,
        shutdownTimeout: yield* number(10)
      })
    const fiber = yield* Effect.forkChild(Effect.provideService(consumer, Client.Beanstalkd, client))
    yield* Effect.flatMap(number(40), Effect.sleep)
    if ((yield* number(4)) > 0) yield* Fiber.interrupt(fiber)
    else fiber.interruptUnsafe()
  })

const statsOf = (server: AnyServer) =>
  Effect.map(server.stats, (stats) => [
    Number(stats["current-jobs-reserved"]),
    Number(stats["current-jobs-ready"]),
    // Without the client's shared connection, and the one that asks.
    Number(stats["current-connections"]) - 2
  ])

describeServers(`${INTERRUPTIONS} random interruptions of consumers and workers under load`, (target) => {
  it.live(
    "leave no job reserved for a second, lose none, and leave no connection behind",
    () =>
      Effect.gen(function*() {
        const server = yield* target.make()
        const client = yield* Client.make(server.clientOptions)
        yield* client.putAll(TUBE, Array.from({ length: 300 }, (_, n) => `${n}`), { ttr: "10 minutes" })
        const each = Array.from({ length: INTERRUPTIONS })
        yield* Effect.forEach(each, () => oneOf(client), { concurrency: 6, discard: true })
        yield* eventually(
          Effect.map(statsOf(server), (stats) => assert.deepStrictEqual(stats, [0, 300, 0])),
          { within: "1 second" }
        )
        assert.strictEqual((yield* server.stats)["job-timeouts"], "0")
      }).pipe(silently),
    60_000
  )
})

describe("a stream whose server has gone for good", () => {
  it.effect("says so to who waits for a job", () =>
    onMemory(
      Effect.fnUntraced(function*(_, server) {
        const pull = yield* Stream.toPull(Consumer.stream(TUBE))
        const next = yield* Effect.forkScoped(Effect.flip(pull), { startImmediately: true })
        yield* server.awaitReservers(TUBE)
        yield* server.injectFaults({ refuse: true })
        yield* server.dropConnections
        yield* TestClock.adjust("1 minute")
        const exit = next.pollUnsafe()
        assert.isDefined(exit, "it waits for what will never come")
        const error = yield* exit
        assert.instanceOf(error, Errors.BeanstalkdError)
        // It was closed before it had answered anything, which counts as a dial that failed.
        assert.strictEqual(error.reason._tag, "ConnectionClosed")
      }),
      { client: { reconnect: Schedule.recurs(0) } }
    ))

  it.effect("says so to who pulls next, when nobody pulled at the time", () =>
    onMemory(
      Effect.fnUntraced(function*(beanstalkd, server) {
        yield* beanstalkd.put(TUBE, "hello")
        const pull = yield* Stream.toPull(Consumer.stream(TUBE))
        yield* pull
        yield* server.injectFaults({ refuse: true })
        yield* server.dropConnections
        yield* TestClock.adjust("1 minute")
        const next = yield* Effect.forkScoped(Effect.flip(pull))
        yield* TestClock.adjust(0)
        const exit = next.pollUnsafe()
        assert.isDefined(exit, "it waits for what will never come")
        const error = yield* exit
        assert.instanceOf(error, Errors.BeanstalkdError)
        assert.strictEqual(error.reason._tag, "OpenError")
      }),
      { client: { reconnect: Schedule.recurs(0) } }
    ))
})
