/**
 * Spans, as a collector receives them: which trace they are of, and what they say.
 */
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Fiber, Layer, Option, Schema, Stream, Tracer } from "effect"
import { type Client, Envelope, Tube, Worker } from "effect-beanstalkd"
import { HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { NodeHttpServer } from "@effect/platform-node"
import * as Collector from "../support/Collector.ts"
import { eventually } from "../support/Eventually.ts"
import { onMemory } from "../support/Fixture.ts"

const Order = Schema.Struct({ id: Schema.Finite })

class Refused extends Data.TaggedError("Refused")<{ readonly message: string }> {}

interface Tubes {
  readonly orders: Tube.Tube<typeof Order.Type>
  readonly mails: Tube.Tube<typeof Order.Type>
}

const tubes = (envelope: Tube.Options<typeof Order, Client.Beanstalkd>["envelope"]): Tubes => ({
  orders: Tube.make("orders", { schema: Order, envelope }),
  mails: Tube.make("mails", { schema: Order, envelope })
})

const work = <E, R>(
  tube: Tube.Tube<typeof Order.Type>,
  handler: Worker.Handler<typeof Order.Type, E, R>,
  options?: Worker.Options<typeof Order.Type, E, R>
) => Effect.forkScoped(Worker.run(tube, handler, options))

// POST /orders puts a job, whose worker puts another one, whose worker ends the story. The workers are started in a span.
const shop = Effect.fnUntraced(function*({ mails, orders }: Tubes) {
  yield* Effect.withSpan(
    Effect.andThen(
      work(orders, (order) => mails.put(order)),
      work(mails, () => Effect.withSpan(Effect.void, "sends a mail"))
    ),
    "main"
  )
  const routes = HttpRouter.add("POST", "/orders", Effect.as(orders.put({ id: 7 }), HttpServerResponse.text("placed")))
  yield* HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layerTest),
    Layer.build,
    Effect.flatMap((context) =>
      Effect.provideContext(
        // A request from elsewhere, which is in no trace yet.
        Effect.withTracerEnabled(Effect.flatMap(HttpClient.HttpClient, (client) => client.post("/orders")), false),
        context
      )
    )
  )
})

// Runs a program until the collector has what the test looks for, and then ends all of it.
const exported = <A, E, R>(
  program: Effect.Effect<A, E, R>,
  look: (collector: Collector.Collector) => boolean
) =>
  Effect.gen(function*() {
    const collector = yield* Collector.make
    const main = Effect.andThen(program, collector.until(() => look(collector) ? true : undefined)).pipe(
      Effect.scoped
    )
    yield* Effect.scoped(
      Effect.flatMap(Layer.build(Collector.exporting(collector)), (context) => Effect.provideContext(main, context))
    )
    return collector
  })

const only = (spans: ReadonlyArray<Collector.Span>): Collector.Span => {
  assert.strictEqual(spans.length, 1)
  return spans[0]!
}

const atLeast = (n: number, name: string) => (collector: Collector.Collector) => collector.named(name).length >= n

