/**
 * Handlers that say what becomes of their job: it comes again without using an attempt, or nobody needs it any more. And the
 * tube in which all ends that has failed for good.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, References, Schema } from "effect"
import { Tube, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { onMemory } from "../support/Fixture.ts"
import { areIn, keepLog, outcomes, TUBE, work } from "../support/Workplace.ts"

class TooMany extends Schema.TaggedError<TooMany>()("TooMany", { seconds: Schema.Finite }) {}

describe("a job that is snoozed", () => {
  it.effect("comes again after the delay, with its bytes, priority and ttr, and no attempt is used", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const seconds: Array<number> = []
      const attempts: Array<number> = []
      yield* beanstalkd.put(TUBE, "hello", { priority: 7, ttr: "90 seconds" })
      yield* work((value, job) =>
        Effect.gen(function*() {
          assert.strictEqual(value, "hello")
          seconds.push((yield* Clock.currentTimeMillis) / 1000)
          attempts.push(yield* job.attempt)
          if (seconds.length <= 50) return yield* Worker.snooze("1500 millis")
        }), { maxAttempts: 1 })
      const copy = yield* beanstalkd.peekDelayed(TUBE)
      assert.deepInclude(yield* beanstalkd.statsJob(copy.id), { pri: 7, ttr: 90, delay: 2, reserves: 0 })
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(seconds, Array.from({ length: 51 }, (_, n) => 2 * n))
      assert.deepStrictEqual(new Set(attempts), new Set([1]))
      yield* areIn(beanstalkd, {})
      const counted = yield* outcomes(beanstalkd.server)
      assert.deepStrictEqual(counted, { reserved: 51, postponed: 50, succeeded: 1 })
    })))

  it.effect("is released with the delay when it cannot be put again, and that counts as an attempt", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const { id } = yield* beanstalkd.put(TUBE, "hello")
      yield* server.injectFaults({ shortage: "jobs" })
      yield* work(() => Worker.snooze("10 seconds"))
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "delayed", delay: 10, releases: 1 })
      assert.deepStrictEqual(log.map(({ level, message }) => `${level}: ${message}`), [
        "Warn: the job cannot be put again, so that this counts as an attempt"
      ])
    })).pipe(logged)
  })

  it.effect("for no time that a server knows dies of a defect that says what is allowed", () =>
    onMemory(Effect.fnUntraced(function*() {
      const exit = yield* Effect.exit(Worker.snooze("-1 second"))
      assert(exit._tag === "Failure")
      assert.include(String(Cause.squash(exit.cause)), "Worker.snooze: delay must be")
    })))
})

describe("a job that is discarded", () => {
  it.effect("is deleted, counted, and logged with the reason", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      const failures: Array<unknown> = []
      yield* work(() => Worker.discard("the account is closed"), {
        deadLetter: "dead",
        onFailure: (cause) => Effect.sync(() => failures.push(cause)),
        onGiveUp: (cause) => Effect.sync(() => failures.push(cause))
      })
      yield* areIn(beanstalkd, {})
      yield* areIn(beanstalkd, {}, "dead")
      assert.deepStrictEqual(failures, [])
      assert.deepStrictEqual(log.map(({ level, message }) => [level, message]), [
        ["Info", "discarded: the account is closed"]
      ])
      assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 1, discarded: 1 })
    })).pipe(logged)
  })
})

describe("an error that says when to come again", () => {
  it.effect("has its job come again then, 50 times without using an attempt", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      let runs = 0
      const failures: Array<unknown> = []
      yield* beanstalkd.put(TUBE, "hello")
      yield* work(() => ++runs <= 50 ? Effect.fail(new TooMany({ seconds: 3 })) : Effect.void, {
        maxAttempts: 1,
        retryAfter: ({ seconds }) => `${seconds} seconds`,
        onFailure: (cause) => Effect.sync(() => failures.push(cause))
      })
      yield* TestClock.adjust("149 seconds")
      assert.strictEqual(runs, 50)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(runs, 51)
      yield* areIn(beanstalkd, {})
      assert.deepStrictEqual(failures, [])
      assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 51, postponed: 50, succeeded: 1 })
    })))

  it.effect("is logged as a failure is, and a snooze for those who look for it only", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, ["fails", "snoozes"])
      yield* work((value) => value === "fails" ? Effect.fail("busy") : Worker.snooze("10 seconds"), {
        retryAfter: () => "5 seconds",
        logFailure: () => "Error"
      })
      yield* areIn(beanstalkd, { delayed: 2 })
      // Which servers they are on, and which comes first, is not decided here.
      const lines = log.map(({ level, message }) => `${level}: ${message.replace(/\S+$/, "")}`)
      assert.deepStrictEqual(lines.toSorted(), [
        "Debug: postponed by 10 s, as job ",
        "Error: postponed by 5 s, as job "
      ])
    })).pipe(logged, Effect.provideService(References.MinimumLogLevel, "Debug"))
  })

  it.effect.each([0, -60])(
    "waits for a second if it says %i seconds, as one does whose time is over",
    (seconds) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd) {
        let runs = 0
        yield* beanstalkd.put(TUBE, "hello")
        yield* work(() => ++runs < 3 ? Effect.fail("busy") : Effect.void, { retryAfter: () => seconds * 1000 })
        yield* TestClock.adjust("1999 millis")
        assert.strictEqual(runs, 2)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(runs, 3)
        yield* areIn(beanstalkd, {})
      }))
  )

  it.effect("is one like any other if it says nothing, or if asking it dies", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, ["nothing", "dies", "nonsense"])
      yield* work((value) => Effect.fail(value), {
        maxAttempts: 1,
        retryAfter: (error) => {
          if (error === "dies") throw new Error("no idea")
          return error === "nothing" ? undefined : "soon" as never
        }
      })
      yield* areIn(beanstalkd, { buried: 3 })
      assert.strictEqual(log.filter(({ message }) => message === "the retryAfter of the worker died").length, 2)
    })).pipe(logged)
  })
})

describe("the dead-letter tube", () => {
  it.effect("has all that failed for good, each logged with its reason and both ids", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const Numbers = Tube.make(TUBE, { schema: Schema.Struct({ n: Schema.Finite }) })
      const bodies = ["{\"n\":1}", "{\"n\":2}", "no JSON"]
      yield* beanstalkd.putAll(TUBE, bodies)
      yield* Effect.forkScoped(
        Worker.run(Numbers, ({ n }) => n === 1 ? Effect.fail("exhausted") : Effect.die("a defect"), {
          maxAttempts: 1,
          deadLetter: "dead"
        }),
        { startImmediately: true }
      )
      yield* areIn(beanstalkd, {})
      yield* areIn(beanstalkd, { ready: 3 }, "dead")
      const dead: Array<string> = []
      for (let n = 0; n < 3; n++) {
        dead.push(
          yield* Effect.scoped(Effect.map(beanstalkd.reserve("dead"), ({ text }) => text)).pipe(Effect.tap(
            () => Effect.flatMap(beanstalkd.peekReady("dead"), (job) => beanstalkd.delete(job))
          ))
        )
      }
      assert.deepStrictEqual(dead, bodies)
      const reasons = log.map(({ annotations, cause, message }) => [
        annotations["job"],
        message,
        String((Cause.squash(cause) as { readonly _tag?: string })._tag ?? Cause.squash(cause))
      ])
      const moved = (id: number) => `failed for good, moved to dead as job ${beanstalkd.server}/${id}`
      assert.deepStrictEqual(reasons, [
        [1, moved(4), "exhausted"],
        [2, moved(5), "a defect"],
        [3, moved(6), "DecodeError"]
      ])
    })).pipe(logged)
  })
})

describe("a body that does not decode", () => {
  const Numbers = Tube.make(TUBE, { schema: Schema.Struct({ n: Schema.Finite }) })

  it.effect("is tried again by a worker that is told so, for old processes that meet new jobs", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "new")
      yield* Effect.forkScoped(
        Worker.run(Numbers, () => Effect.void, { onUndecodable: "retry", maxAttempts: 2, shutdownTimeout: 0 }),
        { startImmediately: true }
      )
      yield* areIn(beanstalkd, { delayed: 1 })
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, { buried: 1 })
      assert.deepStrictEqual(
        yield* outcomes(beanstalkd.server),
        { reserved: 2, failed: 2, retried: 1, buried: 1 }
      )
    })))

  it.effect("is handed to the function that is there for it, which deletes it or gives it up", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const seen: Array<string> = []
      yield* beanstalkd.putAll(TUBE, ["known", "unknown", "later"])
      yield* Effect.forkScoped(
        Worker.run(Numbers, () => Effect.void, {
          shutdownTimeout: 0,
          onUndecodable: (error, job) => {
            seen.push(`${error._tag} ${job.text}`)
            if (job.text === "later" && seen.length < 4) return Worker.snooze("1 second")
            return job.text === "unknown" ? Effect.fail(error) : Effect.void
          }
        }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, [
        "DecodeError known",
        "DecodeError unknown",
        "DecodeError later",
        "DecodeError later"
      ])
      yield* areIn(beanstalkd, { buried: 1 })
    })))
})

describe("a failure that is expected", () => {
  it.effect("is logged as the worker is told, and as a warning if that goes wrong", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, ["Fatal", "None", "throws", "nonsense"])
      yield* work((value) => Effect.fail(value), {
        logFailure: (error) => {
          if (error === "throws") throw new Error("no idea")
          return error as never
        }
      })
      yield* areIn(beanstalkd, { delayed: 4 })
      assert.deepStrictEqual(log.map(({ level, annotations }) => `${level} ${String(annotations["job"])}`), [
        "Fatal 1",
        "Warn 3",
        "Warn 4"
      ])
    })).pipe(logged)
  })
})
