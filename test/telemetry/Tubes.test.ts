/**
 * The gauges of chosen tubes: they show what the server tells, and nothing once it does not.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Metric, Queue, Scope, Stream } from "effect"
import { Client, Errors, Fleet, Metrics, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { eventually } from "../support/Eventually.ts"
import { onMemory } from "../support/Fixture.ts"
import * as RealServer from "../support/RealServer.ts"
import { keepLog, TUBE } from "../support/Workplace.ts"
import { listOf, machines, pass, settle } from "../fleet/Fleets.ts"

const GAUGES = {
  ready: Metrics.tubeReady,
  urgent: Metrics.tubeUrgent,
  delayed: Metrics.tubeDelayed,
  reserved: Metrics.tubeReserved,
  buried: Metrics.tubeBuried,
  waiting: Metrics.tubeWaiting,
  using: Metrics.tubeUsing,
  watching: Metrics.tubeWatching,
  pause: Metrics.tubePause
}

/** The gauges of a tube that are there, by their ids without what they have in common. */
const shown = (server: string, tube = TUBE) =>
  Effect.map(
    Metric.snapshot,
    (all) =>
      Object.fromEntries(all.flatMap(({ attributes, id, state }) =>
        id.startsWith("beanstalkd_tube_") && attributes?.["server"] === server && attributes["tube"] === tube &&
          "value" in state
          ? [[id.slice("beanstalkd_tube_".length), state.value]]
          : []
      ))
  )

const isUp = (server: string) =>
  Effect.map(Metric.snapshot, (all) => {
    const found = all.find(({ attributes, id }) => id === "beanstalkd_up" && attributes?.["server"] === server)
    return found !== undefined && "value" in found.state ? found.state.value : undefined
  })

const ZEROS = {
  ready_jobs: 0,
  urgent_jobs: 0,
  delayed_jobs: 0,
  reserved_jobs: 0,
  buried_jobs: 0,
  waiting_connections: 0,
  using_connections: 0,
  watching_connections: 0,
  pause_seconds: 0
}

/** Polls until the Scope of the test ends. */
const polling = <C = Client.Beanstalkd>(
  tubes: Client.Tubes,
  options?: Metrics.TubesOptions<C>
): Effect.Effect<void, Errors.BeanstalkdError, C | Scope.Scope> =>
  Effect.andThen(Layer.build(Metrics.layerTubes(tubes, options)), settle)

const withOwnMetrics = Effect.provideServiceEffect(Metric.MetricRegistry, Effect.sync(() => new Map()))

