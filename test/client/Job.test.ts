/**
 * Jobs in hand: how a lease ends, what a handle may do after that, and where the job is if nobody settled it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { Client, Errors, Job, Server } from "effect-beanstalkd"
import { inspect } from "node:util"
import { decoded, reservedOf } from "../../src/internal/job/decodedJob.ts"
import { TestClock } from "effect/testing"
import { describeServers, type Target } from "../support/AnyServer.ts"
import { eventually } from "../support/Eventually.ts"
import { onServer } from "../support/Fixture.ts"

const TUBE = "work"
const PRIORITY = 42

const openOn = Effect.fnUntraced(function*(target: Target, options?: Client.Options) {
  const { beanstalkd, server } = yield* onServer(target)(options)
  const counts = Effect.map(server.stats, (stats) => (command: string) => Number(stats[`cmd-${command}`]))
  /** Waits until the pool has this many connections, all of them idle, with none lost on the way. */
  const isIdle = (connections: number) =>
    eventually(
      Effect.map(beanstalkd.poolStats, (stats) =>
        assert.deepInclude(stats, { idle: connections, used: 0, waiting: 0, lost: 0 }))
    )
  return { server, beanstalkd, counts, isIdle }
})

/** A client on a server of its own, and a job that it holds. */
const openWithJobOn = Effect.fnUntraced(function*(target: Target, options?: Client.Options & Client.PutOptions) {
  const opened = yield* openOn(target, options)
  const { id } = yield* opened.beanstalkd.put(TUBE, "hello", { priority: PRIORITY, ttr: options?.ttr })
  const job = yield* opened.beanstalkd.reserve(TUBE)
  assert.strictEqual(job.id, id)
  return { ...opened, id, job }
})

const ways = {
  delete: (job: Job.Job) => job.delete,
  release: (job: Job.Job) => job.release(),
  bury: (job: Job.Job) => job.bury()
} as const

type Settle = keyof typeof ways

const settles: ReadonlyArray<Settle> = ["delete", "release", "bury"]

/** The handle says `NotFound` to every command. */
const isOver = Effect.fnUntraced(function*(job: Job.Job) {
  for (const command of settles) {
    assert.deepInclude(yield* Effect.flip(ways[command](job)), { _tag: "NotFound", command, id: job.id })
  }
  assert.deepInclude(yield* Effect.flip(job.touch), { _tag: "NotFound", command: "touch", id: job.id })
})

/** Lets the ttr of 1 second pass, again if the touch was in time after all: the real server can miss the moment. */
const expires = (job: Job.Job) =>
  Effect.flip(job.touch).pipe(
    Effect.map((error) => assert.strictEqual(error._tag, "NotFound")),
    Effect.delay("1100 millis"),
    eventually
  )

