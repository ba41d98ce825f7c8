/**
 * The metrics as they arrive: at a collector of OpenTelemetry, and in Prometheus' text, from Effect's own exporters.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { Client, Metrics, Server } from "effect-beanstalkd"
import { HttpClient, HttpRouter } from "effect/http"
import { OtlpExporter, PrometheusMetrics } from "effect/observability"
import { BinlogRecorder } from "../../src/internal/telemetry/binlogRecorder.ts"
import * as Collector from "../support/Collector.ts"
import { eventually } from "../support/Eventually.ts"
import { quietly } from "../support/Fixture.ts"
import * as Promtool from "../support/Promtool.ts"
import { outcomes, TUBE, work } from "../support/Workplace.ts"

const UNITS: Readonly<Record<string, string>> = {
  beanstalkd_commands_total: "{command}",
  beanstalkd_command_duration_seconds: "s",
  beanstalkd_errors_total: "{error}",
  beanstalkd_connections: "{connection}",
  beanstalkd_connections_lost_total: "{connection}",
  beanstalkd_jobs_total: "{job}",
  beanstalkd_jobs_in_flight: "{job}",
  beanstalkd_job_duration_seconds: "s",
  beanstalkd_job_wait_seconds: "s",
  beanstalkd_tube_ready_jobs: "{job}",
  beanstalkd_tube_urgent_jobs: "{job}",
  beanstalkd_tube_delayed_jobs: "{job}",
  beanstalkd_tube_reserved_jobs: "{job}",
  beanstalkd_tube_buried_jobs: "{job}",
  beanstalkd_tube_waiting_connections: "{connection}",
  beanstalkd_tube_using_connections: "{connection}",
  beanstalkd_tube_watching_connections: "{connection}",
  beanstalkd_tube_pause_seconds: "s",
  beanstalkd_up: "{server}",
  beanstalkd_binlog_written_bytes_total: "By",
  beanstalkd_binlog_files: "{file}",
  beanstalkd_binlog_bytes: "By",
  beanstalkd_binlog_sync_seconds: "s"
}

const CONVENTIONS: Readonly<Record<string, string>> = {
  "messaging.client.operation.duration": "s",
  "messaging.client.sent.messages": "{message}",
  "messaging.client.consumed.messages": "{message}",
  "messaging.process.duration": "s"
}

/** A program that updates every metric there is: a worker, a failed command, a lost connection, gauges, a binlog. */
const busy = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  yield* beanstalkd.put(TUBE, "hello")
  yield* Effect.flip(beanstalkd.delete(4_711 as never))
  yield* work(() => Effect.void)
  yield* eventually(Effect.map(outcomes(beanstalkd.server), (all) => assert.deepInclude(all, { succeeded: 1 })))
  yield* (yield* Server.Server).dropConnections
  const recorder = new BinlogRecorder("/var/lib/jobs", yield* Effect.context())
  recorder.onWritten(10)
  recorder.onFiles(1, 4096)
  recorder.onSynced(0.01)
  yield* Layer.build(Metrics.layerTubes(TUBE))
  const up = Metric.value(Metric.withAttributes(Metrics.up, { server: beanstalkd.server }))
  yield* eventually(Effect.map(up, ({ value }) => assert.strictEqual(value, 1)))
})

const onServer = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.provide(Layer.provideMerge(Server.layerMemory(), Metrics.layerConventions)),
    Effect.scoped,
    Effect.provideServiceEffect(Metric.MetricRegistry, Effect.sync(() => new Map())),
    quietly
  )

/** What Prometheus is given when it scrapes. */
const scraped = Effect.gen(function*() {
  const response = yield* HttpClient.get("/metrics")
  assert.strictEqual(response.status, 200)
  return yield* response.text
}).pipe(
  Effect.provide(
    HttpRouter.serve(PrometheusMetrics.layerHttp(), { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layerTest)
    )
  )
)

const unitsOf = (metrics: ReadonlyArray<Collector.Metric>) =>
  Object.fromEntries(metrics.map(({ name, unit }) => [name, unit]))

describe("exported metrics", () => {
  it.live("arrive at a collector with their units", () =>
    Effect.gen(function*() {
      const collector = yield* Collector.make
      yield* busy.pipe(
        Effect.andThen(Effect.flatMap(OtlpExporter.Flusher, ({ flush }) => flush)),
        Effect.provide(Collector.exporting(collector))
      )
      const metrics = yield* collector.until(({ metric, metrics }) => {
        return metric.call(collector, "beanstalkd_up") === undefined ? undefined : metrics
      })
      assert.deepStrictEqual(unitsOf(metrics), { ...UNITS, ...CONVENTIONS })
      for (const { kind, name, unit } of metrics) {
        // A gauge of unit 1 would be called a ratio by those who make Prometheus' names of OpenTelemetry's.
        if (kind === "gauge") assert.notStrictEqual(unit, "1", name)
        assert.strictEqual(kind === "sum", name.endsWith("_total") || name.endsWith(".messages"), name)
        assert.strictEqual(
          kind === "histogram",
          /(duration|wait|sync|duration_seconds|wait_seconds|sync_seconds)$/.test(name)
        )
      }
      const put = collector.point("beanstalkd_command_duration_seconds", { command: "put" })
      assert.strictEqual(put!.count, 1)
      assert.isBelow(put!.value, 10)
    }).pipe(onServer))

  it.live("are what Prometheus' text has, each name once and without a unit too many", () =>
    Effect.gen(function*() {
      yield* busy
      const text = yield* scraped
      const families = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => ({ name: name!, type }))
      const ours = families.filter(({ name }) => name.startsWith("beanstalkd"))
      assert.sameMembers(ours.map(({ name }) => name), Object.keys(UNITS))
      for (const { name, type } of ours) {
        assert.strictEqual(type === "counter", name.endsWith("_total"), name)
        assert.notMatch(name, /(seconds|bytes|total|jobs|connections).*_\1$/)
        if (UNITS[name] === "s") assert.match(name, /_seconds$/)
        if (UNITS[name] === "By") assert.match(name, /_bytes(_total)?$/)
      }
      assert.notMatch(text, /[{,](time_)?unit=/)
      assert.match(text, /^beanstalkd_commands_total\{server="memory",command="put"\} 1$/m)
      assert.match(text, /^beanstalkd_command_duration_seconds_count\{server="memory",command="put"\} 1$/m)
      assert.match(text, /^beanstalkd_jobs_total\{server="memory",outcome="reserved",tube="work"\} 1$/m)
    }).pipe(onServer))

  it.live.skipIf(!Promtool.isThere)("pass promtool", () =>
    Effect.gen(function*() {
      yield* busy
      const text = yield* scraped
      const families = text.split(/^(?=# HELP )/m).filter((family) => family.startsWith("# HELP beanstalkd"))
      assert.strictEqual(families.length, Object.keys(UNITS).length)
      assert.strictEqual(Promtool.complaints(families.join("")), "")
    }).pipe(onServer))
})