describe("a trace", () => {
  it.live("goes from a request through two tubes and their workers", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const collector = yield* exported(
        shop(tubes(true)),
        (collector) => atLeast(1, "sends a mail")(collector) && atLeast(1, "process mails")(collector)
      )
      const names = ["send orders", "process orders", "send mails", "process mails", "sends a mail"]
      const spans = names.map((name) => only(collector.named(name)))
      const request = collector.spans.find(({ kind, spanId }) => kind === "server" && spanId === spans[0]!.parentSpanId)
      assert.isDefined(request)
      for (const [i, span] of spans.entries()) {
        assert.strictEqual(span.traceId, request.traceId, span.name)
        assert.strictEqual(span.parentSpanId, (spans[i - 1] ?? request).spanId, span.name)
      }
      assert.deepStrictEqual(spans.map(({ kind }) => kind), [
        "producer",
        "consumer",
        "producer",
        "consumer",
        "internal"
      ])
      const { id } = yield* Tube.make("x", { codec: "text" }).put("x")
      assert.strictEqual(id, 3)
      assert.deepInclude(spans[0]!.attributes, {
        "messaging.system": "beanstalkd",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "orders",
        "messaging.message.id": "1",
        "server.address": beanstalkd.server
      })
      const { "messaging.beanstalkd.message.key": key, "messaging.beanstalkd.message.wait_time": wait, ...attributes } =
        spans[1]!.attributes
      assert.deepStrictEqual(attributes, {
        "messaging.system": "beanstalkd",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "orders",
        "messaging.message.id": "1",
        "messaging.beanstalkd.message.delivery_attempt": 1,
        "messaging.beanstalkd.message.priority": 2147483648,
        "messaging.beanstalkd.message.ttr": 120,
        "server.address": beanstalkd.server
      })
      assert.match(key as string, /^[0-9a-f-]{36}$/)
      // The queue latency: it ends where the span begins, and began with the put, whose span is the parent.
      assert(typeof wait === "number")
      assert.isAtLeast(wait, 0)
      assert.isAtMost(wait, Number(spans[1]!.startNanos - spans[0]!.startNanos) / 1e9 + 0.002)
      assert.deepStrictEqual(spans[1]!.events.map(({ attributes, name }) => [name, attributes]), [
        ["settle", { "messaging.operation.name": "delete", "messaging.operation.type": "settle" }]
      ])
      // That in which the workers were started has nothing of the jobs.
      assert.notStrictEqual(only(collector.named("main")).traceId, request.traceId)
    })))

  it.live("is linked where the tube says so: each handler has its own", () =>
    onMemory(Effect.fnUntraced(function*() {
      const collector = yield* exported(
        shop(tubes({ trace: "link" })),
        atLeast(1, "process mails")
      )
      const [send, process, sendAgain, processAgain] = ["send orders", "process orders", "send mails", "process mails"]
        .map((name) => only(collector.named(name)))
      assert.strictEqual(process!.parentSpanId, undefined)
      assert.deepStrictEqual(process!.links.map(({ spanId, traceId }) => [spanId, traceId]), [[
        send!.spanId,
        send!.traceId
      ]])
      assert.strictEqual(sendAgain!.traceId, process!.traceId)
      assert.deepStrictEqual(processAgain!.links.map(({ spanId }) => spanId), [sendAgain!.spanId])
      assert.strictEqual(new Set([send, process, processAgain].map((span) => span!.traceId)).size, 3)
    })))

  it.live("begins with the job if there is no envelope, or one that is not to tell", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      for (const envelope of [undefined, "accept", { trace: "none" }] as const) {
        const collector = yield* exported(
          shop(tubes(envelope)),
          atLeast(1, "process mails")
        )
        const [process, again] = ["process orders", "process mails"].map((name) => only(collector.named(name)))
        assert.deepStrictEqual([process!.parentSpanId, again!.parentSpanId], [undefined, undefined])
        assert.deepStrictEqual([process!.links, again!.links], [[], []])
        assert.strictEqual(
          new Set([process, again, only(collector.named("main"))].map((span) => span!.traceId)).size,
          3
        )
        assert.deepStrictEqual(
          collector.named("send orders").map(({ kind }) => kind),
          envelope !== undefined && envelope !== "accept" ? ["client"] : []
        )
      }
      assert.strictEqual((yield* beanstalkd.stats).currentJobsReady, 0)
    })))

  it.live("says how each attempt ended, and what became of its job", () =>
    onMemory(Effect.fnUntraced(function*() {
      const { orders } = tubes(true)
      const attempts: Array<number> = []
      const collector = yield* exported(
        Effect.gen(function*() {
          yield* orders.putAll([{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }])
          yield* work(orders, ({ id }) => {
            attempts.push(id)
            if (id === 1) return new Refused({ message: "no" })
            if (id === 2) return Effect.die("defect")
            return id === 3 ? Worker.discard("nobody needs it") : Worker.snooze("1 hour")
          }, { maxAttempts: 1 })
        }),
        atLeast(4, "process orders")
      )
      const batch = only(collector.named("send orders"))
      assert.strictEqual(batch.attributes["messaging.batch.message_count"], 4)
      const spans = collector.named("process orders").toSorted((a, b) => Number(a.startNanos - b.startNanos))
      assert.deepStrictEqual(
        spans.map(({ attributes, events, parentSpanId, status }) => [
          status.code,
          attributes["error.type"],
          events.filter(({ name }) => name === "settle").map(({ attributes }) =>
            attributes["messaging.operation.name"]
          ),
          parentSpanId === batch.spanId
        ]),
        [
          ["error", "Refused", ["bury"], true],
          ["error", "defect", ["bury"], true],
          ["ok", undefined, ["delete"], true],
          ["ok", undefined, ["delete"], true]
        ]
      )
    })))

  it.live("says when a put fails", () =>
    onMemory(Effect.fnUntraced(function*() {
      const { orders } = tubes(true)
      const collector = yield* exported(
        Effect.all([Effect.exit(orders.put({ id: 1 }, { delay: -1 })), Effect.exit(orders.put({ id: 1 }, { ttr: 1 }))]),
        atLeast(2, "send orders")
      )
      assert.deepStrictEqual(
        collector.named("send orders").map(({ attributes, status }) => [status.code, attributes["error.type"]]),
        [["error", "InvalidArgument"], ["error", "InvalidArgument"]]
      )
    })))

  it.live("passes through a program that has no tracer, with its state", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { mails, orders } = tubes(true)
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      const head = { traceparent, tracestate: "vendor=7", contentType: "json" } as const
      yield* beanstalkd.put("orders", yield* Envelope.encode(`{"id":7}`, head))
      const worker = yield* work(orders, (order) => Effect.withSpan(mails.put(order), "inner"))
      const job = yield* mails.stream().pipe(Stream.tap((job) => job.delete), Stream.runHead)
      yield* Fiber.interrupt(worker)
      const told = Option.getOrThrow(job).envelope!
      assert.match(told.traceparent!, /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/)
      assert.strictEqual(told.tracestate, "vendor=7")
    })))

  it.live("that is not sampled stays so, and a traceparent that cannot be read begins another", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { orders } = tubes(true)
      const seen: Array<readonly [string, boolean]> = []
      for (const traceparent of ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "00-zz-1-01"]) {
        yield* beanstalkd.put("orders", yield* Envelope.encode(`{"id":7}`, { traceparent }))
      }
      yield* exported(
        work(orders, () => Effect.map(Effect.currentSpan, ({ sampled, traceId }) => seen.push([traceId, sampled]))),
        atLeast(1, "process orders")
      )
      assert.deepStrictEqual(seen[0], ["0af7651916cd43dd8448eb211c80319c", false])
      assert.isTrue(seen[1]![1])
      assert.notStrictEqual(seen[1]![0], "zz")
    })))
})

describe("without a tracer", () => {
  it.live("no span is made", () =>
    onMemory(Effect.fnUntraced(function*() {
      const { orders } = tubes(true)
      let made = 0
      // What the default tracer would be asked for.
      const counting = Tracer.make({
        span: (options) => {
          made++
          return new Tracer.NativeSpan(options)
        }
      })
      const seen: Array<boolean> = []
      const job = Effect.scoped(Effect.gen(function*() {
        const before = seen.length
        yield* orders.put({ id: 1 })
        yield* work(
          orders,
          () => Effect.map(Effect.option(Effect.currentSpan), (span) => seen.push(Option.isSome(span)))
        )
        yield* eventually(Effect.sync(() => assert.isAbove(seen.length, before)))
      }))
      yield* job
      assert.deepStrictEqual(seen, [false])
      yield* Effect.provideService(job, Tracer.Tracer, counting)
      assert.deepStrictEqual([seen, made], [[false, true], 2])
      yield* job.pipe(Effect.provideService(Tracer.Tracer, counting), Effect.withTracerEnabled(false))
      assert.deepStrictEqual([seen, made], [[false, true, false], 2])
    })))
})
