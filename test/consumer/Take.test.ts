/**
 * One job that is taken: its lease is kept, and the end of its Scope settles it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Logger, Result, Scope } from "effect"
import { Client, Consumer, Errors, Job, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { type AnyServer, describeServers, type Target } from "../support/AnyServer.ts"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { areIn, keepLog, silently, TUBE } from "../support/Workplace.ts"
import { onMemory } from "../support/Fixture.ts"

const PRIORITY = 42

const openOn = Effect.fnUntraced(function*(target: Target, options?: Client.Options) {
  const server = yield* target.make()
  const beanstalkd = yield* Client.make({ ...server.clientOptions, ...options })
  const put = (body = "hello") => Effect.map(beanstalkd.put(TUBE, body, { priority: PRIORITY }), ({ id }) => id)
  /** Takes a job, and does something with it in the Scope that it has. */
  const taking = <A, E>(
    use: (job: Job.Job) => Effect.Effect<A, E, Scope.Scope>,
    options?: Consumer.TakeOptions
  ) => Effect.scoped(Effect.flatMap(Consumer.takeFrom(beanstalkd, TUBE, options), use))
  return { server, beanstalkd, put, taking }
})

const counts = (server: AnyServer) =>
  Effect.map(server.stats, (stats) => (name: string) => Number(stats[`cmd-${name}`]))

