/**
 * Workers and streams over several servers: one bound, fair shares, and servers that fail.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Latch, Schedule, Stream } from "effect"
import { Client, type Fleet, Metrics, Tube, Worker } from "effect-beanstalkd"
import * as Metric from "effect/Metric"
import { TestClock } from "effect/testing"
import { type Machine, NAMES, onFleet, pass, settle } from "./Fleets.ts"

const Work = Tube.make("work", { codec: "text", ttr: "1 hour" })

/** Counts the handlers of a worker. */
class Watch {
  running = 0
  most = 0
  readonly handled: Array<string> = []

  readonly handle = (millis: number) => (_: string, job: { readonly server: string }) =>
    Effect.suspend(() => {
      this.running++
      this.most = Math.max(this.most, this.running)
      return Effect.sleep(millis)
    }).pipe(Effect.ensuring(Effect.sync(() => {
      this.running--
      this.handled.push(job.server)
    })))

  of(server: string): number {
    return this.handled.filter((name) => name === server).length
  }
}

const putOn = (fleet: Fleet.Service, server: string, count: number) =>
  Effect.flatMap(
    Effect.orDie(fleet.on(server)),
    (one) => one.putAll("work", Array.from({ length: count }, (_, i) => `${server}${i}`))
  )

const start = (watch: Watch, concurrency: number, millis: number) =>
  Effect.forkScoped(Worker.run(Work, watch.handle(millis), { concurrency, shutdownTimeout: 0 }), {
    startImmediately: true
  })

