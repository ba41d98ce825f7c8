/**
 * How consumers use their connections, recorded by a proxy between them and a real server.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Random, Stream } from "effect"
import { Client, Consumer, Worker } from "effect-beanstalkd"
import { eventually } from "../support/Eventually.ts"
import * as RealServer from "../support/RealServer.ts"
import * as RecordingProxy from "../support/RecordingProxy.ts"
import { areIn, Texts, TUBE } from "../support/Workplace.ts"

const isConsumer = (firstRequest: string) => firstRequest.startsWith("watch") || firstRequest.startsWith("reserve")

const open = Effect.gen(function*() {
  const server = yield* RealServer.make()
  const proxy = yield* RecordingProxy.make(server.port)
  const producer = yield* Client.make({ port: server.port })
  const client = yield* Client.make({ port: proxy.port })
  const findings = () => RecordingProxy.analyse(proxy.events, isConsumer)
  const work = <E>(handler: Worker.Handler<string, E, never>, options: Worker.Options<string, E, never>) =>
    Effect.forkScoped(Effect.provideService(Worker.run(Texts, handler, options), Client.Beanstalkd, client))
  return { server, producer, client, findings, work }
})

const JOBS = 1500

/** Puts in bursts with pauses between them, so that connections wait, hit and miss in turn. */
const putInBursts = (producer: Client.Service, jobs = JOBS) =>
  Effect.gen(function*() {
    for (let put = 0; put < jobs;) {
      const burst = Math.min(jobs - put, yield* Random.nextIntBetween(1, 120))
      yield* producer.putAll(TUBE, Array.from({ length: burst }, (_, n) => `${put + n}`))
      put += burst
      yield* Effect.sleep(yield* Random.nextIntBetween(0, 30))
    }
  })

RealServer.describeReal("through a recording proxy", () => {
  it.live.each([true, false])(
    "a worker of 50 with jobs of random duration never has more than 50, over 8 connections (crashGuard: %s)",
    (crashGuard) =>
      Effect.gen(function*() {
        const { findings, producer, work } = yield* open
        let running = 0
        let most = 0
        const handled = new Set<string>()
        const worker = yield* work((value) =>
          Effect.acquireUseRelease(
            Effect.sync(() => most = Math.max(most, ++running)),
            () => Effect.flatMap(Random.nextIntBetween(0, 60), Effect.sleep),
            () => Effect.sync(() => (running--, handled.add(value)))
          ), { concurrency: 50, crashGuard })
        yield* putInBursts(producer)
        yield* eventually(Effect.sync(() => assert.strictEqual(handled.size, JOBS)), { within: "20 seconds" })
        yield* eventually(areIn(producer, {}))
        yield* Fiber.interrupt(worker)
        const { connections, counts, queued, taken, unsettled } = findings()
        assert.deepStrictEqual(queued, [])
        assert.isAtMost(most, 50)
        assert.isAtMost(unsettled, 50)
        assert.isAtMost(taken, 50)
        assert.isAbove(unsettled, 25, "it was busy")
        assert.isAtMost(connections, 8)
        assert.strictEqual(counts["delete"], JOBS)
        const reserves = counts["reserve-with-timeout"]! + counts["reserve-with-timeout 0"]!
        assert.isBelow(reserves / JOBS, 3, "reserves per job")
      })
  )

  it.live("a worker with jobs that outlive their ttr touches them, and nothing queues behind a reserve", () =>
    Effect.gen(function*() {
      const { findings, producer, work } = yield* open
      let handled = 0
      yield* work(() => Effect.andThen(Effect.sleep("1400 millis"), Effect.sync(() => handled++)), {
        concurrency: 20,
        maxConnections: 3
      })
      yield* producer.putAll(TUBE, Array.from({ length: 30 }, (_, n) => `${n}`), { ttr: "1 second" })
      yield* eventually(Effect.sync(() => assert.strictEqual(handled, 30)), { within: "10 seconds" })
      const { connections, counts, queued, taken } = findings()
      assert.deepStrictEqual(queued, [])
      assert.isAtMost(taken, 20)
      assert.isAtMost(connections, 3)
      assert.isAtLeast(counts["touch"]!, 60)
      assert.strictEqual((yield* producer.stats).jobTimeouts, 0)
    }))

  it.live.each([[1, 3, 1], [16, 24, 2], [64, 200, 8]] as const)(
    "a stream with prefetch %i and maxInFlight %i never takes more, over %i connections",
    ([prefetch, maxInFlight, maxConnections]) =>
      Effect.gen(function*() {
        const { client, findings, producer } = yield* open
        const jobs = 400
        yield* Effect.forkScoped(putInBursts(producer, jobs))
        yield* Consumer.stream(TUBE, { prefetch, maxInFlight, maxConnections }).pipe(
          Stream.mapEffect(
            (job) => Random.nextIntBetween(0, 10).pipe(Effect.flatMap(Effect.sleep), Effect.andThen(job.delete)),
            { concurrency: 100 }
          ),
          Stream.take(jobs),
          Stream.runDrain,
          Effect.provideService(Client.Beanstalkd, client)
        )
        yield* areIn(producer, {})
        const { connections, queued, taken } = findings()
        assert.deepStrictEqual(queued, [])
        assert.isAtMost(taken, maxInFlight)
        assert.isAtMost(connections, maxConnections)
      })
  )
}, { concurrent: true })
