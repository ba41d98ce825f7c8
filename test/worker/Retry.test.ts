/**
 * What a worker does with a job whose handler failed: when the job is tried again, and where it ends.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Fiber, Schedule, Schema } from "effect"
import { type Job, Tube, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { onMemory } from "../support/Fixture.ts"
import { areIn, keepLog, outcomes, Texts, TUBE, work } from "../support/Workplace.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", { permanent: Schema.Boolean }) {}

const fails = Effect.fail(new Broken({ permanent: false }))

/** A handler that runs this effect, and the seconds at which it began. */
const noting = <A, E>(effect: Effect.Effect<A, E>) => {
  const seconds: Array<number> = []
  const handler = () => Effect.andThen(Effect.map(Clock.currentTimeMillis, (now) => seconds.push(now / 1000)), effect)
  return { seconds, handler }
}

const patient = { retrySchedule: Schedule.exponential("1 second"), maxAttempts: 4 }

describe("a handler that fails", () => {
  it.effect("is run again after 1, 2 and 4 seconds, then the job is buried with its own priority", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { handler, seconds } = noting(fails)
      const { id } = yield* beanstalkd.put(TUBE, "hello", { priority: 7, ttr: "3 seconds" })
      yield* work(handler, patient)
      yield* TestClock.adjust("999 millis")
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "delayed", pri: 7, reserves: 1, delay: 1 })
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "delayed", pri: 7, reserves: 2, delay: 2 })
      yield* TestClock.adjust("2 seconds")
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "delayed", pri: 7, reserves: 3, delay: 4 })
      yield* TestClock.adjust("4 seconds")
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "buried", pri: 7, reserves: 4, releases: 3 })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(seconds, [0, 1, 3, 7])
      assert.deepStrictEqual(
        yield* outcomes(beanstalkd.server),
        { reserved: 4, failed: 4, retried: 3, buried: 1 }
      )
    })))

  it.effect("for good has its job in the dead-letter tube, with the same bytes, priority and ttr", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const bytes = Uint8Array.from({ length: 512 }, (_, i) => i % 256)
      const Bytes = Tube.make(TUBE, { codec: "bytes" })
      const { id } = yield* beanstalkd.put(TUBE, bytes, { priority: 7, ttr: "90 seconds" })
      const dead = Tube.make("dead", { codec: "bytes" })
      yield* Effect.forkScoped(Worker.run(Bytes, () => fails, { ...patient, deadLetter: dead }))
      yield* TestClock.adjust("6 seconds")
      yield* areIn(beanstalkd, {}, "dead")
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, {})
      yield* areIn(beanstalkd, { ready: 1 }, "dead")
      const moved = yield* beanstalkd.peekReady("dead")
      assert.notStrictEqual(moved.id, id)
      assert.deepStrictEqual(Buffer.from(moved.body), Buffer.from(bytes))
      assert.deepInclude(yield* beanstalkd.statsJob(moved.id), { pri: 7, ttr: 90, delay: 0, reserves: 0 })
      assert.deepStrictEqual(
        yield* outcomes(beanstalkd.server),
        { reserved: 4, failed: 4, retried: 3, deadLettered: 1 }
      )
    })))

  it.effect("for good buries its job when it cannot be put into the dead-letter tube", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* beanstalkd.put(TUBE, "hello")
      yield* server.drain
      yield* work(() => fails, { maxAttempts: 1, deadLetter: "dead" })
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, { buried: 1 })
      yield* areIn(beanstalkd, {}, "dead")
      assert.deepStrictEqual(log.map(({ level, message }) => `${level}: ${message}`), [
        "Error: cannot be put into dead: memory is draining and accepts no new jobs",
        "Error: failed for good, buried"
      ])
      assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 1, failed: 1, buried: 1 })
    })).pipe(logged)
  })

  it.effect("gets one more attempt with each kick", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { handler, seconds } = noting(fails)
      const { id } = yield* beanstalkd.put(TUBE, "hello")
      yield* work(handler, patient)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(seconds.length, 4)
      for (let kicks = 1; kicks <= 3; kicks++) {
        yield* beanstalkd.kick(TUBE)
        yield* TestClock.adjust("1 hour")
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "buried", reserves: 4 + kicks, kicks })
      }
      assert.deepStrictEqual(seconds, [0, 1, 3, 7, 60, 3660, 7260])
    })))

  it.effect("is tried again after a part of 1 second, doubled up to 5 minutes, ten times, unless told otherwise", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { handler, seconds } = noting(fails)
      yield* beanstalkd.put(TUBE, "hello")
      yield* work(handler)
      yield* TestClock.adjust("24 hours")
      const pauses = seconds.slice(1).map((at, n) => at - seconds[n]!)
      assert.strictEqual(pauses.length, 9)
      pauses.forEach((pause, n) => {
        assert.isAtLeast(pause, 1)
        assert.isAtMost(pause, 2 ** n)
      })
      yield* areIn(beanstalkd, { buried: 1 })
    })))

  it.effect("is tried forever with maxAttempts Infinity, at most 5 minutes apart", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { handler, seconds } = noting(fails)
      yield* beanstalkd.put(TUBE, "hello")
      yield* work(handler, { maxAttempts: Infinity })
      yield* TestClock.adjust("24 hours")
      assert.isAbove(seconds.length, 250)
      const pauses = seconds.slice(1).map((at, n) => at - seconds[n]!)
      assert.isAtMost(Math.max(...pauses), 300)
      assert.isAbove(Math.max(...pauses), 250)
      yield* areIn(beanstalkd, { delayed: 1 })
    })))

  it.effect("waits as long as a server can when the Schedule wants it longer", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { id } = yield* beanstalkd.put(TUBE, "hello")
      const { handler, seconds } = noting(fails)
      yield* work(handler, { retrySchedule: Schedule.spaced(Duration.days(100_000)), maxAttempts: Infinity })
      yield* TestClock.adjust("1 hour")
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "delayed", delay: 2 ** 32 - 1 })
      assert.deepStrictEqual(seconds, [0])
    })))

  it.effect("has had its last attempt where the Schedule ends", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { handler, seconds } = noting(fails)
      yield* beanstalkd.put(TUBE, "hello")
      const retrySchedule = Schedule.recurs(2).pipe(Schedule.addDelay(() => Effect.succeed(Duration.seconds(5))))
      yield* work(handler, { retrySchedule })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(seconds, [0, 5, 10])
      yield* areIn(beanstalkd, { buried: 1 })
    })))

  it.effect("has had its last attempt when retryIf says so, which sees the error and the job", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const asked: Array<string> = []
      yield* beanstalkd.putAll(TUBE, ["permanent", "passing"])
      yield* work((value) => Effect.fail(new Broken({ permanent: value === "permanent" })), {
        maxAttempts: 2,
        retryIf: (error, job) => {
          asked.push(`${error._tag} ${job.value}`)
          return !error.permanent
        }
      })
      yield* areIn(beanstalkd, { buried: 1, delayed: 1 })
      assert.strictEqual((yield* beanstalkd.peekBuried(TUBE)).text, "permanent")
      yield* TestClock.adjust("1 hour")
      yield* areIn(beanstalkd, { buried: 2 })
      assert.deepStrictEqual(asked, ["Broken permanent", "Broken passing"])
    })))

  it.effect("comes back spread over the seconds when many have failed together", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const thirds: Array<number> = []
      yield* beanstalkd.putAll(TUBE, Array.from({ length: 200 }, (_, n) => `${n}`))
      yield* work((_, job) =>
        Effect.gen(function*() {
          if ((yield* job.attempt) === 4) thirds.push(Math.floor((yield* Clock.currentTimeMillis) / 1000))
          return yield* fails
        }), { concurrency: 200 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(thirds.length, 200)
      const bySecond = Map.groupBy(thirds, (second) => second)
      for (const [second, jobs] of bySecond) assert.isAtMost(jobs.length, 80, `of 200 in second ${second}`)
    })))

  it.effect("with a defect is tried again like others, but retryIf is not asked", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, ["dies", "throws", "rejects"])
      yield* work((value) => {
        if (value === "throws") throw new Error("thrown")
        return value === "rejects" ? Effect.promise(() => Promise.reject(new Error("rejected"))) : Effect.die("died")
      }, { ...patient, maxAttempts: 2, retryIf: () => false })
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* areIn(beanstalkd, { delayed: 3 })
      yield* TestClock.adjust("1 second")
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* areIn(beanstalkd, { buried: 3 })
      assert.deepStrictEqual(
        yield* outcomes(beanstalkd.server),
        { reserved: 6, failed: 6, retried: 3, buried: 3 }
      )
    })))

  it.effect("with a defect that the Schedule cannot read waits as by default", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      const retrySchedule = Schedule.spaced("1 hour").pipe(
        Schedule.while(({ input }: { readonly input: Broken }) => Effect.succeed(!input.permanent.valueOf()))
      )
      yield* work(() => Effect.die(undefined), { retrySchedule })
      yield* areIn(beanstalkd, { delayed: 1 })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* outcomes(beanstalkd.server)).failed, 2)
    })))

  it.effect("with a defect has its job buried at once if it is told so, even with a dead-letter tube", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.putAll(TUBE, ["dies", "throws"])
      yield* work((value) => {
        if (value === "throws") throw new Error("thrown")
        return Effect.die(new Error("died"))
      }, { onDefect: "bury", deadLetter: "dead" })
      yield* areIn(beanstalkd, { buried: 2 })
      yield* areIn(beanstalkd, {}, "dead")
      assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 2, failed: 2, buried: 2 })
    })))

  it.effect("with what is no cause of anything has its job buried", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      const worker = yield* work(() => Effect.failCause(undefined as never))
      yield* areIn(beanstalkd, { buried: 1 })
      yield* Fiber.interrupt(worker)
    })))

  it.effect("is not kept waiting by others that fail", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const done: Array<string> = []
      yield* beanstalkd.putAll(TUBE, Array.from({ length: 100 }, (_, n) => n % 2 === 0 ? `bad ${n}` : `good ${n}`))
      yield* work((value) => value.startsWith("bad") ? fails : Effect.sync(() => done.push(value)))
      assert.strictEqual(done.length, 50)
      yield* areIn(beanstalkd, { delayed: 50 })
    })))

  it.effect("sees in the job which attempt it is, whichever worker has counted", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const attempts: Array<number> = []
      yield* beanstalkd.put(TUBE, "hello")
      const notes = (_: string, job: Job.Job) =>
        Effect.andThen(Effect.map(job.attempt, (attempt) => attempts.push(attempt)), fails)
      const worker = yield* work(notes, patient)
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(worker)
      yield* Effect.forkScoped(Worker.run(Texts, notes, { ...patient, crashGuard: false }))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(attempts, [1, 2, 3])
    })))
})