describe("a worker over several servers", () => {
  for (const concurrency of [1, 3, 8, 20]) {
    it.effect(`never runs more than its ${concurrency} handlers, wherever the jobs come from`, () =>
      onFleet(
        8,
        Effect.fnUntraced(function*(fleet) {
          const watch = new Watch()
          yield* start(watch, concurrency, 30)
          for (let round = 0; round < 5; round++) {
            yield* Effect.forEach(NAMES, (name, i) => putOn(fleet, name, i % 3))
            yield* pass(60)
            yield* putOn(fleet, NAMES[round]!, 10)
            yield* pass(100)
          }
          yield* pass(100 * 30)
          assert.strictEqual(watch.handled.length, 5 * (0 + 1 + 2 + 0 + 1 + 2 + 0 + 1) + 50)
          assert.isAtMost(watch.most, concurrency)
          assert.isAtLeast(watch.most, Math.min(concurrency, 10))
        })
      ))
  }

  it.effect("takes all of its handlers for the one server that has jobs", () =>
    onFleet(
      4,
      Effect.fnUntraced(function*(fleet) {
        const watch = new Watch()
        yield* start(watch, 4, 1000)
        yield* settle
        yield* putOn(fleet, "b", 10)
        yield* settle
        assert.strictEqual(watch.running, 4)
      })
    ))

  it.effect("shares its handlers evenly among servers with backlogs", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        for (const name of ["a", "b", "c"]) yield* putOn(fleet, name, 400)
        const watch = new Watch()
        yield* start(watch, 8, 10)
        yield* pass(1000)
        const counts = ["a", "b", "c"].map((name) => watch.of(name))
        assert.isAbove(Math.min(...counts), 100)
        assert.isAtMost(Math.max(...counts) - Math.min(...counts), Math.max(...counts) / 10, String(counts))
      })
    ))

  it.effect("takes turns if more servers have backlogs than it asks at a time", () =>
    onFleet(
      20,
      Effect.fnUntraced(function*(fleet) {
        const names = (yield* fleet.servers).map(({ server }) => server)
        for (const name of names) yield* putOn(fleet, name, 300)
        const watch = new Watch()
        yield* start(watch, 20, 10)
        // The first one that is heard of has all handlers to itself for a moment.
        yield* pass(300)
        const before = names.map((name) => watch.of(name))
        yield* pass(1200)
        const counts = names.map((name, i) => watch.of(name) - before[i]!)
        assert.isAbove(Math.min(...counts), 80)
        // A turn is 32 jobs, and what is in hand comes on top.
        assert.isAtMost(Math.max(...counts) - Math.min(...counts), 40, String(counts))
        assert.strictEqual(watch.most, 20)
      })
    ))

  it.effect("has a job of a quiet server handled soon, while another one has an endless backlog", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        yield* putOn(fleet, "a", 1000)
        const watch = new Watch()
        yield* start(watch, 2, 10)
        yield* pass(200)
        for (let i = 1; i <= 5; i++) {
          yield* putOn(fleet, "c", 1)
          yield* pass(150)
          assert.strictEqual(watch.of("c"), i)
        }
        assert.isAbove(watch.of("a"), 100)
      })
    ))

  it.effect("gives back what comes beyond its room, and the job has all its attempts and is no suspect", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        const goOn = yield* Latch.make()
        const seen: Array<string> = []
        yield* Effect.forkScoped(
          Worker.run(Work, (text) => Effect.andThen(Effect.sync(() => seen.push(text)), goOn.await), {
            concurrency: 1
          }),
          { startImmediately: true }
        )
        yield* settle
        for (const name of ["a", "b", "c"]) yield* putOn(fleet, name, 1)
        yield* settle
        assert.deepStrictEqual(seen, ["a0"])
        assert.deepInclude(yield* fleet.statsTube("work"), { currentJobsReady: 2, currentJobsReserved: 1 })
        yield* goOn.open
        yield* pass(200)
        assert.deepStrictEqual(seen.toSorted(), ["a0", "b0", "c0"])
      })
    ))

  it.effect("waits nowhere any more while one server takes all of its room", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        const watch = new Watch()
        yield* start(watch, 2, 500)
        yield* pass(100)
        assert.strictEqual((yield* fleet.stats).currentWaiting, 3)
        yield* putOn(fleet, "a", 1)
        yield* pass(100)
        yield* putOn(fleet, "b", 8)
        yield* pass(600)
        assert.deepInclude(yield* fleet.stats, { currentWaiting: 0, currentJobsReserved: 2 })
        // Not one of these is reserved before there is room for it.
        yield* putOn(fleet, "c", 1)
        const c = yield* Effect.orDie(fleet.on("c"))
        const { id } = yield* c.peekReady("work")
        yield* pass(100)
        assert.deepInclude(yield* c.statsJob(id), { state: "ready", reserves: 0 })
        yield* pass(5000)
        assert.strictEqual(watch.handled.length, 10)
        assert.strictEqual((yield* fleet.stats).currentWaiting, 3)
      })
    ))

  it.effect("goes on with the others while a server is frozen, and with that one after it", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet, a) {
        for (const name of ["a", "b", "c"]) yield* putOn(fleet, name, 300)
        const watch = new Watch()
        yield* start(watch, 6, 20)
        yield* pass(500)
        yield* a.freeze
        yield* pass(1000)
        const before = watch.handled.length
        yield* pass(500)
        // Of 6 handlers at 20 ms each.
        assert.isAbove(watch.handled.length - before, 0.7 * 6 * 25)
        yield* a.up
        yield* pass(30_000)
        assert.strictEqual(new Set(watch.handled).size, 3)
        assert.deepInclude(yield* fleet.stats, { currentJobsReady: 0, currentJobsReserved: 0, currentJobsBuried: 0 })
        assert.isAtMost(watch.most, 6)
      })
    ))

  it.effect("goes on without a server that it cannot connect to, and takes its jobs when it is back", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a) {
        // The connection that it has stays open.
        yield* a.injectFaults({ refuse: true })
        const watch = new Watch()
        const worker = yield* start(watch, 2, 10)
        yield* pass(2000)
        for (const name of ["a", "b"]) yield* putOn(fleet, name, 3)
        yield* pass(500)
        assert.deepStrictEqual([watch.of("a"), watch.of("b")], [0, 3])
        yield* a.up
        yield* pass(2000)
        assert.strictEqual(watch.of("a"), 0, "the Schedule has ended")
        yield* a.dropConnections
        yield* pass(2000)
        assert.deepStrictEqual([watch.of("a"), watch.of("b")], [3, 3])
        assert.strictEqual(worker.pollUnsafe(), undefined)
      }),
      { reconnect: Schedule.recurs(1) }
    ))

  it.effect("fails when it can connect to none of them", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(_, a, b) {
        for (const { injectFaults } of [a, b]) yield* injectFaults({ refuse: true })
        const worker = yield* start(new Watch(), 2, 10)
        yield* pass(2000)
        const exit = worker.pollUnsafe()
        assert(exit !== undefined && Exit.isFailure(exit))
        assert.deepInclude(Cause.squash(exit.cause), { _tag: "BeanstalkdError", isRetryable: true })
      }),
      { reconnect: Schedule.recurs(1) }
    ))

  it.effect("survives that all servers go, and come back", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet, ...all: ReadonlyArray<Machine>) {
        const watch = new Watch()
        yield* start(watch, 2, 10)
        yield* pass(100)
        for (const { down } of all) yield* down
        yield* pass(10_000)
        for (const { up } of all) yield* up
        yield* pass(8000)
        for (const name of ["a", "b", "c"]) yield* putOn(fleet, name, 3)
        yield* pass(500)
        assert.strictEqual(watch.handled.length, 9)
      })
    ))

  it.effect("asks nobody while a suspect has it to itself, so that no jobs pile up", () =>
    onFleet(
      8,
      Effect.fnUntraced(function*(fleet, ...all: ReadonlyArray<Machine>) {
        // Reserved twice by somebody who was gone without a word.
        const a = yield* Effect.orDie(fleet.on("a"))
        yield* putOn(fleet, "a", 1)
        for (let i = 0; i < 2; i++) {
          yield* Effect.scoped(Effect.andThen(a.reserve("work"), all[0]!.dropConnections))
          yield* pass(2000)
        }
        const watch = new Watch()
        yield* start(watch, 4, 5000)
        yield* pass(500)
        for (const name of NAMES.slice(1)) yield* putOn(fleet, name, 50)
        yield* pass(1000)
        const { currentJobsReserved } = yield* fleet.stats
        assert.isAtMost(currentJobsReserved, 4)
        yield* pass(20_000)
        assert.isAtMost(watch.most, 4)
      })
    ))

  it.effect("counts each job at its own server", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet) {
        for (const name of ["a", "b"]) yield* putOn(fleet, name, 2)
        yield* start(new Watch(), 4, 10)
        yield* pass(100)
        for (const server of ["a", "b"]) {
          const counter = Metric.withAttributes(Metrics.jobs, { server, tube: "work", outcome: "succeeded" })
          assert.strictEqual((yield* Metric.value(counter)).count, 2)
        }
      })
    ).pipe(Effect.provideServiceEffect(Metric.MetricRegistry, Effect.sync(() => new Map()))))
})

describe("a stream over several servers", () => {
  it.effect("that keeps one job ready has all of them, one after the other", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        for (const name of ["a", "b", "c"]) yield* putOn(fleet, name, 3)
        const texts: Array<string> = []
        yield* Effect.forkScoped(
          Work.stream({ prefetch: 1 }).pipe(
            Stream.runForEach((job) => Effect.andThen(job.delete, Effect.sync(() => texts.push(job.value))))
          ),
          { startImmediately: true }
        )
        yield* pass(500)
        assert.deepStrictEqual(texts.toSorted(), ["a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"])
      })
    ))

  it.effect("has the same service under the tag of a client", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet) {
        assert.strictEqual((yield* Client.Beanstalkd).server, fleet.server)
        yield* TestClock.adjust(0)
      })
    ))
})