describeServers("a job that is taken", (target) => {
  it.live("is deleted when its Scope ends with a success, and its connection is free again", () =>
    Effect.gen(function*() {
      const { beanstalkd, put, taking } = yield* openOn(target)
      const id = yield* put()
      assert.strictEqual(yield* taking((job) => Effect.succeed(job.text)), "hello")
      assert.strictEqual((yield* Effect.flip(beanstalkd.peek(id)))._tag, "NotFound")
      assert.deepInclude(yield* beanstalkd.poolStats, { idle: 1, used: 0, waiting: 0, lost: 0 })
    }))

  const failures: Record<string, Effect.Effect<never, string>> = {
    "a failure": Effect.fail("it did not work"),
    "a defect": Effect.die("it cannot work")
  }

  it.live.each(Object.entries(failures))(
    "is released at once, with its own priority, after %s",
    ([, failure]) =>
      Effect.gen(function*() {
        const { beanstalkd, put, taking } = yield* openOn(target)
        const id = yield* put()
        const exit = yield* Effect.exit(taking(() => failure))
        assert.deepStrictEqual(exit, yield* Effect.exit(failure), "the error is that of the program")
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", pri: PRIORITY, releases: 1, timeouts: 0 })
      })
  )

  it.live.each(Object.entries(failures))("is released with the delay and the priority of the options after %s", (
    [, failure]
  ) =>
    Effect.gen(function*() {
      const { beanstalkd, put, taking } = yield* openOn(target)
      const id = yield* put()
      yield* Effect.exit(taking(() => failure, { delay: "1500 millis", priority: 7 }))
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "delayed", pri: 7, delay: 2 })
    }))

  it.live.each<readonly [number | undefined, number]>([[undefined, PRIORITY], [7, 7]])(
    "is buried after a failure, if so told (priority %s)",
    (
      [priority, expected]
    ) =>
      Effect.gen(function*() {
        const { beanstalkd, put, taking } = yield* openOn(target)
        const id = yield* put()
        yield* Effect.exit(taking(() => Effect.fail("no"), { onFailure: "bury", priority }))
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "buried", pri: expected, releases: 0 })
      })
  )

  it.live("is released at once when it is interrupted, whatever happens to it after a failure", () =>
    Effect.gen(function*() {
      const { beanstalkd, put, taking } = yield* openOn(target)
      const id = yield* put()
      for (const options of [{ delay: "1 hour", priority: 7 }, { onFailure: "bury" }] as const) {
        const taken = yield* Deferred.make<void>()
        const working = yield* Effect.forkChild(
          taking(() => Effect.andThen(Deferred.succeed(taken, undefined), Effect.never), options)
        )
        yield* Deferred.await(taken)
        yield* Fiber.interrupt(working)
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", pri: PRIORITY, delay: 0 })
      }
    }))

  const ways: Record<string, readonly [(job: Job.Job) => Effect.Effect<void, unknown>, state: string | undefined]> = {
    delete: [(job) => job.delete, undefined],
    release: [(job) => job.release({ delay: "1 hour" }), "delayed"],
    bury: [(job) => job.bury(), "buried"]
  }

  for (const ending of ["success", "failure"] as const) {
    it.live.each(Object.entries(ways))(
      `that its user has settled with %s is left alone by the end of its Scope, be it a ${ending}`,
      ([command, [settle, state]]) =>
        Effect.gen(function*() {
          const { beanstalkd, put, server, taking } = yield* openOn(target)
          const id = yield* put()
          const use = (job: Job.Job) =>
            Effect.andThen(settle(job), ending === "success" ? Effect.void : Effect.fail("no" as const))
          yield* Effect.exit(taking(use))
          const count = yield* counts(server)
          for (const name of Object.keys(ways)) assert.strictEqual(count(name), name === command ? 1 : 0, name)
          const found = yield* Effect.result(beanstalkd.statsJob(id))
          assert.strictEqual(Result.isSuccess(found) ? found.success.state : undefined, state)
        })
    )
  }

  it.live("needs one connection for any number of jobs that are settled in one Scope, and leaves nothing in it", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* openOn(target, { maxConnections: 1 })
      yield* beanstalkd.putAll(TUBE, Array.from({ length: 30 }, (_, i) => `${i}`))
      const scope = yield* Scope.make()
      for (let i = 0; i < 30; i++) {
        const job = yield* Scope.provide(Consumer.takeFrom(beanstalkd, TUBE, { timeout: 0 }), scope)
        assert.strictEqual(job.text, `${i}`)
        yield* job.delete
      }
      assert.strictEqual((yield* beanstalkd.poolStats).opened, 2)
      yield* eventually(Effect.sync(() => {
        assert(scope.state._tag === "Open" || scope.state._tag === "Empty")
        assert.strictEqual(scope.state._tag === "Open" ? scope.state.finalizers?.size ?? 0 : 0, 0)
      }))
    }))

  it.live("is not taken by who was interrupted before it came", () =>
    Effect.gen(function*() {
      const { beanstalkd, put, taking } = yield* openOn(target)
      const waiting = yield* Effect.forkChild(taking(() => Effect.void))
      yield* eventually(
        Effect.map(beanstalkd.stats, ({ currentWaiting }) => assert.strictEqual(currentWaiting, 1))
      )
      yield* Fiber.interrupt(waiting)
      const id = yield* put()
      yield* eventually(
        Effect.map(beanstalkd.statsJob(id), (stats) => assert.deepInclude(stats, { state: "ready" }))
      )
    }))

  it.live("comes from the most urgent of several tubes", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* openOn(target)
      yield* beanstalkd.put("a", "2", { priority: 2 })
      yield* beanstalkd.put("b", "1", { priority: 1 })
      const text = yield* Effect.scoped(
        Effect.map(Consumer.takeFrom(beanstalkd, ["a", "b"]), (job) => job.text)
      )
      assert.strictEqual(text, "1")
      yield* areIn(beanstalkd, { ready: 1 }, "a")
      yield* areIn(beanstalkd, {}, "b")
    }))

  it.live("is said to be lost when its connection is, and its work can be raced against that", () =>
    Effect.gen(function*() {
      const { put, server, taking } = yield* openOn(target)
      const id = yield* put()
      const { log, logged } = keepLog()
      const events: Array<string> = []
      const taken = yield* Deferred.make<void>()
      const working = yield* taking((job) =>
        Effect.raceFirst(
          Effect.andThen(Deferred.succeed(taken, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Effect.sync(() => events.push("interrupted")))
          ),
          job.lost
        ).pipe(
          Effect.onError(() =>
            Effect.gen(function*() {
              for (const settle of [job.delete, job.release(), job.bury(), job.touch]) {
                events.push((yield* Effect.orDie(Effect.flip(settle)))._tag)
              }
            })
          )
        )
      ).pipe(logged, Effect.flip, Effect.forkChild)
      yield* Deferred.await(taken)
      yield* server.dropConnections
      const error = yield* Fiber.join(working)
      assert.instanceOf(error, Errors.NotFound)
      assert.deepInclude(error, { id })
      assert.include(error.message, `job ${id}`)
      assert.include(error.message, "lease was lost")
      assert.deepStrictEqual(events, ["interrupted", "NotFound", "NotFound", "NotFound", "NotFound"])
      assert.deepStrictEqual(log.map(({ level, message }) => [level, message]), [[
        "Warn",
        `job ${id}: its lease was lost before it was settled, so another consumer may have it`
      ]])
    }))

  it.live("whose Scope ends on a server that is gone ends there, with no error", () =>
    Effect.gen(function*() {
      const { put, server, taking } = yield* openOn(target)
      yield* put()
      const exit = yield* Effect.exit(taking(() => Effect.as(server.dropConnections, "done")))
      assert.deepStrictEqual(exit, Exit.succeed("done"))
    }).pipe(silently))
}, { concurrent: true })

