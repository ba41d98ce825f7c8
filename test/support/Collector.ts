/**
 * An OpenTelemetry collector on loopback: OTLP over HTTP, as JSON. It keeps what programs export, their spans, metrics
 * and logs, in a form that assertions can read.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { FetchHttpClient } from "effect/http"
import { Otlp, type OtlpLogger, type OtlpMetrics, type OtlpResource, type OtlpTracer } from "effect/observability"
import * as Http from "node:http"
import type * as Net from "node:net"
import { eventually, type EventuallyOptions } from "./Eventually.ts"

/** The value of an attribute. Whole numbers are numbers, as far as they are safe. */
export type Value = string | number | boolean | null | ReadonlyArray<Value> | { readonly [key: string]: Value }

export type Attributes = Readonly<Record<string, Value>>

/** One span, from an export to `/v1/traces`. */
export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: "unspecified" | "internal" | "server" | "client" | "producer" | "consumer"
  readonly startNanos: bigint
  readonly endNanos: bigint
  readonly attributes: Attributes
  readonly events: ReadonlyArray<{ readonly name: string; readonly attributes: Attributes; readonly nanos: bigint }>
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string; readonly attributes: Attributes }>
  readonly status: { readonly code: "unset" | "ok" | "error"; readonly message: string | undefined }
  /** The attributes of the program that exported it. */
  readonly resource: Attributes
}

/** One series of a metric. `value` is the sum of a counter, the value of a gauge, the sum of a histogram's values. */
export interface Point {
  readonly attributes: Attributes
  readonly value: number
  readonly count: number | undefined
  readonly bounds: ReadonlyArray<number> | undefined
  readonly counts: ReadonlyArray<number> | undefined
}

/** One metric, from an export to `/v1/metrics`. */
export interface Metric {
  readonly name: string
  readonly description: string | undefined
  readonly unit: string | undefined
  readonly kind: "sum" | "gauge" | "histogram" | "summary"
  readonly isMonotonic: boolean | undefined
  readonly points: ReadonlyArray<Point>
}

/** One record, from an export to `/v1/logs`. */
export interface LogRecord {
  readonly severity: string | undefined
  readonly body: Value
  readonly attributes: Attributes
  readonly traceId: string | undefined
  readonly spanId: string | undefined
  readonly resource: Attributes
}

export interface Collector {
  readonly port: number
  /** What exporters are given: they add `/v1/traces` and so on. */
  readonly baseUrl: string
  /** All spans that have come, in that order. */
  readonly spans: ReadonlyArray<Span>
  readonly logs: ReadonlyArray<LogRecord>
  /** The metrics of the last export. An exporter always sends all that it knows. */
  readonly metrics: ReadonlyArray<Metric>
  /** How many exports have come, by their paths. */
  readonly exports: Readonly<Record<string, number>>
  /** The metric of that name in the last export. */
  readonly metric: (name: string) => Metric | undefined
  /** The series of a metric with at least these attributes in the last export, if there is exactly one. */
  readonly point: (name: string, attributes?: Attributes) => Point | undefined
  /** The spans of that name. */
  readonly named: (name: string) => ReadonlyArray<Span>
  /** Waits until `look` finds something, in real time. `look` is asked again and again. */
  readonly until: <A>(look: (collector: Collector) => A | undefined, options?: EventuallyOptions) => Effect.Effect<A>
}

// ---------------------------------------------------------------------------------------------------------------------
// The JSON of OTLP
// ---------------------------------------------------------------------------------------------------------------------

const valueOf = (value: OtlpResource.AnyValue | null | undefined): Value => {
  if (value?.arrayValue !== undefined) return value.arrayValue.values.map(valueOf)
  if (value?.kvlistValue !== undefined) return attributesOf(value.kvlistValue.values)
  if (typeof value?.intValue === "number" || typeof value?.intValue === "string") return Number(value.intValue)
  return value?.stringValue ?? value?.boolValue ?? value?.doubleValue ?? null
}

const attributesOf = (entries: ReadonlyArray<OtlpResource.KeyValue> = []): Attributes =>
  Object.fromEntries(entries.map(({ key, value }) => [key, valueOf(value)]))

const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"] as const
const CODES = ["unset", "ok", "error"] as const

type OtlpSpan = OtlpTracer.ScopeSpan["spans"][number]

const spanOf = (span: OtlpSpan, resource: Attributes): Span => ({
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parentSpanId === "" ? undefined : span.parentSpanId,
  name: span.name,
  kind: KINDS[span.kind] ?? "unspecified",
  startNanos: BigInt(span.startTimeUnixNano),
  endNanos: BigInt(span.endTimeUnixNano),
  attributes: attributesOf(span.attributes),
  events: span.events.map(({ attributes, name, timeUnixNano }) => ({
    name,
    attributes: attributesOf(attributes),
    nanos: BigInt(timeUnixNano)
  })),
  links: span.links.map(({ attributes, spanId, traceId }) => ({
    traceId,
    spanId,
    attributes: attributesOf(attributes)
  })),
  status: { code: CODES[span.status.code] ?? "unset", message: span.status.message },
  resource
})

type OtlpMetric = OtlpMetrics.MetricsData["resourceMetrics"][number]["scopeMetrics"][number]["metrics"][number]

const kindOf = ({ gauge, histogram, sum }: OtlpMetric): Metric["kind"] =>
  sum !== undefined ? "sum" : gauge !== undefined ? "gauge" : histogram !== undefined ? "histogram" : "summary"

