/**
 * The collector reads what Effect's exporter writes.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { OtlpExporter } from "effect/observability"
import * as Collector from "./Collector.ts"

it.live("the collector keeps spans, metrics and logs, and tells when something has come", () =>
  Effect.gen(function*() {
    const collector = yield* Collector.make
    yield* Effect.gen(function*() {
      yield* Metric.update(Metric.counter("probes", { attributes: { color: "red" } }), 3)
      yield* Metric.update(Metric.histogram("waits", { boundaries: [1, 2], attributes: { unit: "s" } }), 1.5)
      yield* Effect.logInfo("probed").pipe(
        Effect.withSpan("inner", { kind: "consumer", attributes: { n: 1, yes: true } }),
        Effect.withSpan("outer")
      )
      yield* Effect.flatMap(OtlpExporter.Flusher, ({ flush }) => flush)
    }).pipe(Effect.provide(Collector.exporting(collector, "probe")))
    const inner = yield* collector.until((all) => all.named("inner")[0])
    const outer = yield* collector.until((all) => all.named("outer")[0])
    assert.deepInclude(inner, { traceId: outer.traceId, parentSpanId: outer.spanId, kind: "consumer" })
    assert.deepInclude(inner.attributes, { n: 1, yes: true })
    assert.strictEqual(inner.resource["service.name"], "probe")
    assert.strictEqual(outer.parentSpanId, undefined)
    assert.deepInclude(yield* collector.until((all) => all.point("probes", { color: "red" })), { value: 3 })
    assert.deepInclude(collector.metric("waits")!, { unit: "s", kind: "histogram" })
    assert.deepInclude(collector.point("waits")!, { value: 1.5, count: 1, bounds: [1, 2], counts: [0, 1, 0] })
    assert.deepInclude(yield* collector.until((all) => all.logs[0]), { body: "probed", spanId: inner.spanId })
  }).pipe(Effect.provideServiceEffect(Metric.MetricRegistry, Effect.sync(() => new Map()))))
