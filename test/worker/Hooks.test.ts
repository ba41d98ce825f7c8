/**
 * What a worker tells of its work: to hooks, in spans and logs, and as metrics.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Latch, Metric, Tracer } from "effect"
import { Metrics, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { areIn, inFlight, keepLog, onItsOwn, outcomes, silently, Texts, TUBE, work } from "./Workplace.ts"

class Audit extends Context.Service<Audit, { readonly entries: Array<string> }>()("test/Audit") {}

const note = (entry: string) => Effect.map(Audit, ({ entries }) => void entries.push(entry))

const audited = <A, E, R>(effect: Effect.Effect<A, E, R>, entries: Array<string>) =>
  Effect.provideService(effect, Audit, { entries })

describe("hooks", () => {
  it.effect("hear of each failed attempt, and of the end, in this order, with what the worker needs at hand", () => {
    const entries: Array<string> = []
    return onItsOwn(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      const worker = work((value) => Effect.andThen(note(`handles ${value}`), Effect.fail("no")), {
        maxAttempts: 2,
        onFailure: (cause, job) => note(`onFailure ${String(Cause.squash(cause))} ${job.value}`),
        onBury: (cause, job) => note(`onBury ${String(Cause.squash(cause))} ${job.text}`)
      })
      yield* audited(worker, entries)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(entries, [
        "handles hello",
        "onFailure no hello",
        "handles hello",
        "onFailure no hello",
        "onBury no hello"
      ])
      yield* areIn(beanstalkd, { buried: 1 })
    })).pipe(silently)
  })

  it.effect("hear of a job that goes to the dead-letter tube, and of defects", () =>
    onItsOwn(Effect.fnUntraced(function*(beanstalkd) {
      const entries: Array<string> = []
      yield* beanstalkd.putAll(TUBE, ["fails", "dies"])
      yield* work((value) => value === "dies" ? Effect.die("defect") : Effect.fail("no"), {
        maxAttempts: 1,
        deadLetter: "dead",
        onFailure: (cause) => Effect.sync(() => entries.push(`onFailure ${String(Cause.squash(cause))}`)),
        onBury: (cause) => Effect.sync(() => entries.push(`onBury ${String(Cause.squash(cause))}`))
      })
      assert.deepStrictEqual(entries, ["onFailure no", "onBury no", "onFailure defect", "onBury defect"])
      yield* areIn(beanstalkd, { buried: 1 })
      yield* areIn(beanstalkd, { ready: 1 }, "dead")
    })).pipe(silently))

  it.effect("hear nothing of an interruption, nor of what a handler did to its job before it failed", () =>
    onItsOwn(Effect.fnUntraced(function*(beanstalkd) {
      const entries: Array<string> = []
      const enter = (entry: string) => () => Effect.sync(() => void entries.push(entry))
      yield* beanstalkd.putAll(TUBE, ["deletes", "interrupts"])
      yield* work((value, job) => {
        if (value === "deletes") return Effect.andThen(job.delete, Effect.fail("no"))
        return Effect.flatMap(job.attempt, (attempt) => attempt === 1 ? Effect.interrupt : Effect.void)
      }, { onFailure: enter("onFailure"), onBury: enter("onBury"), onLost: enter("onLost") })
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, {})
      assert.deepStrictEqual(entries, [])
    })).pipe(silently))

  const bad: Record<string, () => Effect.Effect<void>> = {
    "that dies": () => Effect.die(new Error("a defect in a hook")),
    "that throws": () => {
      throw new Error("a defect in a hook")
    },
    "that is interrupted": () => Effect.interrupt,
    "that gives no effect": () => undefined as never
  }

  it.effect.each(Object.entries(bad))("of which one (%s) hold nothing up", ([, hook]) => {
    const { log, logged } = keepLog()
    return onItsOwn(Effect.fnUntraced(function*(beanstalkd, server) {
      let runs = 0
      yield* beanstalkd.put(TUBE, "hello")
      yield* work(() => ++runs === 3 ? Effect.never : Effect.fail("no"), {
        maxAttempts: 2,
        onFailure: hook,
        onBury: hook,
        onLost: hook
      })
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, { buried: 1 })
      yield* beanstalkd.kick(TUBE)
      yield* areIn(beanstalkd, { reserved: 1 })
      yield* server.dropConnections
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, { buried: 1 })
      assert.strictEqual(runs, 3)
      const errors = log.filter(({ message }) => message === "a hook of the worker died")
      assert.strictEqual(errors.length, hook === bad["that gives no effect"] ? 0 : 5)
    })).pipe(logged)
  })
})

const keepSpans = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, traced: Effect.provideService(Tracer.Tracer, tracer) }
}

describe("a span", () => {
  it.effect("is there for each attempt, with OpenTelemetry's names, and how it ended", () => {
    const { spans, traced } = keepSpans()
    return onItsOwn(Effect.fnUntraced(function*(beanstalkd) {
      const ids = yield* beanstalkd.putAll(TUBE, ["good", "bad"])
      yield* work((value) => Effect.withSpan(value === "bad" ? Effect.fail("no") : Effect.sleep("3 seconds"), "inner"))
      yield* TestClock.adjust("3 seconds")
      const processes = spans.filter(({ name }) => name === "process")
      assert.deepStrictEqual(
        processes.map(({ attributes, kind }) => ({ kind, attributes: Object.fromEntries(attributes) })),
        ids.map((id) => ({
          kind: "consumer" as const,
          attributes: {
            "messaging.system.name": "beanstalkd",
            "messaging.operation.name": "process",
            "messaging.destination.name": TUBE,
            "messaging.message.id": String(id)
          }
        }))
      )
      const seen = processes.map(({ startTime, status }) => {
        assert(status._tag === "Ended")
        return [Exit.isSuccess(status.exit), Number(status.endTime - startTime) / 1e9]
      })
      assert.deepStrictEqual(seen, [[true, 3], [false, 0]])
      const parents = spans.filter(({ name }) => name === "inner").map(({ parent }) =>
        parent._tag === "Some" && parent.value === processes[0] ||
        parent._tag === "Some" && parent.value === processes[1]
      )
      assert.deepStrictEqual(parents, [true, true])
    })).pipe(traced, silently)
  })
})

describe("logs", () => {
  it.effect("of the handler have the tube, the job and the attempt; of the worker too, with the cause", () => {
    const { log, logged } = keepLog()
    return onItsOwn(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      yield* work(() => Effect.andThen(Effect.logInfo("at work"), Effect.fail("no")), { maxAttempts: 2 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        log.map(({ annotations, cause, level, message }) => [level, message, annotations, Cause.pretty(cause) === ""]),
        [
          ["Info", "at work", { tube: TUBE, job: 1, attempt: 1 }, true],
          ["Warn", "attempt 1 failed, the next one comes in 1s", { tube: TUBE, job: 1, attempt: 1 }, false],
          ["Info", "at work", { tube: TUBE, job: 1, attempt: 2 }, true],
          ["Error", "failed for good, buried", { tube: TUBE, job: 1, attempt: 2 }, false]
        ]
      )
    })).pipe(logged)
  })

  it.effect("tell the attempt without the crash guard too, once it is known", () => {
    const { log, logged } = keepLog()
    return onItsOwn(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      yield* work(() => Effect.andThen(Effect.logInfo("at work"), Effect.fail("no")), {
        maxAttempts: 1,
        crashGuard: false
      })
      assert.deepStrictEqual(log.map(({ message }) => message), ["at work", "failed for good, buried"])
      assert.deepInclude(log[1]!.annotations, { tube: TUBE, job: 1 })
    })).pipe(logged)
  })
})

describe("metrics", () => {
  it.effect("count the outcomes of each tube, the handlers that run, and how long they ran", () =>
    onItsOwn(Effect.fnUntraced(function*(beanstalkd) {
      const { server } = beanstalkd
      const goOn = yield* Latch.make()
      yield* beanstalkd.putAll(TUBE, ["good", "bad", "waits", "good"])
      yield* work(
        (value) => value === "bad" ? Effect.fail("no") : value === "waits" ? goOn.await : Effect.sleep("3 seconds"),
        {
          concurrency: 4,
          maxAttempts: 2
        }
      )
      assert.strictEqual(yield* inFlight(server), 3)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* inFlight(server), 1)
      yield* goOn.open
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* inFlight(server), 0)
      assert.deepStrictEqual(
        yield* outcomes(server),
        { reserved: 5, succeeded: 3, failed: 2, retried: 1, buried: 1 }
      )
      assert.deepStrictEqual(yield* outcomes(server, "another"), {})
      const durations = yield* Metric.value(Metric.withAttributes(Metrics.jobDuration, { server, tube: TUBE }))
      assert.deepInclude(durations, { count: 5, min: 0, max: 10_000, sum: 16_000 })
    })).pipe(silently))

  it.effect("come back to zero when a worker is interrupted", () =>
    onItsOwn(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c"])
      yield* Effect.timeoutOption(
        Effect.andThen(
          Effect.yieldNow,
          Worker.run(Texts, () => Effect.never, { concurrency: 3, shutdownTimeout: 0 })
        ),
        "1 second"
      ).pipe(Effect.forkScoped)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* inFlight(beanstalkd.server), 3)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* inFlight(beanstalkd.server), 0)
      assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 3 })
    })))
})
