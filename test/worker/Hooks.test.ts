/**
 * What a worker reports of its work: to hooks, in spans and logs, and as metrics.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Latch, Logger, Metric, Tracer } from "effect"
import { Metrics, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { onMemory } from "../support/Fixture.ts"
import { areIn, inFlight, keepLog, outcomes, Texts, TUBE, work } from "../support/Workplace.ts"

class Audit extends Context.Service<Audit, { readonly entries: Array<string> }>()("test/Audit") {}

const note = (entry: string) => Effect.map(Audit, ({ entries }) => void entries.push(entry))

const audited = <A, E, R>(effect: Effect.Effect<A, E, R>, entries: Array<string>) =>
  Effect.provideService(effect, Audit, { entries })

describe("hooks", () => {
  it.effect("hear of each failed attempt, and of the end, in this order, with what the worker needs at hand", () => {
    const entries: Array<string> = []
    return onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      const worker = work((value) => Effect.andThen(note(`handles ${value}`), Effect.fail("no")), {
        maxAttempts: 2,
        onFailure: (cause, job) => note(`onFailure ${String(Cause.squash(cause))} ${job.value}`),
        onGiveUp: (cause, job) => note(`onGiveUp ${String(Cause.squash(cause))} ${job.text}`)
      })
      yield* audited(worker, entries)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(entries, [
        "handles hello",
        "onFailure no hello",
        "handles hello",
        "onFailure no hello",
        "onGiveUp no hello"
      ])
      yield* areIn(beanstalkd, { buried: 1 })
    }))
  })

  it.effect("hear of a job that goes to the dead-letter tube, and of defects", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const entries: Array<string> = []
      yield* beanstalkd.putAll(TUBE, ["fails", "dies"])
      yield* work((value) => value === "dies" ? Effect.die("defect") : Effect.fail("no"), {
        maxAttempts: 1,
        deadLetter: "dead",
        onFailure: (cause) => Effect.sync(() => entries.push(`onFailure ${String(Cause.squash(cause))}`)),
        onGiveUp: (cause) => Effect.sync(() => entries.push(`onGiveUp ${String(Cause.squash(cause))}`))
      })
      assert.deepStrictEqual(entries, ["onFailure no", "onGiveUp no", "onFailure defect", "onGiveUp defect"])
      yield* areIn(beanstalkd, {})
      yield* areIn(beanstalkd, { ready: 2 }, "dead")
    })))

  it.effect("hear nothing of what the worker interrupts, nor of what a handler did to its job before it failed", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const entries: Array<string> = []
      const enter = (entry: string) => () => Effect.sync(() => void entries.push(entry))
      yield* beanstalkd.putAll(TUBE, ["deletes", "goes on"])
      const worker = yield* work(
        (value, job) => value === "deletes" ? Effect.andThen(job.delete, Effect.fail("no")) : Effect.never,
        { onFailure: enter("onFailure"), onGiveUp: enter("onGiveUp"), onLost: enter("onLost") }
      )
      yield* areIn(beanstalkd, { reserved: 1 })
      yield* Fiber.interrupt(worker)
      yield* areIn(beanstalkd, { ready: 1 })
      assert.deepStrictEqual(entries, [])
    })))

  const bad: Record<string, () => Effect.Effect<void>> = {
    "that dies": () => Effect.die(new Error("a defect in a hook")),
    "that throws": () => {
      throw new Error("a defect in a hook")
    },
    "that is interrupted": () => Effect.interrupt,
    "that gives nothing": () => undefined as never,
    "that gives a promise": (async () => {}) as never,
    "that gives no effect further inside": () => Effect.flatMap(Effect.void, (async () => {}) as never)
  }

  it.effect.each(Object.entries(bad))("of which one (%s) hold nothing up", ([, hook]) => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      let runs = 0
      yield* beanstalkd.put(TUBE, "hello")
      yield* work(() => ++runs === 3 ? Effect.never : Effect.fail("no"), {
        maxAttempts: 2,
        onFailure: hook,
        onGiveUp: hook,
        onLost: hook
      })
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, { buried: 1 })
      yield* beanstalkd.kick(TUBE)
      yield* areIn(beanstalkd, { reserved: 1 })
      yield* server.dropConnections
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, { buried: 1 })
      assert.strictEqual(runs, 4)
      const errors = log.filter(({ message }) => message === "a hook of the worker died")
      assert.strictEqual(errors.length, 6)
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

describe("hooks that do not end", () => {
  const never = (events: Array<string>, name: string) => () =>
    Effect.andThen(
      Effect.sync(() => events.push(name)),
      Effect.onInterrupt(Effect.never, () => Effect.sync(() => events.push(`${name} interrupted`)))
    )

  it.effect("are interrupted after the shutdownTimeout, and their job is settled as it would have been", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const events: Array<string> = []
      yield* beanstalkd.putAll(TUBE, ["fails", "dies"], { ttr: "1 second" })
      const worker = yield* work((value) => value === "dies" ? Effect.die("defect") : Effect.fail("no"), {
        concurrency: 2,
        shutdownTimeout: "5 seconds",
        onDefect: "bury",
        onFailure: never(events, "onFailure"),
        onGiveUp: never(events, "onGiveUp")
      })
      yield* TestClock.adjust("1 hour")
      yield* areIn(beanstalkd, { reserved: 2 })
      yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(worker.pollUnsafe())
      yield* areIn(beanstalkd, { reserved: 2 })
      yield* TestClock.adjust("1 millis")
      yield* Fiber.await(worker)
      yield* areIn(beanstalkd, { delayed: 1, buried: 1 })
      assert.sameMembers(events, [
        "onFailure",
        "onFailure",
        "onFailure interrupted",
        "onFailure interrupted",
        "onGiveUp",
        "onGiveUp interrupted"
      ])
      const interrupted = log.filter(({ message }) =>
        message === "a hook of the worker was interrupted by its shutdown"
      )
      assert.strictEqual(interrupted.length, 3)
      assert.strictEqual(yield* server.connectionCount, 1)
    })).pipe(logged)
  })

  it.effect("hold no place of a handler once their job is settled or lost, and no shutdown either", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const events: Array<string> = []
      const done: Array<string> = []
      yield* beanstalkd.put(TUBE, "lost")
      const worker = yield* work((value) => {
        if (value === "lost" && done.push(value) === 1) return Effect.never
        return value === "dies" ? Effect.die("defect") : Effect.sync(() => done.push(value))
      }, {
        shutdownTimeout: "5 seconds",
        onDefect: "bury",
        onGiveUp: never(events, "onGiveUp"),
        onLost: never(events, "onLost")
      })
      yield* server.dropConnections
      yield* beanstalkd.putAll(TUBE, ["dies", "good"])
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, { buried: 1 })
      assert.sameMembers(done, ["lost", "lost", "lost", "good"])
      assert.deepStrictEqual(events, ["onLost", "onGiveUp"])
      yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.await(worker)
      assert.deepStrictEqual(events, ["onLost", "onGiveUp", "onLost interrupted", "onGiveUp interrupted"])
    })))

  it.effect("may take their time, and end in the time that a shutdown has", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const events: Array<string> = []
      yield* beanstalkd.put(TUBE, "hello", { ttr: "1 second" })
      const worker = yield* work(() => Effect.fail("no"), {
        maxAttempts: 1,
        shutdownTimeout: "5 seconds",
        onFailure: () => Effect.andThen(Effect.sleep("1 hour"), Effect.sync(() => events.push("onFailure"))),
        onGiveUp: () => Effect.andThen(Effect.sleep("3 seconds"), Effect.sync(() => events.push("onGiveUp")))
      })
      yield* TestClock.adjust("3599 seconds")
      yield* areIn(beanstalkd, { reserved: 1 })
      yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(events, ["onFailure"])
      yield* areIn(beanstalkd, { buried: 1 })
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.await(worker)
      assert.deepStrictEqual(events, ["onFailure", "onGiveUp"])
    })))
})

describe("a span", () => {
  it.effect("is there for each attempt, with OpenTelemetry's names, and how it ended", () => {
    const { spans, traced } = keepSpans()
    return onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const ids = (yield* beanstalkd.putAll(TUBE, ["good", "bad"])).map(({ id }) => id)
      yield* work((value) => Effect.withSpan(value === "bad" ? Effect.fail("no") : Effect.sleep("3 seconds"), "inner"))
      yield* TestClock.adjust("3 seconds")
      const processes = spans.filter(({ name }) => name === `process ${TUBE}`)
      assert.deepStrictEqual(
        processes.map(({ attributes, kind }) => ({ kind, attributes: Object.fromEntries(attributes) })),
        ids.map((id) => ({
          kind: "consumer" as const,
          attributes: {
            "messaging.system": "beanstalkd",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": TUBE,
            "messaging.message.id": String(id),
            "messaging.beanstalkd.message.delivery_attempt": 1,
            "messaging.beanstalkd.message.priority": 2147483648,
            "messaging.beanstalkd.message.ttr": 120,
            "messaging.beanstalkd.message.wait_time": id === ids[1] ? 3 : 0,
            "server.address": "memory",
            ...(id === ids[1] ? { "error.type": "_OTHER" } : {})
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
    })).pipe(traced)
  })
})

describe("logs", () => {
  it.effect("of the handler have the tube, the job and the attempt; of the worker too, with the cause", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      yield* work(() => Effect.andThen(Effect.logInfo("at work"), Effect.fail("no")), { maxAttempts: 2 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        log.map(({ annotations, cause, level, message }) => [level, message, annotations, Cause.pretty(cause) === ""]),
        [
          ["Info", "at work", { server: "memory", tube: TUBE, job: 1, attempt: 1 }, true],
          [
            "Warn",
            "attempt 1 of 2 failed, the next one comes in 1 s",
            { server: "memory", tube: TUBE, job: 1, attempt: 1, maxAttempts: 2, delaySeconds: 1 },
            false
          ],
          ["Info", "at work", { server: "memory", tube: TUBE, job: 1, attempt: 2 }, true],
          ["Error", "failed for good, buried", { server: "memory", tube: TUBE, job: 1, attempt: 2 }, false]
        ]
      )
    })).pipe(logged)
  })

  it.effect("tell the attempt without the crash guard too, once it is known", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      yield* work(() => Effect.andThen(Effect.logInfo("at work"), Effect.fail("no")), {
        maxAttempts: 1,
        crashGuard: false
      })
      assert.deepStrictEqual(log.map(({ message }) => message), ["at work", "failed for good, buried"])
      assert.deepStrictEqual(log[0]!.annotations, { server: "memory", tube: TUBE, job: 1 })
      assert.deepStrictEqual(log[1]!.annotations, { server: "memory", tube: TUBE, job: 1, attempt: 1 })
    })).pipe(logged)
  })
})

describe("a logger that dies", () => {
  class Unspeakable extends Error {
    override get message(): string {
      throw new Error("it has no message")
    }
  }

  const forbid = () => {
    throw new Error("nobody looks at it")
  }
  const secret = new Proxy({}, {
    get: forbid,
    has: forbid,
    ownKeys: forbid,
    getPrototypeOf: forbid,
    getOwnPropertyDescriptor: forbid
  })

  const told: Array<string> = []
  const loggers: Record<string, Logger.Logger<unknown, void>> = {
    "of the cause": Logger.make(({ cause, message }) => {
      JSON.stringify(cause.reasons.map((reason) => Cause.isFailReason(reason) ? String(reason.error) : reason._tag))
      for (const reason of cause.reasons) if (Cause.isFailReason(reason)) JSON.stringify(reason.error)
      told.push(String(message))
    }),
    "of anything": Logger.make(() => {
      throw new Error("the disk is full")
    })
  }

  const errors: Record<string, unknown> = { "a bigint": { amount: 5n }, unspeakable: new Unspeakable(), secret }
  const cases = Object.keys(loggers).flatMap((logger) => Object.keys(errors).map((error) => [logger, error] as const))

  it.effect.each(cases)(
    "%s, with an error that is %s, keeps no job and no place",
    ([logger, error]) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd) {
        told.length = 0
        yield* beanstalkd.putAll(TUBE, ["a", "b", "c", "d"], { ttr: "1 second" })
        const worker = yield* work(() => Effect.fail(errors[error]), {
          concurrency: 2,
          maxAttempts: 2,
          shutdownTimeout: Infinity
        })
        yield* areIn(beanstalkd, { delayed: 4 })
        yield* TestClock.adjust("1 second")
        yield* areIn(beanstalkd, { buried: 4 })
        yield* Fiber.interrupt(worker)
        yield* areIn(beanstalkd, { buried: 4 })
        const attempt = "attempt 1 of 2 failed, the next one comes in 1 s (a logger died of the cause)"
        const known = ["failed for good, buried (a logger died of the cause)", attempt]
        if (logger === "of anything") assert.deepStrictEqual(told, [])
        else for (const message of known) assert.strictEqual(told.filter((one) => one === message).length, 4)
      })).pipe(Effect.provideService(Logger.CurrentLoggers, new Set([loggers[logger]!])))
  )

  it.effect("keeps no hook from being run, and no job from the dead-letter tube", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const entries: Array<string> = []
      yield* beanstalkd.putAll(TUBE, ["dead", "lost"])
      yield* work((value) => value === "dead" ? Effect.fail({ amount: 5n }) : Effect.never, {
        maxAttempts: 1,
        maxCrashes: 1,
        deadLetter: "dead",
        onFailure: () => Effect.die("defect"),
        onGiveUp: () => Effect.sync(() => entries.push("onGiveUp")),
        onLost: () => Effect.sync(() => entries.push("onLost"))
      })
      yield* areIn(beanstalkd, { ready: 1 }, "dead")
      yield* areIn(beanstalkd, { reserved: 1 })
      yield* server.dropConnections
      assert.deepStrictEqual(entries, ["onGiveUp", "onLost"])
      // The crash guard gives the lost job up, since it may crash only once.
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, { ready: 2 }, "dead")
    })).pipe(Effect.provideService(Logger.CurrentLoggers, new Set([loggers["of anything"]!]))))
})

describe("metrics", () => {
  it.effect("count the outcomes of each tube, the handlers that run, and how long they ran", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
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
      assert.deepInclude(durations, { count: 5, min: 0, max: 10, sum: 16 })
    })))

  it.effect("come back to zero when a worker is interrupted", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
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