const metricOf = (metric: OtlpMetric): Metric => {
  const { description, gauge, histogram, name, sum, unit } = metric
  const numbers = (sum ?? gauge)?.dataPoints ?? []
  const distributions = histogram?.dataPoints ?? []
  return {
    name,
    description,
    unit,
    kind: kindOf(metric),
    isMonotonic: sum?.isMonotonic,
    points: [
      ...numbers.map(({ asDouble, asInt, attributes }) => ({
        attributes: attributesOf(attributes),
        value: Number(asDouble ?? asInt),
        count: undefined,
        bounds: undefined,
        counts: undefined
      })),
      ...distributions.map(({ attributes, bucketCounts, count, explicitBounds, sum }) => ({
        attributes: attributesOf(attributes),
        value: Number(sum),
        count,
        bounds: explicitBounds,
        counts: bucketCounts
      }))
    ]
  }
}

type OtlpLog = NonNullable<OtlpLogger.LogsData["resourceLogs"][number]["scopeLogs"][number]["logRecords"]>[number]

const logOf = (log: OtlpLog, resource: Attributes): LogRecord => ({
  severity: log.severityText,
  body: valueOf(log.body),
  attributes: attributesOf(log.attributes),
  traceId: log.traceId as string | undefined,
  spanId: log.spanId as string | undefined,
  resource
})

const ownerOf = ({ resource }: { readonly resource?: OtlpResource.Resource | undefined }): Attributes =>
  attributesOf(resource?.attributes)

// ---------------------------------------------------------------------------------------------------------------------
// The collector
// ---------------------------------------------------------------------------------------------------------------------

const matches = (attributes: Attributes, wanted: Attributes): boolean =>
  Object.entries(wanted).every(([key, value]) => attributes[key] === value)

class Received implements Collector {
  port = 0
  readonly spans: Array<Span> = []
  readonly logs: Array<LogRecord> = []
  metrics: ReadonlyArray<Metric> = []
  readonly exports: Record<string, number> = {}

  get baseUrl(): string {
    return `http://127.0.0.1:${this.port}`
  }

  metric(name: string): Metric | undefined {
    return this.metrics.find((metric) => metric.name === name)
  }

  point(name: string, attributes: Attributes = {}): Point | undefined {
    const points = this.metric(name)?.points.filter((point) => matches(point.attributes, attributes)) ?? []
    return points.length === 1 ? points[0] : undefined
  }

  named(name: string): ReadonlyArray<Span> {
    return this.spans.filter((span) => span.name === name)
  }

  until<A>(look: (collector: Collector) => A | undefined, options?: EventuallyOptions): Effect.Effect<A> {
    const attempt = Effect.suspend(() => {
      const found = look(this)
      return found === undefined
        ? Effect.die(new Error(`not in what was exported: ${look.toString()}`))
        : Effect.succeed(found)
    })
    return eventually(attempt, options)
  }

  /** Keeps one export. Returns false for a path that no collector has. */
  take(path: string, body: unknown): boolean {
    switch (path) {
      case "/v1/traces":
        for (const group of (body as OtlpTracer.TraceData).resourceSpans) {
          for (const { spans } of group.scopeSpans) {
            this.spans.push(...spans.map((span) => spanOf(span, ownerOf(group))))
          }
        }
        break
      case "/v1/logs":
        for (const group of (body as OtlpLogger.LogsData).resourceLogs) {
          for (const { logRecords = [] } of group.scopeLogs) {
            this.logs.push(...logRecords.map((log) => logOf(log, ownerOf(group))))
          }
        }
        break
      case "/v1/metrics":
        this.metrics = (body as OtlpMetrics.MetricsData).resourceMetrics.flatMap(({ scopeMetrics }) =>
          scopeMetrics.flatMap(({ metrics }) => metrics.map(metricOf))
        )
        break
      default:
        return false
    }
    this.exports[path] = (this.exports[path] ?? 0) + 1
    return true
  }
}

/** A collector that listens on a loopback port until the Scope is closed. */
export const make: Effect.Effect<Collector, never, Scope.Scope> = Effect.gen(function*() {
  const received = new Received()
  const server = Http.createServer((request, response) => {
    const pieces: Array<Buffer> = []
    request.on("data", (piece: Buffer) => pieces.push(piece))
    request.on("end", () => {
      let status = 400
      try {
        status = received.take(request.url ?? "", JSON.parse(Buffer.concat(pieces).toString())) ? 200 : 404
      } catch {
        // Not the JSON of OTLP: the exporter is told.
      }
      response.writeHead(status, { "content-type": "application/json" }).end("{}")
    })
  })
  yield* Effect.addFinalizer(() =>
    Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
      server.closeAllConnections()
    })
  )
  yield* Effect.callback<void>((resume) => {
    server.once("error", (error) => resume(Effect.die(error)))
    server.listen(0, "127.0.0.1", () => resume(Effect.void))
  })
  received.port = (server.address() as Net.AddressInfo).port
  return received
})

/**
 * Exports spans, metrics and logs of a program to a collector with Effect's own exporter: every 20 milliseconds by the
 * clock of the layer, on `OtlpExporter.Flusher.flush`, and when the layer's Scope is closed.
 */
export const exporting = ({ baseUrl }: Pick<Collector, "baseUrl">, serviceName = "test") =>
  Otlp.layerJson({
    baseUrl,
    resource: { serviceName },
    loggerExportInterval: "20 millis",
    metricsExportInterval: "20 millis",
    tracerExportInterval: "20 millis"
  }).pipe(Layer.provide(FetchHttpClient.layer))