describe("take", () => {
  it.effect("waits as long as it is told, and forever otherwise", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const short = yield* Effect.forkScoped(Effect.flip(Consumer.take(TUBE, { timeout: "90 seconds" })))
      yield* server.awaitReservers(TUBE)
      yield* TestClock.adjust("90 seconds")
      assert.deepInclude(yield* Fiber.join(short), { _tag: "TimedOut", timeoutSeconds: 90 })
      const long = yield* Effect.forkScoped(Consumer.take(TUBE))
      yield* TestClock.adjust("1 day")
      yield* beanstalkd.put(TUBE, "hello")
      assert.strictEqual((yield* Fiber.join(long)).text, "hello")
    })))

  it.effect("gives a job of which it knows the server, and that is a job", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const ref = yield* beanstalkd.put(TUBE, "hello")
      const job = yield* Consumer.take(TUBE)
      assert.isTrue(Job.isJob(job))
      assert.strictEqual(job.server, server.server)
      assert.deepStrictEqual(job.ref, ref)
    })))

  it.effect("keeps the lease for hours, and no longer than the job is in hand", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const touches = Effect.map(beanstalkd.stats, ({ cmdTouch }) => cmdTouch)
      const ends: Record<string, (job: Job.Job, scope: Scope.Closeable) => Effect.Effect<void, unknown>> = {
        "its user settles it": (job) => job.delete,
        "its Scope ends": (_, scope) => Scope.close(scope, Exit.void)
      }
      for (const [what, end] of Object.entries(ends)) {
        const { id } = yield* beanstalkd.put(TUBE, "hello", { ttr: "1 second" })
        const scope = yield* Scope.make()
        const job = yield* Scope.provide(Consumer.take(TUBE), scope)
        yield* TestClock.adjust("1 hour")
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "reserved", reserves: 1, timeouts: 0 })
        yield* end(job, scope)
        const touched = yield* touches
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* touches, touched, what)
        yield* areIn(beanstalkd, {})
      }
    })))

  it.effect("does not end the lease with a Scope that outlives the job", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { id } = yield* beanstalkd.put(TUBE, "hello")
      const scope = yield* Scope.make()
      yield* Effect.flatMap(Scope.provide(Consumer.take(TUBE), scope), (job) => job.release())
      const again = yield* Consumer.take(TUBE)
      yield* Scope.close(scope, Exit.void)
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "reserved", reserves: 2 })
      yield* again.delete
    })))

  it.effect("ends after the command timeout on a server that says nothing more", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const { log, logged } = keepLog()
      const { id } = yield* beanstalkd.put(TUBE, "hello", { ttr: "1 hour" })
      const scope = yield* Scope.make()
      yield* logged(Scope.provide(Consumer.take(TUBE), scope))
      yield* server.injectFaults({ mute: true })
      const ending = yield* Effect.forkScoped(logged(Scope.close(scope, Exit.void)), { startImmediately: true })
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(ending.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(ending)
      assert.deepStrictEqual(log.map(({ level, message }) => [level, message]), [[
        "Warn",
        `job ${id}: it could not be settled at the end of its Scope`
      ]])
    })))

  it.effect("takes nothing while the pool has no connection, and says so after the timeout", () =>
    onMemory(
      Effect.fnUntraced(function*(beanstalkd) {
        yield* beanstalkd.putAll(TUBE, ["a", "b"])
        yield* Consumer.take(TUBE)
        const waiting = yield* Effect.forkScoped(Effect.flip(Consumer.take(TUBE, { timeout: "20 seconds" })))
        yield* TestClock.adjust("20 seconds")
        const error = yield* Fiber.join(waiting)
        assert(error._tag === "BeanstalkdError")
        assert.strictEqual(error.reason._tag, "AcquireTimeout")
        yield* areIn(beanstalkd, { ready: 1, reserved: 1 })
      }),
      { client: { maxConnections: 1 } }
    ))

  it.effect("is told by a logger that dies nothing that would keep its Scope from its end", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const broken = Logger.make(() => {
        throw new Error("a logger died")
      })
      yield* beanstalkd.put(TUBE, "hello")
      const exit = yield* Consumer.take(TUBE).pipe(
        Effect.andThen(server.dropConnections),
        Effect.scoped,
        Effect.provideService(Logger.CurrentLoggers, new Set([broken])),
        Effect.exit
      )
      assert.isTrue(Exit.isSuccess(exit))
    })))

  const wrong: ReadonlyArray<readonly [tubes: unknown, options: unknown, message: string]> = [
    ["no tube", {}, "tubes must be"],
    [[], {}, "tubes must be at least one tube"],
    [TUBE, null, "options must be an object"],
    [TUBE, { timeout: "soon" }, "timeout must be a duration"],
    [TUBE, { onFailure: "delete" }, "onFailure must be one of \"release\", \"bury\", got \"delete\""],
    [TUBE, { priority: -1 }, "priority must be an integer from 0 to 4294967295, got -1"],
    [TUBE, { delay: -1 }, "delay must be a duration"],
    [TUBE, { onFailure: "bury", delay: 1000 }, "delay must be left out, since onFailure is \"bury\", got 1000"]
  ]

  it.effect.each(wrong)("from %o with %o fails with the reason InvalidOptions, before anything is asked", (
    [tubes, options, message]
  ) =>
    onMemory(Effect.fnUntraced(function*(_, server) {
      const error = yield* Effect.flip(Consumer.take(tubes as never, options as never))
      assert(error._tag === "BeanstalkdError" && error.reason._tag === "InvalidOptions")
      assert.include(error.message, `Consumer.take: ${message}`)
      assert.strictEqual(yield* server.connectionCount, 1)
    })))

  it.effect("takes undefined for every option", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put(TUBE, "hello")
      const nothing = { timeout: undefined, onFailure: undefined, delay: undefined, priority: undefined }
      yield* Effect.scoped(Effect.asVoid(Consumer.take(TUBE, nothing)))
      yield* areIn(beanstalkd, {})
    })))

  it.effect("of a client with another tag takes from its server", () =>
    Effect.gen(function*() {
      const first = yield* Server.makeMemory()
      const second = yield* Server.makeMemory()
      const beanstalkd = yield* Client.make(first.clientOptions)
      const billing = yield* Client.make(second.clientOptions)
      yield* billing.put(TUBE, "of the second")
      const text = yield* Consumer.takeFrom(billing, TUBE).pipe(
        Effect.map((job) => job.text),
        Effect.scoped,
        Effect.provideService(Client.Beanstalkd, beanstalkd)
      )
      assert.strictEqual(text, "of the second")
    }).pipe(Effect.scoped))
})