describeServers("a job", (target) => {
  const open = (options?: Client.Options) => openOn(target, options)
  const openWithJob = (options?: Client.Options & Client.PutOptions) => openWithJobOn(target, options)

  describe("that is settled", () => {
    it.live.each(settles)(
      "with %s says NotFound to everything after that, and the server hears nothing of it",
      (way) =>
        Effect.gen(function*() {
          const { counts, job } = yield* openWithJob()
          yield* ways[way](job)
          const before = yield* counts
          yield* isOver(job)
          const after = yield* counts
          for (const command of [...settles, "touch", "stats-job"]) {
            assert.strictEqual(after(command), before(command), command)
          }
          assert.strictEqual(after(way), 1)
        })
    )

    it.live.each(settles)("with %s frees its connection at once", (way) =>
      Effect.gen(function*() {
        const { beanstalkd, job } = yield* openWithJob()
        assert.deepInclude(yield* beanstalkd.poolStats, { idle: 0, used: 1 })
        yield* ways[way](job)
        assert.deepInclude(yield* beanstalkd.poolStats, { idle: 1, used: 0 })
      }))

    it.live("lets one connection serve any number of reserves in one Scope", () =>
      Effect.gen(function*() {
        const { beanstalkd, isIdle } = yield* open({ maxConnections: 1 })
        yield* beanstalkd.putAll(TUBE, Array.from({ length: 30 }, (_, i) => `${i}`))
        for (let i = 0; i < 30; i++) {
          const job = yield* beanstalkd.reserve(TUBE, { timeout: 0 })
          assert.strictEqual(job.text, `${i}`)
          yield* ways[settles[i % settles.length]!](job)
          // Else the next reserve would get it again.
          if (i % settles.length === 1) yield* beanstalkd.delete(job.id)
        }
        yield* isIdle(1)
        assert.strictEqual((yield* beanstalkd.poolStats).opened, 2)
      }))

    it.live("by two fibers at once is deleted by the one, and NotFound for the other", () =>
      Effect.gen(function*() {
        const { counts, job } = yield* openWithJob()
        const exits = yield* Effect.all([Effect.exit(job.delete), Effect.exit(job.delete)], {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false])
        assert.strictEqual((yield* Effect.flip(exits[1]))._tag, "NotFound")
        assert.strictEqual((yield* counts)("delete"), 1)
      }))

    it.live("is settled also when the fiber that does it is interrupted meanwhile", () =>
      Effect.gen(function*() {
        const { beanstalkd, counts, id, isIdle, job } = yield* openWithJob()
        const deleting = yield* Effect.forkChild(job.delete, { startImmediately: true })
        yield* Fiber.interrupt(deleting)
        yield* isOver(job)
        yield* isIdle(1)
        assert.strictEqual((yield* Effect.flip(beanstalkd.peek(id)))._tag, "NotFound")
        assert.strictEqual((yield* counts)("delete"), 1)
      }))
  })

  describe("keeps its own priority", () => {
    it.live("when it is released or buried without one, and takes the one that it is given", () =>
      Effect.gen(function*() {
        const { beanstalkd, id, job } = yield* openWithJob()
        const priority = Effect.map(beanstalkd.statsJob(id), ({ pri }) => pri)
        yield* job.release()
        assert.strictEqual(yield* priority, PRIORITY)
        yield* (yield* beanstalkd.reserve(TUBE)).release({ priority: 7 })
        assert.strictEqual(yield* priority, 7)
        yield* (yield* beanstalkd.reserve(TUBE)).bury()
        assert.strictEqual(yield* priority, 7)
        yield* beanstalkd.kickJob(id)
        yield* (yield* beanstalkd.reserve(TUBE)).bury({ priority: 8 })
        assert.deepInclude(yield* beanstalkd.statsJob(id), { pri: 8, state: "buried", buries: 2, releases: 2 })
      }))

    it.live("when it is released with a delay only", () =>
      Effect.gen(function*() {
        const { beanstalkd, id, job } = yield* openWithJob()
        yield* job.release({ delay: "1500 millis" })
        assert.deepInclude(yield* beanstalkd.statsJob(id), { pri: PRIORITY, state: "delayed", delay: 2 })
      }))
  })

  describe("knows", () => {
    it.live("its tube and its attempt, and asks for both once", () =>
      Effect.gen(function*() {
        const { beanstalkd, counts, job } = yield* openWithJob()
        assert.deepStrictEqual([yield* job.tube, yield* job.attempt, yield* job.tube], [TUBE, 1, TUBE])
        assert.strictEqual((yield* counts)("stats-job"), 1)
        yield* job.release({ priority: 1 })
        const again = yield* beanstalkd.reserve(["other", TUBE])
        assert.deepStrictEqual([yield* again.attempt, yield* again.tube], [2, TUBE])
        // The first handle still knows the attempt of its own lease.
        assert.deepStrictEqual([yield* job.attempt, (yield* counts)("stats-job")], [1, 2])
      }))

    it.live("its statistics as they are now", () =>
      Effect.gen(function*() {
        const { counts, id, job } = yield* openWithJob()
        assert.deepInclude(yield* job.stats, { id, tube: TUBE, state: "reserved", pri: PRIORITY, reserves: 1 })
        yield* job.bury()
        assert.deepInclude(yield* job.stats, { state: "buried" })
        // One for each `stats`. `bury` needed none: the first had told the priority that it keeps.
        assert.strictEqual((yield* counts)("stats-job"), 2)
      }))
  })

  describe("says that its lease is lost", () => {
    it.live("when its connection is", () =>
      Effect.gen(function*() {
        const { job, server } = yield* openWithJob()
        const lost = yield* Effect.forkChild(Effect.flip(job.lost), { startImmediately: true })
        assert.isUndefined(lost.pollUnsafe())
        yield* server.dropConnections
        const error = yield* Fiber.join(lost)
        assert.deepInclude(error, { _tag: "NotFound", server: job.server, id: job.id })
        assert.include(error.message, "its lease was lost")
        // A later caller hears it at once.
        assert.strictEqual((yield* Effect.flip(job.lost))._tag, "NotFound")
      }))

    it.live("when a touch comes too late", () =>
      Effect.gen(function*() {
        const { job } = yield* openWithJob({ ttr: "1 second" })
        const lost = yield* Effect.forkChild(Effect.flip(job.lost), { startImmediately: true })
        yield* expires(job)
        assert.strictEqual((yield* Fiber.join(lost))._tag, "NotFound")
      }))

    it.live.each(settles)("but not when it has been settled with %s", (way) =>
      Effect.gen(function*() {
        const { job, server } = yield* openWithJob()
        const lost = yield* Effect.forkChild(Effect.exit(job.lost), { startImmediately: true })
        yield* ways[way](job)
        const late = yield* Effect.forkChild(Effect.exit(job.lost), { startImmediately: true })
        yield* server.dropConnections
        assert.deepStrictEqual([lost.pollUnsafe(), late.pollUnsafe()], [undefined, undefined])
      }))
  })

  describe("can be looked at", () => {
    it.live("and says what it is, where, and how far it has come", () =>
      Effect.gen(function*() {
        const { id, job, server } = yield* openWithJob()
        const typed = decoded(job, { hello: 1 })
        assert.isTrue([job, typed].every(Job.isJob))
        assert.isFalse([undefined, { id }, "job"].some(Job.isJob))
        const name = `Job(${server.address}/${id})`
        assert.deepStrictEqual([job, typed].map(String), [name, name])
        assert.deepStrictEqual(JSON.parse(JSON.stringify([job, typed])), [
          { _id: "Job", server: server.address, id, state: "held" },
          { _id: "Job", server: server.address, id, value: { hello: 1 } }
        ])
        yield* job.delete
        assert.include(inspect(job), "settled")
      }))
  })

  describe("with a value", () => {
    it.live("is the same job", () =>
      Effect.gen(function*() {
        const { beanstalkd, id, job } = yield* openWithJob()
        const typed = decoded(job, 42)
        assert.strictEqual(typed.value, 42)
        assert.deepStrictEqual(
          [typed.server, typed.id, typed.ref, typed.body, typed.text],
          [job.server, job.id, job.ref, job.body, job.text]
        )
        assert.deepStrictEqual([yield* typed.tube, yield* typed.attempt, (yield* typed.stats).id], [TUBE, 1, id])
        yield* typed.touch
        yield* typed.bury({ priority: 3 })
        yield* isOver(job)
        yield* isOver(typed)
        yield* beanstalkd.kickJob(id)
        const again = decoded(yield* beanstalkd.reserve(TUBE), 42)
        yield* again.release({ delay: "1 hour" })
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "delayed", pri: 3 })
        assert.strictEqual(reservedOf(typed), job)
        assert.isUndefined(reservedOf({ ...typed }))
      }))
  })

  describe("that nobody settled", () => {
    const endings: Record<string, Effect.Effect<void, string>> = {
      "its Scope is closed": Effect.void,
      "the program fails": Effect.fail("it did not work"),
      "the program dies of a defect": Effect.die("it cannot work"),
      "the program is interrupted": Effect.interrupt
    }
    it.live.each(Object.entries(endings))(
      "is released with its own priority when %s",
      ([, ending]) =>
        Effect.gen(function*() {
          const { beanstalkd, isIdle } = yield* open()
          const { id } = yield* beanstalkd.put(TUBE, "hello", { priority: PRIORITY })
          yield* Effect.exit(Effect.scoped(Effect.andThen(beanstalkd.reserve(TUBE), ending)))
          // The job is released by the time the Scope is closed, not some time later.
          assert.deepInclude(yield* beanstalkd.statsJob(id), {
            state: "ready",
            pri: PRIORITY,
            releases: 1,
            timeouts: 0
          })
          yield* isIdle(1)
        })
    )

    it.live("is released when the fiber that works on it is interrupted", () =>
      Effect.gen(function*() {
        const { beanstalkd, isIdle } = yield* open()
        const { id } = yield* beanstalkd.put(TUBE, "hello", { priority: PRIORITY })
        const reserved = yield* Deferred.make<void>()
        const working = yield* beanstalkd.reserve(TUBE).pipe(
          Effect.andThen(Deferred.succeed(reserved, undefined)),
          Effect.andThen(Effect.never),
          Effect.scoped,
          Effect.forkChild
        )
        yield* Deferred.await(reserved)
        yield* Fiber.interrupt(working)
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", pri: PRIORITY, releases: 1 })
        yield* isIdle(1)
      }))

    it.live("is not released by the end of a Scope that outlives its lease", () =>
      Effect.gen(function*() {
        const { beanstalkd, counts } = yield* open()
        const { id } = yield* beanstalkd.put(TUBE, "hello")
        yield* Effect.scoped(Effect.flatMap(beanstalkd.reserve(TUBE), (job) => job.bury()))
        assert.strictEqual((yield* beanstalkd.statsJob(id)).state, "buried")
        assert.strictEqual((yield* counts)("release"), 0)
      }))
  })

  describe("whose time has run out", () => {
    it.live("cannot be touched, nor settled while somebody else has it; and its connection is as good as new", () =>
      Effect.gen(function*() {
        const { beanstalkd, id, isIdle, job } = yield* openWithJob({ ttr: "1 second" })
        yield* expires(job)
        const other = yield* beanstalkd.reserve(TUBE)
        assert.strictEqual(other.id, id)
        assert.deepInclude(yield* Effect.flip(job.delete), { _tag: "NotFound", id })
        yield* isOver(job)
        yield* other.delete
        yield* isIdle(1)
        yield* beanstalkd.put(TUBE, "next")
        yield* (yield* beanstalkd.reserve(TUBE)).delete
        assert.strictEqual((yield* beanstalkd.poolStats).opened, 2)
      }))

    it.live("is not deleted by the handle that was told so, though nobody has it", () =>
      Effect.gen(function*() {
        const { beanstalkd, id, job } = yield* openWithJob({ ttr: "1 second" })
        yield* expires(job)
        assert.deepInclude(yield* Effect.flip(job.delete), { _tag: "NotFound", id })
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", timeouts: 1 })
      }))

    it.live("costs its Scope nothing: there is nothing left to release", () =>
      Effect.gen(function*() {
        const { beanstalkd, isIdle } = yield* open()
        const { id } = yield* beanstalkd.put(TUBE, "hello", { ttr: "1 second" })
        yield* Effect.scoped(Effect.flatMap(beanstalkd.reserve(TUBE), expires))
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", releases: 0, timeouts: 1 })
        yield* isIdle(1)
      }))
  })

  describe("whose connection is lost", () => {
    it.live.each(settles)(
      "cannot be settled with %s any more: BeanstalkdError, and its Scope closes all the same",
      (way) =>
        Effect.gen(function*() {
          const { beanstalkd, server } = yield* open()
          yield* beanstalkd.put(TUBE, "hello")
          const scope = yield* Scope.make()
          const job = yield* Scope.provide(beanstalkd.reserve(TUBE), scope)
          yield* server.dropConnections
          yield* eventually(Effect.map(beanstalkd.poolStats, ({ lost }) => assert.isAtLeast(lost, 2)))
          const error = yield* Effect.flip(ways[way](job))
          assert.instanceOf(error, Errors.BeanstalkdError)
          assert.deepStrictEqual([error.sent, error.reason._tag], [false, "ConnectionClosed"])
          yield* Scope.close(scope, Exit.void)
          assert.deepInclude(yield* beanstalkd.poolStats, { used: 0, waiting: 0 })
        })
    )

    it.live("is back at the server, and the Scope that held it closes without an error", () =>
      Effect.gen(function*() {
        const { beanstalkd, server } = yield* open()
        yield* beanstalkd.put(TUBE, "hello")
        const exit = yield* Effect.exit(
          Effect.scoped(Effect.andThen(beanstalkd.reserve(TUBE), Effect.as(server.dropConnections, "done")))
        )
        assert.deepStrictEqual(exit, Exit.succeed("done"))
        assert.deepInclude(yield* beanstalkd.poolStats, { used: 0, waiting: 0 })
      }))
  })

  describe("that the same connection has reserved again", () => {
    it.live("is out of reach for the handle that released it", () =>
      Effect.gen(function*() {
        const { beanstalkd, counts, id, job } = yield* openWithJob({ maxConnections: 1 })
        yield* job.release()
        const second = yield* beanstalkd.reserve(TUBE)
        assert.strictEqual(second.id, id)
        yield* isOver(job)
        assert.strictEqual((yield* counts)("touch"), 0)
        assert.deepInclude(yield* second.stats, { state: "reserved", releases: 1 })
        yield* second.touch
        yield* second.delete
      }))

    it.live("is out of reach for the handle whose time had run out", () =>
      Effect.gen(function*() {
        const { beanstalkd } = yield* open({ maxConnections: 1 })
        yield* beanstalkd.put(TUBE, "hello", { ttr: "1 second" })
        const stale = yield* Effect.scoped(Effect.tap(beanstalkd.reserve(TUBE), expires))
        const second = yield* beanstalkd.reserve(TUBE)
        assert.strictEqual(second.id, stale.id)
        yield* isOver(stale)
        assert.deepInclude(yield* second.stats, { state: "reserved", reserves: 2 })
        yield* second.delete
      }))
  })

  describe("that was to be settled with an argument that is refused", () => {
    const wrong: Record<string, (job: Job.Job) => Effect.Effect<void, unknown>> = {
      "release with a priority that is none": (job) => job.release({ priority: -1 }),
      "release with a delay that is none": (job) => job.release({ delay: -1 }),
      "bury with a priority that is none": (job) => job.bury({ priority: 0.5 })
    }
    it.live.each(Object.entries(wrong))(
      "(%s) is still in hand, and the server heard nothing",
      ([, settle]) =>
        Effect.gen(function*() {
          const { beanstalkd, counts, isIdle, job } = yield* openWithJob()
          assert.instanceOf(yield* Effect.flip(settle(job)), Errors.InvalidArgument)
          const count = yield* counts
          assert.deepStrictEqual([count("release"), count("bury"), count("stats-job")], [0, 0, 0])
          assert.deepInclude(yield* beanstalkd.poolStats, { used: 1 })
          yield* job.touch
          yield* job.delete
          yield* isIdle(1)
        })
    )

    it.live("is released when its Scope is closed", () =>
      Effect.gen(function*() {
        const { beanstalkd, isIdle } = yield* open()
        const { id } = yield* beanstalkd.put(TUBE, "hello", { priority: PRIORITY })
        const exit = yield* Effect.exit(
          Effect.scoped(Effect.flatMap(beanstalkd.reserve(TUBE), (job) => job.release({ priority: -1 })))
        )
        assert.isTrue(Exit.isFailure(exit))
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", pri: PRIORITY, releases: 1 })
        yield* isIdle(1)
      }))
  })
}, { concurrent: true })

describe("a job that is on the way to being deleted", () => {
  it.effect("keeps its connection until that is answered, though somebody touches it meanwhile", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const client = yield* Client.make(server.clientOptions)
      yield* client.put("jobs", "hello")
      const job = yield* client.reserve("jobs")
      yield* server.injectFaults({ delay: "1 second" })
      const deleting = yield* Effect.forkScoped(Effect.exit(job.delete), { startImmediately: true })
      assert.strictEqual((yield* Effect.flip(job.touch))._tag, "NotFound")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(deleting), Exit.void)
      assert.deepInclude(yield* client.poolStats, { idle: 1, used: 0, lost: 0 })
    }))
})
