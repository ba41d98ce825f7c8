/**
 * What becomes of a job when its handler ends, or settles the job itself; how many handlers run; bodies that do not decode;
 * and options that are refused.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Latch, Layer, Schedule, Schema } from "effect"
import { type Client, Errors, type Job, Tube, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { onMemory } from "../support/Fixture.ts"
import { areIn, keepLog, outcomes, statesOf, Texts, TUBE, work } from "../support/Workplace.ts"

describe("a handler", () => {
  it.effect("that succeeds has its job deleted, whatever it returns", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const seen: Array<string> = []
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c"])
      yield* work((value, job) => Effect.sync(() => seen.push(`${job.id} ${value} ${job.text} ${job.value}`)))
      assert.deepStrictEqual(seen, ["1 a a a", "2 b b b", "3 c c c"])
      yield* areIn(beanstalkd, {})
      yield* beanstalkd.put(TUBE, "d")
      assert.strictEqual(seen.length, 4)
      assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 4, succeeded: 4 })
    })))

  const ways: Record<string, readonly [settle: (job: Job.Job) => Effect.Effect<void, unknown>, state: string]> = {
    "deletes it": [(job) => job.delete, "gone"],
    "releases it later": [(job) => job.release({ delay: "1 hour", priority: 3 }), "delayed 3"],
    "buries it": [(job) => job.bury({ priority: 3 }), "buried 3"]
  }

  it.effect.each(Object.entries(ways))(
    "that %s itself, and succeeds, has settled it",
    ([, [settle, expected]]) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd) {
        const { id } = yield* beanstalkd.put(TUBE, "hello")
        yield* work((_, job) => settle(job))
        const state = yield* beanstalkd.statsJob(id).pipe(
          Effect.map(({ pri, state }) => `${state} ${pri}`),
          Effect.catchTag("NotFound", () => Effect.succeed("gone"))
        )
        assert.strictEqual(state, expected)
        assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 1, succeeded: 1 })
      }))
  )

  it.effect.each(Object.entries(ways))(
    "that %s itself, and fails after that, has settled it too",
    ([, [settle]]) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd) {
        yield* beanstalkd.putAll(TUBE, ["bad", "good"])
        yield* work((value, job) =>
          Effect.andThen(settle(job), value === "bad" ? Effect.fail("after that") : Effect.void)
        )
        assert.deepInclude(yield* statesOf(beanstalkd), { ready: 0, reserved: 0 })
        assert.deepStrictEqual(yield* outcomes(beanstalkd.server), { reserved: 2, failed: 1, succeeded: 1 })
      }))
  )

  it.effect("that acquires something has it released before its job is deleted", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { id } = yield* beanstalkd.put(TUBE, "hello")
      const released = yield* Deferred.make<string>()
      const handler = Effect.addFinalizer(() =>
        Effect.flatMap(Effect.orDie(beanstalkd.statsJob(id)), ({ state }) => Deferred.succeed(released, state))
      )
      const worker = yield* Effect.forkScoped(Worker.run(Texts, () => handler))
      assert.strictEqual(yield* Deferred.await(released), "reserved")
      yield* Fiber.interrupt(worker)
      assert.propertyVal(yield* Effect.flip(beanstalkd.peek(id)), "_tag", "NotFound")
    })))

  it.effect("that settles its job and goes on keeps its place, and gives it up when it ends", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const began: Array<string> = []
      const goOn = yield* Latch.make()
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c"])
      yield* work(
        (value, job) => Effect.andThen(job.delete, Effect.andThen(Effect.sync(() => began.push(value)), goOn.await)),
        {
          concurrency: 2
        }
      )
      assert.deepStrictEqual(began, ["a", "b"])
      yield* areIn(beanstalkd, { ready: 1 })
      yield* goOn.open
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(began, ["a", "b", "c"])
    })))

  it.effect("that asks its job for the tube has it without asking the server", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const tubes: Array<string> = []
      yield* beanstalkd.put(TUBE, "hello")
      yield* work((_, job) => Effect.map(job.tube, (tube) => tubes.push(tube)), { crashGuard: false })
      yield* areIn(beanstalkd, {})
      assert.deepStrictEqual(tubes, [TUBE])
      assert.strictEqual((yield* beanstalkd.stats).cmdStatsJob, 0)
    })))

  it.effect("that is interrupted by something else than the worker has failed, and waits for its next attempt", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const attempts: Array<number> = []
      const failures: Array<boolean> = []
      const { id } = yield* beanstalkd.put(TUBE, "hello", { priority: 3 })
      const stopped = yield* Effect.forkScoped(Effect.never)
      yield* Fiber.interrupt(stopped)
      yield* work((_, job) =>
        Effect.flatMap(job.attempt, (attempt) => {
          attempts.push(attempt)
          return attempt < 3 ? Fiber.join(stopped) : Effect.never
        }), {
        retrySchedule: Schedule.exponential("1 second"),
        retryIf: () => false,
        onFailure: (cause) => Effect.sync(() => failures.push(Cause.hasInterruptsOnly(cause)))
      })
      assert.deepStrictEqual(attempts, [1])
      assert.deepInclude(yield* beanstalkd.statsJob(id), { pri: 3, state: "delayed", delay: 1 })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(attempts, [1, 2])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(attempts, [1, 2, 3])
      assert.deepInclude(yield* beanstalkd.statsJob(id), { pri: 3, releases: 2 })
      assert.deepStrictEqual(failures, [true, true])
    })))

  it.effect("that is interrupted from within runs no more than 3 times in 3 seconds, even with maxAttempts Infinity", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      let runs = 0
      yield* beanstalkd.put(TUBE, "hello")
      yield* work(() => Effect.andThen(Effect.sync(() => runs++), Effect.interrupt), { maxAttempts: Infinity })
      yield* TestClock.adjust("2999 millis")
      assert.isAtLeast(runs, 2)
      assert.isAtMost(runs, 3)
    })))

  it.effect("that interrupts itself forever is given up in the end, and others have their turn", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello", { priority: 0 })
      yield* beanstalkd.put(TUBE, "good")
      yield* work((value) => value === "good" ? Effect.void : Effect.interrupt, { maxAttempts: 5 })
      yield* areIn(beanstalkd, { delayed: 1 })
      yield* TestClock.adjust("15 seconds")
      yield* areIn(beanstalkd, { buried: 1 })
    })))
})

describe("as many handlers run", () => {
  it.effect.each([1, 3, 64, 1000])(
    "as the concurrency says (%i), and no more jobs are reserved",
    (concurrency) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd) {
        let running = 0
        const goOn = yield* Latch.make()
        yield* beanstalkd.putAll(TUBE, Array.from({ length: 1100 }, (_, n) => `${n}`))
        const one = Effect.suspend(() => {
          running++
          return goOn.await
        })
        yield* work(() => one, { concurrency })
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(running, concurrency)
        yield* areIn(beanstalkd, { ready: 1100 - concurrency, reserved: concurrency })
      }))
  )

  it.effect("as there are jobs, if that is less, however great the concurrency", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const goOn = yield* Latch.make()
      yield* work(() => goOn.await, { concurrency: 1_000_000 })
      yield* beanstalkd.putAll(TUBE, Array.from({ length: 100 }, (_, n) => `${n}`))
      yield* TestClock.adjust("1 second")
      yield* areIn(beanstalkd, { reserved: 100 })
      yield* goOn.open
      yield* TestClock.adjust(0)
      yield* areIn(beanstalkd, {})
    })))
})

describe("bodies that do not decode", () => {
  const Numbers = Tube.make(TUBE, { schema: Schema.Struct({ n: Schema.Finite }) })
  const bad = ["", "no JSON", "{\"n\":\"1\"}", "{}", "null", new Uint8Array([0x22, 0xff, 0xfe, 0x22])]

  it.effect("among good ones go to the dead-letter tube, logged and counted, and the good ones go on", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const seen: Array<number> = []
      const buried: Array<string> = []
      let failures = 0
      const bodies = bad.flatMap((body, n) => [`{"n":${n}}`, body])
      const ids = (yield* beanstalkd.putAll(TUBE, bodies)).map(({ id }) => id)
      yield* Effect.forkScoped(
        Worker.run(Numbers, ({ n }) => Effect.sync(() => seen.push(n)), {
          concurrency: 4,
          deadLetter: "dead",
          onFailure: () => Effect.sync(() => failures++),
          onGiveUp: (cause, job) =>
            Effect.sync(() => {
              const error = Cause.squash(cause)
              assert.instanceOf(error, Errors.DecodeError)
              assert.deepStrictEqual([error.id, error.tube], [job.id, TUBE])
              buried.push(Buffer.from(error.body).toString("latin1"))
            })
        }),
        { startImmediately: true }
      )
      assert.deepStrictEqual(seen, bad.map((_, n) => n))
      assert.deepStrictEqual(buried, bad.map((body) => Buffer.from(body).toString("latin1")))
      yield* areIn(beanstalkd, {})
      yield* areIn(beanstalkd, { ready: bad.length }, "dead")
      assert.strictEqual(failures, 0)
      const errors = log.filter(({ level }) => level === "Error")
      assert.deepStrictEqual(
        errors.map(({ annotations }) => annotations["job"]),
        ids.filter((_, n) => n % 2 === 1)
      )
      for (const { annotations, cause } of errors) {
        assert.deepInclude(annotations, { tube: TUBE, attempt: 1 })
        assert.instanceOf(Cause.squash(cause), Errors.DecodeError)
      }
      assert.deepStrictEqual(yield* outcomes(beanstalkd.server), {
        reserved: 12,
        succeeded: 6,
        failed: 6,
        deadLettered: 6
      })
    })).pipe(logged)
  })
})

class Elsewhere extends Context.Service<Elsewhere, Client.Service>()("test/Elsewhere") {}

describe("options that make no sense", () => {
  const wrong: ReadonlyArray<readonly [options: object, argument: string]> = [
    [{ concurrency: 0 }, "concurrency"],
    [{ concurrency: -1 }, "concurrency"],
    [{ concurrency: 1.5 }, "concurrency"],
    [{ concurrency: NaN }, "concurrency"],
    [{ concurrency: Infinity }, "concurrency"],
    [{ concurrency: "4" }, "concurrency"],
    [{ maxConnections: 0 }, "maxConnections"],
    [{ maxAttempts: 0 }, "maxAttempts"],
    [{ maxAttempts: -Infinity }, "maxAttempts"],
    [{ deadLetter: "no tube" }, "deadLetter"],
    [{ deadLetter: { name: "" } }, "deadLetter"],
    [{ shutdownTimeout: -1 }, "shutdownTimeout"],
    [{ shutdownTimeout: "soon" }, "shutdownTimeout"],
    [{ retrySchedule: 3 }, "retrySchedule"],
    [{ retryIf: true }, "retryIf"],
    [{ crashGuard: "off" }, "crashGuard"],
    [{ onFailure: Effect.void }, "onFailure"],
    [{ onGiveUp: null }, "onGiveUp"],
    [{ onLost: "log" }, "onLost"]
  ]

  const isInvalid = (error: unknown, argument: string) => {
    assert.instanceOf(error, Errors.BeanstalkdError)
    assert.isFalse(error.isRetryable)
    assert(error.reason._tag === "InvalidOptions")
    assert.strictEqual(error.reason.argument, argument)
  }

  it.effect.each(wrong)(
    "fail with the reason InvalidOptions, which says what is wrong: %o",
    ([options, argument]) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
        yield* beanstalkd.put(TUBE, "hello")
        isInvalid(yield* Effect.flip(Worker.run(Texts, () => Effect.void, options as never)), argument)
        yield* areIn(beanstalkd, { ready: 1 })
        assert.strictEqual(yield* server.connectionCount, 1)
      }))
  )

  const secret = new Proxy({}, {
    get: () => {
      throw new Error("nobody looks at it")
    }
  })
  const tubeRule = "1 to 200 characters of A-Z a-z 0-9 - + / ; . $ _ ( ), not beginning with -"
  const messages: Record<string, unknown> = {
    "concurrency must be a whole number, at least 1, got 0": { concurrency: 0 },
    [`deadLetter must be ${tubeRule}, got "no tube"`]: { deadLetter: "no tube" },
    [`deadLetter must be ${tubeRule}, got ""`]: { deadLetter: { name: "" } },
    [`deadLetter must be ${tubeRule}, got null`]: { deadLetter: null },
    [`deadLetter must be ${tubeRule}, got [inspection threw]`]: { deadLetter: secret },
    [`deadLetter must be another tube than the worker's own, got "${TUBE}"`]: { deadLetter: TUBE },
    "deadLetter must be a tube with the client of the worker's tube, got \"dead\"": {
      deadLetter: Tube.make("dead", { codec: "text", client: Elsewhere })
    },
    "onGiveUp must be a function, got null": { onGiveUp: null },
    "retrySchedule must be a Schedule, got 3": { retrySchedule: 3 },
    "options must be an object, got \"fast\"": "fast"
  }

  it.effect.each(Object.keys(messages))(
    "are told by the name of what was called, without a word about connecting: %s",
    (message) =>
      onMemory(Effect.fnUntraced(function*() {
        const options = messages[message] as never
        const error = yield* Effect.flip(Worker.run(Texts, () => Effect.void, options))
        assert.strictEqual(error.message, `Worker.run: ${message}`)
        assert.strictEqual(error.command, "Worker.run")
        const layer = Worker.layer(Texts, () => Effect.void, options)
        const failure = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.strictEqual(failure.message, `Worker.layer: ${message}`)
      }))
  )

  it.effect.each([undefined, null, Effect.void, {}])(
    "or a handler that is no function: %o",
    (handler) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
        yield* beanstalkd.put(TUBE, "hello")
        const error = yield* Effect.flip(Worker.run(Texts, handler as () => Effect.Effect<void>))
        isInvalid(error, "handler")
        assert.match(error.message, /^Worker\.run: handler must be a function, got /)
        yield* areIn(beanstalkd, { ready: 1 })
        assert.strictEqual(yield* server.connectionCount, 1)
      }))
  )

  it.effect("or a tube that none can be", () =>
    onMemory(Effect.fnUntraced(function*() {
      const nowhere = Tube.make("no tube", { codec: "text" })
      const error = yield* Effect.flip(Worker.run(nowhere, () => Effect.void))
      isInvalid(error, "tube")
      assert.strictEqual(error.message, `Worker.run: tube must be ${tubeRule}, got "no tube"`)
    })))

  it.effect("are not those that are there but undefined", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const done = yield* Deferred.make<string>()
      yield* beanstalkd.put(TUBE, "hello")
      const options = {
        concurrency: undefined,
        maxConnections: undefined,
        retrySchedule: undefined,
        maxAttempts: undefined,
        retryIf: undefined,
        retryAfter: undefined,
        maxCrashes: undefined,
        isolateSuspects: undefined,
        crashGuard: undefined,
        onExpired: undefined,
        onDefect: undefined,
        onUndecodable: undefined,
        deadLetter: undefined,
        touchInterval: undefined,
        shutdownTimeout: undefined,
        forceAfter: undefined,
        logFailure: undefined,
        onFailure: undefined,
        onGiveUp: undefined,
        onLost: undefined
      } satisfies { [K in keyof Required<Worker.Options<string, never, never>>]: undefined }
      const worker = yield* work((value) => Deferred.succeed(done, value), options)
      assert.strictEqual(yield* Deferred.await(done), "hello")
      yield* Fiber.interrupt(worker)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(worker)))
    })))
})

describe("the job that a handler is given", () => {
  it.effect("has all that a reserved job has, and its value", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello", { priority: 7, ttr: "90 seconds" })
      const seen = yield* Deferred.make<unknown>()
      yield* work(Effect.fnUntraced(function*(value, job) {
        const { pri, state, ttr } = yield* job.stats
        const tube = yield* job.tube
        const attempt = yield* job.attempt
        const body = Buffer.from(job.body).toString()
        yield* job.touch
        yield* job.release({ priority: 3, delay: "1 hour" })
        const { _tag: late } = yield* Effect.flip(job.bury())
        yield* Deferred.succeed(seen, {
          value,
          valueOfJob: job.value,
          text: job.text,
          body,
          pri,
          state,
          ttr,
          tube,
          attempt,
          late
        })
      }, Effect.orDie))
      assert.deepStrictEqual(yield* Deferred.await(seen), {
        value: "hello",
        valueOfJob: "hello",
        text: "hello",
        body: "hello",
        pri: 7,
        state: "reserved",
        ttr: 90,
        tube: TUBE,
        attempt: 1,
        late: "NotFound"
      })
      yield* areIn(beanstalkd, { delayed: 1 })
      assert.strictEqual((yield* beanstalkd.stats).cmdTouch, 1)
    })))
})