const HELLO = "RESERVED 1 5\r\nhello\r\n"
const STATS = "---\nid: 1\ntube: work\nstate: reserved\npri: 7\nage: 1\ndelay: 0\nttr: 1\ntime-left: 0\nfile: 0\n" +
  "reserves: 1\ntimeouts: 0\nreleases: 0\nburies: 0\nkicks: 0\n"
const RESERVED: ReadonlyArray<FakeServer.Step> = [
  { conn: 1, expect: "watch work\r\nignore default\r\nreserve-with-timeout 30\r\n" },
  { conn: 1, reply: `WATCHING 2\r\nWATCHING 1\r\n${HELLO}` }
]

describe("what the server says of a job that was taken", () => {
  const takingAt = Effect.fnUntraced(function*<A, E>(
    peer: FakeServer.ScriptedServer,
    use: (job: Job.Job) => Effect.Effect<A, E, Scope.Scope>
  ) {
    const client = yield* Client.make({ port: peer.port })
    return yield* Effect.forkScoped(Effect.scoped(Effect.flatMap(Consumer.takeFrom(client, TUBE), use)))
  })

  it.live("NOT_FOUND to a touch: the lease is lost, and nothing more is said of the job", () =>
    Effect.gen(function*() {
      const peer = yield* FakeServer.make([
        ...RESERVED,
        { conn: 1, expect: "stats-job 1\r\n" },
        { conn: 1, reply: `OK ${STATS.length}\r\n${STATS}\r\n` },
        { conn: 1, expect: "touch 1\r\n" },
        { conn: 1, reply: "NOT_FOUND\r\n" }
      ])
      const working = yield* silently(takingAt(peer, (job) => job.lost))
      yield* peer.done
      assert.strictEqual((yield* Effect.flip(Fiber.join(working)))._tag, "NotFound")
      assert.isTrue(peer.received(1).endsWith("touch 1\r\n"))
    }))

  it.live("an error to the delete: the connection is closed, which releases the job, and the program goes on", () =>
    Effect.gen(function*() {
      const { log, logged } = keepLog()
      const peer = yield* FakeServer.make([
        ...RESERVED,
        { conn: 1, expect: "delete 1\r\n" },
        { conn: 1, reply: "INTERNAL_ERROR\r\n" }
      ])
      const working = yield* logged(takingAt(peer, () => Effect.succeed("done")))
      yield* peer.done
      assert.strictEqual(yield* Fiber.join(working), "done")
      assert.deepStrictEqual(log.map(({ level, message }) => [level, message]), [[
        "Warn",
        "job 1: it could not be settled at the end of its Scope"
      ]])
      yield* eventually(Effect.sync(() => assert.isTrue(peer.sockets[1]!.readableEnded || peer.sockets[1]!.destroyed)))
      assert.isTrue(peer.received(1).endsWith("delete 1\r\n"))
    }))
})