describe("the gauges of tubes", () => {
  it.effect("show what stats-tube tells, anew in each interval", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { server } = beanstalkd
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c"])
      yield* beanstalkd.put(TUBE, "urgent", { priority: 1 })
      yield* beanstalkd.put(TUBE, "later", { delay: "1 hour" })
      const [first, second] = [yield* beanstalkd.reserve(TUBE), yield* beanstalkd.reserve(TUBE)]
      yield* first.bury()
      yield* beanstalkd.pauseTube(TUBE, "30 seconds")
      yield* polling(TUBE, { interval: "5 seconds" })
      const stats = yield* beanstalkd.statsTube(TUBE)
      const expected = {
        ready_jobs: 2,
        urgent_jobs: 0,
        delayed_jobs: 1,
        reserved_jobs: 1,
        buried_jobs: 1,
        waiting_connections: 0,
        using_connections: stats.currentUsing,
        watching_connections: stats.currentWatching,
        pause_seconds: stats.pauseTimeLeft!
      }
      assert.deepStrictEqual(yield* shown(server), expected)
      assert.include([29, 30], stats.pauseTimeLeft)
      for (const [name, gauge] of Object.entries(GAUGES)) {
        const { value } = yield* Metric.value(Metric.withAttributes(gauge, { server, tube: TUBE }))
        assert.strictEqual(value, Object.entries(expected).find(([id]) => id.startsWith(name))![1])
      }
      yield* second.delete
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* shown(server))["reserved_jobs"], 1)
      yield* Effect.andThen(TestClock.adjust("1 second"), settle)
      assert.deepInclude(yield* shown(server), { reserved_jobs: 0, pause_seconds: stats.pauseTimeLeft! - 5 })
    })))

  it.effect("are zeros for a tube that does not exist, which is no error", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*({ server }) {
      yield* polling(["nothing", "nowhere"])
      assert.deepStrictEqual([yield* shown(server, "nothing"), yield* shown(server, "nowhere")], [ZEROS, ZEROS])
      assert.strictEqual(yield* isUp(server), 1)
      assert.deepStrictEqual(log, [])
    })).pipe(logged)
  })

  it.effect("are polled every 10 seconds by default", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* polling(TUBE)
      yield* beanstalkd.put(TUBE, "a")
      yield* Effect.andThen(TestClock.adjust("9 seconds"), settle)
      assert.strictEqual((yield* shown(beanstalkd.server))["ready_jobs"], 0)
      yield* Effect.andThen(TestClock.adjust("1 second"), settle)
      assert.strictEqual((yield* shown(beanstalkd.server))["ready_jobs"], 1)
    })))

  it.effect("are gone while the server is away, which is said once, and there again when it answers", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const [machine] = yield* machines(["a"])
      const { clientOptions, down, server, up } = machine!
      const beanstalkd = yield* Client.make(clientOptions)
      yield* beanstalkd.put(TUBE, "x")
      yield* polling(TUBE, { interval: "1 second" }).pipe(Effect.provideService(Client.Beanstalkd, beanstalkd))
      assert.strictEqual((yield* shown(server))["ready_jobs"], 1)
      yield* down
      yield* pass(3_000)
      assert.deepStrictEqual([yield* shown(server), yield* isUp(server)], [{}, 0])
      yield* up
      yield* pass(3_000)
      assert.deepStrictEqual([(yield* shown(server))["ready_jobs"], yield* isUp(server)], [1, 1])
      const lines = log.filter(({ message }) => message.includes("tubes"))
      assert.deepStrictEqual(lines.map(({ annotations, level }) => [level, annotations["server"]]), [
        ["Warn", "a"],
        ["Info", "a"]
      ])
      assert.match(
        lines[0]!.message,
        /^a does not tell the statistics of its tubes, which have no gauges until it does: /
      )
    }).pipe(Effect.scoped, logged, withOwnMetrics)
  })

  it.effect("are gone when the server has not answered for an interval", () =>
    Effect.gen(function*() {
      const [machine] = yield* machines(["a"])
      const { clientOptions, freeze, server, up } = machine!
      const beanstalkd = yield* Client.make({ ...clientOptions, commandTimeout: "1 minute" })
      yield* polling(TUBE, { interval: "2 seconds" }).pipe(Effect.provideService(Client.Beanstalkd, beanstalkd))
      yield* freeze
      yield* pass(3_900)
      assert.deepStrictEqual([yield* shown(server), yield* isUp(server)], [ZEROS, 1])
      yield* pass(200)
      assert.deepStrictEqual([yield* shown(server), yield* isUp(server)], [{}, 0])
      yield* up
    }).pipe(Effect.scoped, keepLog().logged, withOwnMetrics))

  it.effect("are those of each server of a fleet, also if one is away", () =>
    Effect.gen(function*() {
      const all = yield* machines(["a", "b"])
      const fleet = yield* Fleet.make({ servers: listOf(all) })
      yield* settle
      const refs = yield* Effect.forEach(Array.from({ length: 6 }), () => fleet.put(TUBE, "x"))
      const on = (name: string) => refs.filter(({ server }) => server === name).length
      yield* polling([TUBE, "nothing"], { interval: "1 second" }).pipe(
        Effect.provideService(Client.Beanstalkd, fleet)
      )
      for (const name of ["a", "b"]) {
        assert.deepInclude(yield* shown(name), { ready_jobs: on(name) })
        assert.deepStrictEqual([yield* shown(name, "nothing"), yield* isUp(name)], [ZEROS, 1])
      }
      yield* all[1]!.down
      yield* pass(3_000)
      assert.deepStrictEqual([(yield* shown("a"))["ready_jobs"], yield* isUp("a")], [on("a"), 1])
      assert.deepStrictEqual([yield* shown("b"), yield* isUp("b")], [{}, 0])
    }).pipe(Effect.scoped, keepLog().logged, withOwnMetrics))

  it.effect("come and go with the servers of a fleet", () =>
    Effect.gen(function*() {
      const list = listOf(yield* machines(["a", "b"]))
      const lists = yield* Queue.unbounded<ReadonlyArray<Fleet.ServerOptions>>()
      const fleet = yield* Fleet.make({ servers: Stream.fromQueue(lists) })
      const tell = (...servers: typeof list) => Effect.andThen(Queue.offer(lists, servers), pass(2_000))
      yield* tell(list[0]!)
      yield* polling(TUBE, { interval: "1 second" }).pipe(Effect.provideService(Client.Beanstalkd, fleet))
      assert.deepStrictEqual([yield* isUp("a"), yield* isUp("b")], [1, undefined])
      yield* tell(...list)
      assert.deepStrictEqual([yield* shown("a"), yield* shown("b")], [ZEROS, ZEROS])
      yield* tell(list[1]!)
      assert.deepStrictEqual([yield* shown("a"), yield* isUp("a")], [{}, undefined])
      assert.deepStrictEqual([yield* shown("b"), yield* isUp("b")], [ZEROS, 1])
    }).pipe(Effect.scoped, keepLog().logged, withOwnMetrics))

  it.effect("can be those of another client, and end with the layer", () =>
    Effect.gen(function*() {
      class Billing extends Context.Service<Billing, Client.Service>()("test/Billing") {}
      const server = yield* Server.makeMemory({ name: "billing" })
      const live = Metrics.layerTubes(TUBE, { client: Billing }).pipe(
        Layer.provideMerge(Layer.effect(Billing, Client.make(server.clientOptions)))
      )
      yield* Effect.gen(function*() {
        yield* (yield* Billing).put(TUBE, "x")
        yield* settle
        yield* Effect.andThen(TestClock.adjust("10 seconds"), settle)
        assert.strictEqual((yield* shown("billing"))["ready_jobs"], 1)
      }).pipe(Effect.provide(live))
      assert.deepStrictEqual([yield* shown("billing"), yield* isUp("billing")], [{}, undefined])
    }).pipe(Effect.scoped, withOwnMetrics))

  it.effect("stay for as long as one of several layers polls the tube", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { server } = beanstalkd
      yield* beanstalkd.put(TUBE, "x")
      const [first, second, other] = [yield* Scope.make(), yield* Scope.make(), yield* Scope.make()]
      yield* Scope.provide(polling([TUBE, "mine"]), first)
      yield* Scope.provide(polling([TUBE, "yours"]), second)
      // Further attributes make other series.
      yield* Scope.provide(polling(TUBE), other).pipe(
        Effect.provideService(Metric.CurrentMetricAttributes, { region: "eu" })
      )
      yield* Scope.close(other, Exit.void)
      yield* Scope.close(first, Exit.void)
      assert.deepInclude(yield* shown(server), { ready_jobs: 1 })
      assert.deepStrictEqual([yield* shown(server, "mine"), yield* shown(server, "yours")], [{}, ZEROS])
      assert.strictEqual(yield* isUp(server), 1)
      yield* Scope.close(second, Exit.void)
      assert.deepStrictEqual([yield* shown(server), yield* isUp(server)], [{}, undefined])
    })).pipe(withOwnMetrics))

  it.effect("are refused with options that make no sense", () =>
    onMemory(Effect.fnUntraced(function*() {
      const refusal = Effect.fnUntraced(function*(tubes: unknown, options?: unknown) {
        const exit = yield* Effect.exit(polling(tubes as never, options as never))
        assert.isTrue(Exit.isFailure(exit))
        const error = yield* Effect.flip(polling(tubes as never, options as never))
        assert.instanceOf(error, Errors.BeanstalkdError)
        assert.strictEqual(error.reason._tag, "InvalidOptions")
        return error.message
      })
      assert.include(yield* refusal([]), "Metrics.layerTubes: tubes must be at least one tube")
      assert.include(yield* refusal("no tube"), "tubes must be")
      assert.include(yield* refusal(TUBE, { interval: 0 }), "interval must be")
      assert.include(yield* refusal(TUBE, { interval: "soon" }), "interval must be")
      assert.include(yield* refusal(TUBE, { client: "default" }), "client must be the tag of a client")
      assert.include(yield* refusal(TUBE, 5), "options must be")
    })))
})

RealServer.describeReal("the gauges of tubes of beanstalkd", () => {
  it.live("show what it tells, and nothing while it is away", () =>
    Effect.gen(function*() {
      const process = yield* RealServer.make()
      const beanstalkd = yield* Client.make(process.clientOptions)
      const { server } = beanstalkd
      yield* beanstalkd.putAll(TUBE, ["a", "b"])
      yield* Layer.build(Metrics.layerTubes([TUBE, "nothing"], { interval: "20 millis" })).pipe(
        Effect.provideService(Client.Beanstalkd, beanstalkd)
      )
      const becomes = (jobs: number | undefined, up: number) =>
        eventually(Effect.gen(function*() {
          assert.strictEqual((yield* shown(server))["ready_jobs"], jobs)
          assert.strictEqual(yield* isUp(server), up)
        }))
      yield* becomes(2, 1)
      assert.deepStrictEqual(yield* shown(server, "nothing"), ZEROS)
      yield* process.kill
      yield* becomes(undefined, 0)
      yield* process.restart
      yield* becomes(0, 1)
    }).pipe(Effect.scoped, keepLog().logged, withOwnMetrics))
})
