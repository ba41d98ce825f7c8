/**
 * The names of OpenTelemetry's conventions for messaging: only with the layer, and with the attributes that they ask for.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Metric } from "effect"
import { Client, Metrics, Server } from "effect-beanstalkd"
import { errorTypeOf, serverAttributes } from "../../src/internal/telemetry/conventions.ts"
import { eventually } from "../support/Eventually.ts"
import { quietly } from "../support/Fixture.ts"
import { outcomes, TUBE, work } from "../support/Workplace.ts"

class Refused extends Error {
  readonly _tag = "Refused"
}

/** Puts, works and fails. */
const busy = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  yield* beanstalkd.putAll(TUBE, ["good", "bad", "worse"])
  yield* Effect.flip(beanstalkd.put("large", "x".repeat(101)))
  yield* Effect.flip(beanstalkd.delete(4_711 as never))
  yield* Effect.flip(Effect.scoped(beanstalkd.reserve("nothing", { timeout: 0 })))
  yield* work(
    (text) => text === "good" ? Effect.void : text === "bad" ? Effect.fail(new Refused()) : Effect.die("worse"),
    { maxAttempts: 1 }
  )
  yield* eventually(
    Effect.map(outcomes(beanstalkd.server), (all) => assert.deepInclude(all, { succeeded: 1, buried: 2 }))
  )
})

const server = Server.layerMemory({ name: "here", maxJobSize: 100 })

const isolated = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.scoped,
    Effect.provideServiceEffect(Metric.MetricRegistry, Effect.sync(() => new Map())),
    quietly
  )

/** The series of the metrics with such names: their attributes, and how many values they have. */
const series = Effect.map(
  Metric.snapshot,
  (all) =>
    all.filter(({ id }) => id.startsWith("messaging.")).map(({ attributes = {}, id, state }) => {
      const { "messaging.destination.name": tube, "error.type": error, "messaging.operation.name": operation } =
        attributes
      return { id, operation, tube, error, attributes, count: "count" in state ? Number(state.count) : 0 }
    })
)

const table = (all: Effect.Success<typeof series>, id: string) =>
  Object.fromEntries(
    all.filter((one) => one.id === id).map((
      { count, error, operation, tube }
    ) => [[operation, tube, error].filter((part) => part !== undefined).join(" "), count])
  )

describe("the conventions of OpenTelemetry", () => {
  it.effect("are followed by no metric unless the layer says so", () =>
    Effect.gen(function*() {
      yield* busy
      assert.deepStrictEqual(yield* series, [])
    }).pipe(Effect.provide(server), isolated))

  it.effect("name four metrics, beside those of this library", () =>
    Effect.gen(function*() {
      yield* busy
      const all = yield* series
      assert.deepStrictEqual(table(all, "messaging.client.sent.messages"), {
        [`put ${TUBE}`]: 3,
        "put large JobTooBig": 1
      })
      assert.deepStrictEqual(table(all, "messaging.client.consumed.messages"), { [`reserve ${TUBE}`]: 3 })
      assert.deepStrictEqual(table(all, "messaging.process.duration"), {
        [`process ${TUBE}`]: 1,
        [`process ${TUBE} Refused`]: 1,
        [`process ${TUBE} defect`]: 1
      })
      const durations = table(all, "messaging.client.operation.duration")
      assert.deepInclude(durations, {
        [`put ${TUBE}`]: 3,
        "put large JobTooBig": 1,
        "delete": 1,
        "delete NotFound": 1,
        "bury": 2
      })
      assert.isAbove(Object.entries(durations).filter(([key]) => key.startsWith("reserve")).length, 0)
      assert.isUndefined(Object.keys(durations).find((key) => key.includes("TimedOut")))
      const { count } = yield* Metric.value(Metric.withAttributes(Metrics.commands, { server: "here", command: "put" }))
      assert.strictEqual(count, 4)
    }).pipe(Effect.provide(Layer.provideMerge(server, Metrics.layerConventions)), isolated))

  it.effect("ask for these attributes and boundaries", () =>
    Effect.gen(function*() {
      yield* busy
      const all = yield* series
      for (const { attributes } of all) {
        assert.deepInclude(attributes, { "messaging.system": "beanstalkd", "server.address": "here" })
      }
      const types = all.map(({ attributes, operation }) => [operation, attributes["messaging.operation.type"]] as const)
      assert.deepInclude(Object.fromEntries(types), {
        put: "send",
        reserve: "receive",
        delete: "settle",
        bury: "settle",
        process: "process"
      })
      const attributes = all.find(({ id }) => id === "messaging.process.duration")!.attributes
      const { buckets } = yield* Metric.value(Metric.withAttributes(Metrics.processDuration, attributes))
      assert.deepStrictEqual(
        buckets.map(([boundary]) => boundary).filter(Number.isFinite),
        [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
      )
    }).pipe(Effect.provide(Layer.provideMerge(server, Metrics.layerConventions)), isolated))

  it.effect("are those of the layers that the layer is provided to", () =>
    Effect.gen(function*() {
      yield* busy
      const ids = new Set((yield* series).map(({ id }) => id))
      assert.isTrue(ids.has("messaging.client.sent.messages"))
      // The worker began outside of it.
      assert.isFalse(ids.has("messaging.process.duration"))
    }).pipe(Effect.provide(server.pipe(Layer.provide(Metrics.layerConventions))), isolated))

  it("say where a server is", () => {
    assert.deepStrictEqual(serverAttributes("10.0.0.2:11300"), { "server.address": "10.0.0.2", "server.port": "11300" })
    assert.deepStrictEqual(serverAttributes("[::1]:11300"), { "server.address": "::1", "server.port": "11300" })
    assert.deepStrictEqual(serverAttributes("unix:/run/beanstalkd"), { "server.address": "/run/beanstalkd" })
    assert.deepStrictEqual(serverAttributes("memory"), { "server.address": "memory" })
  })

  it("say why a handler failed", () => {
    assert.strictEqual(errorTypeOf(Cause.fail(new Refused())), "Refused")
    assert.strictEqual(errorTypeOf(Cause.fail(new TypeError())), "TypeError")
    assert.strictEqual(errorTypeOf(Cause.fail("no")), "_OTHER")
    assert.strictEqual(errorTypeOf(Cause.die("no")), "defect")
    assert.strictEqual(errorTypeOf(Cause.interrupt()), "interrupted")
  })
})