const delayedBy = (delay: Effect.Effect<Duration.Duration>) =>
  Schedule.addDelay(Schedule.spaced("1 second"), () => delay)

describe("a retry policy that is broken itself", () => {
  const policies: Record<string, Worker.Options<string, Broken, never>> = {
    "retryIf that throws": {
      retryIf: () => {
        throw new Error("thrown")
      }
    },
    "a Schedule that dies": { retrySchedule: delayedBy(Effect.die("died")) },
    "a Schedule that is interrupted": { retrySchedule: delayedBy(Effect.interrupt) },
    "a Schedule that gives no effect": { retrySchedule: delayedBy(Promise.resolve(Duration.zero) as never) }
  }

  it.effect.each(Object.entries(policies))(
    "(%s) has the job buried, and the worker goes on",
    ([, options]) => {
      const { log, logged } = keepLog()
      return onMemory(Effect.fnUntraced(function*(beanstalkd) {
        yield* beanstalkd.putAll(TUBE, ["bad", "good"])
        const worker = yield* work((value) => value === "bad" ? fails : Effect.void, options)
        yield* areIn(beanstalkd, { buried: 1 })
        yield* Fiber.interrupt(worker)
        yield* areIn(beanstalkd, { buried: 1 })
        assert.deepStrictEqual(log.map(({ level, message }) => `${level}: ${message}`), [
          "Error: the retry policy of the worker died",
          "Error: failed for good, buried"
        ])
        // The reason is why the handler failed, not why the policy died.
        assert.deepStrictEqual(Cause.squash(log[1]!.cause), new Broken({ permanent: false }))
      })).pipe(logged)
    }
  )

  it.effect("(a Schedule that never says anything) has the job released after the shutdownTimeout", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      const worker = yield* work(() => fails, { retrySchedule: delayedBy(Effect.never), shutdownTimeout: "5 seconds" })
      yield* TestClock.adjust("1 hour")
      yield* areIn(beanstalkd, { reserved: 1 })
      yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.await(worker)
      yield* areIn(beanstalkd, { ready: 1 })
      assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 1, failed: 1, retried: 1 })
    })))

  it.effect("(delays below zero) tries again at once", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      yield* work(() => fails, { retrySchedule: delayedBy(Effect.succeed(Duration.seconds(-5))), maxAttempts: 3 })
      yield* areIn(beanstalkd, { buried: 1 })
      assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 3, failed: 3, retried: 2, buried: 1 })
    })))
})

describe("a retry Schedule", () => {
  it.effect("sees the time that its own delays took, so that it can end after some", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { handler, seconds } = noting(fails)
      yield* beanstalkd.put(TUBE, "hello")
      const retrySchedule = Schedule.max([Schedule.spaced("10 seconds"), Schedule.during("35 seconds")])
      yield* work(handler, { retrySchedule, maxAttempts: Infinity })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(seconds, [0, 10, 20, 30, 40])
      yield* areIn(beanstalkd, { buried: 1 })
    })))
})
