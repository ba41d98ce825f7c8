/**
 * The commands of a fleet that concern all of its servers, or that one which has the job.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Fiber } from "effect"
import { Errors, type Fleet, Job } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { sumOf } from "../../src/internal/fleet/stats.ts"
import { onFleet, pass, settle } from "./Fleets.ts"

const on = (fleet: Fleet.Service, server: string) => Effect.orDie(fleet.on(server))

const bury = (fleet: Fleet.Service, server: string, body: string, priority = 1) =>
  Effect.gen(function*() {
    const one = yield* on(fleet, server)
    const ref = yield* one.put("work", body, { delay: "1 hour" })
    yield* Effect.scoped(Effect.flatMap(one.reserveJob(ref), (job) => job.bury({ priority })))
    return ref
  })

describe("the peeks of a fleet", () => {
  it.effect("give the most urgent, then the oldest ready job of all servers", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        assert.strictEqual((yield* Effect.flip(fleet.peekReady("work")))._tag, "NotFound")
        yield* (yield* on(fleet, "a")).put("work", "later", { priority: 5 })
        yield* TestClock.adjust("2 seconds")
        yield* (yield* on(fleet, "c")).put("work", "old", { priority: 3 })
        assert.strictEqual((yield* fleet.peekReady("work")).text, "old")
        yield* TestClock.adjust("2 seconds")
        yield* (yield* on(fleet, "b")).put("work", "young", { priority: 3 })
        const { server, text } = yield* fleet.peekReady("work")
        assert.deepStrictEqual([server, text], ["c", "old"])
      })
    ))

  it.effect("give the delayed job that is ready first, and the one that was buried first", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        yield* (yield* on(fleet, "a")).put("work", "in 9", { delay: "9 seconds" })
        yield* (yield* on(fleet, "b")).put("work", "in 5", { delay: "5 seconds" })
        assert.strictEqual((yield* fleet.peekDelayed("work")).text, "in 5")
        yield* bury(fleet, "c", "first")
        yield* TestClock.adjust("2 seconds")
        yield* bury(fleet, "a", "second")
        assert.strictEqual((yield* fleet.peekBuried("work")).text, "first")
      })
    ))

  it.effect("go on without a server that is down, and fail if all are", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a, b) {
        yield* (yield* on(fleet, "b")).put("work", "here")
        yield* a.down
        const peek = yield* Effect.forkChild(fleet.peekReady("work"), { startImmediately: true })
        yield* pass(2500)
        assert.strictEqual((yield* Fiber.join(peek)).text, "here")
        yield* b.down
        const failing = yield* Effect.forkChild(Effect.flip(fleet.peekReady("work")), { startImmediately: true })
        yield* pass(2500)
        assert.strictEqual((yield* Fiber.join(failing))._tag, "BeanstalkdError")
      })
    ))
})

describe("of jobs that are equals, the peeks", () => {
  it.effect("give the one of the server that is listed first", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        for (const server of ["c", "b"]) {
          yield* (yield* on(fleet, server)).put("work", "ready")
          yield* (yield* on(fleet, server)).put("work", "delayed", { delay: "9 seconds" })
          yield* bury(fleet, server, "buried")
        }
        const peeks = [fleet.peekReady("work"), fleet.peekDelayed("work"), fleet.peekBuried("work")]
        for (const peek of peeks) assert.strictEqual((yield* peek).server, "b")
      })
    ))
})

describe("kick", () => {
  it.effect("spends its bound on the buried jobs of all servers, and touches no delayed one while any is buried", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        yield* (yield* on(fleet, "a")).put("work", "delayed", { delay: "1 hour" })
        yield* bury(fleet, "b", "1")
        yield* bury(fleet, "c", "2")
        yield* bury(fleet, "c", "3")
        assert.strictEqual(yield* fleet.kick("work", 2), 2)
        assert.deepInclude(yield* fleet.statsTube("work"), { currentJobsBuried: 1, currentJobsDelayed: 1 })
        assert.strictEqual(yield* fleet.kick("work", 10), 1)
        assert.deepInclude(yield* fleet.statsTube("work"), { currentJobsBuried: 0, currentJobsDelayed: 1 })
        assert.strictEqual(yield* fleet.kick("work", 10), 1)
        assert.deepInclude(yield* fleet.statsTube("work"), { currentJobsDelayed: 0, currentJobsReady: 4 })
        assert.strictEqual(yield* fleet.kick("nowhere", 10), 0)
        assert.strictEqual((yield* Effect.flip(fleet.kick("work", -1)))._tag, "InvalidArgument")
      })
    ))

  it.effect("goes to those servers only of which it wants something", () =>
    onFleet(
      4,
      Effect.fnUntraced(function*(fleet) {
        yield* (yield* on(fleet, "a")).put("work", "ready")
        for (const server of ["b", "c"]) yield* bury(fleet, server, "x")
        assert.strictEqual(yield* fleet.kick("work", 1), 1)
        const { parts } = yield* fleet.stats
        assert.deepStrictEqual(parts.map(({ stats }) => stats.cmdKick), [0, 1, 0, 0])
      })
    ))

  it.effect("goes on without a server that is down, and fails if all are", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a, b) {
        yield* bury(fleet, "b", "x")
        yield* a.down
        const kicking = yield* Effect.forkChild(fleet.kick("work"), { startImmediately: true })
        yield* pass(2500)
        assert.strictEqual(yield* Fiber.join(kicking), 1)
        yield* b.down
        const failing = yield* Effect.forkChild(Effect.flip(fleet.kick("work")), { startImmediately: true })
        yield* pass(2500)
        assert.strictEqual((yield* Fiber.join(failing))._tag, "BeanstalkdError")
      })
    ))
})

describe("pauseTube", () => {
  it.effect("pauses on all servers that have the tube, and is NotFound only if none has", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        assert.strictEqual((yield* Effect.flip(fleet.pauseTube("work", "1 minute")))._tag, "NotFound")
        for (const server of ["a", "b"]) yield* (yield* on(fleet, server)).put("work", "x")
        yield* fleet.pauseTube("work", "1 minute")
        const { parts, pause } = yield* fleet.statsTube("work")
        assert.strictEqual(pause, 60)
        assert.deepStrictEqual(parts.map(({ server, stats }) => [server, stats.pause]), [["a", 60], ["b", 60]])
      })
    ))

  it.effect("says which servers it could not ask", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, _, b) {
        for (const server of ["a", "b"]) yield* (yield* on(fleet, server)).put("work", "x")
        yield* b.down
        const pausing = yield* Effect.forkChild(Effect.flip(fleet.pauseTube("work", "1 minute")), {
          startImmediately: true
        })
        yield* pass(2500)
        const error = yield* Fiber.join(pausing)
        assert.instanceOf(error, Errors.BeanstalkdError)
        assert.instanceOf(error.reason, Errors.PartlyDone)
        assert.deepStrictEqual(error.reason.done, ["a"])
        assert.deepStrictEqual(error.reason.failed.map(({ server }) => server), ["b"])
      })
    ))
})

describe("the statistics of a fleet", () => {
  it.effect("are sums with their parts, and tell who could not be asked", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet, _, __, c) {
        yield* (yield* on(fleet, "a")).putAll("work", ["1", "2"])
        yield* (yield* on(fleet, "c")).put("work", "3")
        const all = yield* fleet.stats
        assert.strictEqual(all.currentJobsReady, 3)
        assert.deepStrictEqual(all.parts.map(({ server, stats }) => [server, stats.currentJobsReady]), [
          ["a", 2],
          ["b", 0],
          ["c", 1]
        ])
        assert.isFalse(all.draining)
        assert.deepStrictEqual([...yield* fleet.listTubes].sort(), ["default", "work"])
        yield* c.down
        const asking = yield* Effect.forkChild(fleet.statsTube("work"), { startImmediately: true })
        yield* pass(2500)
        const some = yield* Fiber.join(asking)
        assert.strictEqual(some.currentJobsReady, 2)
        assert.deepStrictEqual(some.unreachable.map(({ server }) => server), ["c"])
      })
    ))
})

describe("the sums of statistics", () => {
  it("are the greatest of pauses, the least of what holds for all, and texts that differ", () => {
    const [a, b] = [
      {
        pause: 3,
        pauseTimeLeft: 1,
        maxJobSize: 9,
        uptime: 5,
        cmdPut: 2,
        draining: true,
        version: "1.12",
        os: "x",
        raw: "a"
      },
      {
        pause: 2,
        pauseTimeLeft: 2,
        maxJobSize: 7,
        uptime: 6,
        cmdPut: 3,
        draining: false,
        version: "1.12",
        os: "y",
        raw: "b"
      }
    ]
    const sum = {
      pause: 3,
      pauseTimeLeft: 2,
      maxJobSize: 7,
      uptime: 5,
      cmdPut: 5,
      draining: false,
      version: "1.12",
      os: "x,y",
      raw: "ab"
    }
    assert.deepStrictEqual(sumOf([a, b]), sum)
    assert.deepStrictEqual(sumOf([a]), a)
    assert.strictEqual(sumOf([a, b, a, b]).os, "x,y")
    assert.isTrue(sumOf([a, a]).draining)
    assert.isFalse(sumOf([b, a]).draining)
    const some: ReadonlyArray<{ readonly id?: string }> = [{}, { id: "7" }, {}]
    assert.deepStrictEqual(sumOf(some), { id: "7" })
  })
})

describe("the health of a fleet", () => {
  it.effect("is that of all of its servers, the last of which was heard then", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet) {
        const heardAt = Effect.map(fleet.health, ({ lastHeard }) => DateTime.toEpochMillis(lastHeard!))
        const quiet = { server: "a,b", isReachable: true, connections: 2, commandsInFlight: 0, jobsInFlight: 0 }
        assert.deepInclude(yield* fleet.health, quiet)
        for (const [seconds, server] of [[1, "b"], [2, "a"], [3, "b"]] as const) {
          yield* TestClock.adjust("1 second")
          yield* (yield* on(fleet, server)).put("work", "x")
          assert.strictEqual(yield* heardAt, seconds * 1000)
        }
        yield* Effect.scoped(Effect.gen(function*() {
          for (const server of ["a", "b"]) yield* (yield* on(fleet, server)).reserve("work")
          assert.deepInclude(yield* fleet.health, { connections: 4, jobsInFlight: 2 })
        }))
        yield* Effect.forkScoped(Effect.scoped(fleet.reserve("nothing")), { startImmediately: true })
        yield* pass(100)
        assert.deepInclude(yield* fleet.health, { commandsInFlight: 2, jobsInFlight: 0 })
      })
    ))

  it.effect("is good as long as one of them can be reached, and says why others cannot", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet, a, b, c) {
        assert.isFalse("reason" in (yield* fleet.health))
        yield* a.down
        yield* pass(1000)
        const { isReachable, reason } = yield* fleet.health
        assert.isTrue(isReachable)
        assert.match(reason!, /^a: [^;]+$/)
        yield* b.down
        yield* c.down
        yield* pass(1000)
        const none = yield* fleet.health
        assert.isFalse(none.isReachable)
        assert.match(none.reason!, /^a: [^;]+; b: [^;]+; c: [^;]+$/)
      })
    ))
})

describe("the connections of a fleet", () => {
  it.effect("are those of all of its servers", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, ...servers) {
        const one = yield* on(fleet, "b")
        const before = { idle: 0, used: 0, waiting: 0, opened: 2, lost: 0, shared: true }
        assert.deepStrictEqual(yield* fleet.poolStats, before)
        yield* Effect.scoped(Effect.gen(function*() {
          yield* one.put("work", "x")
          yield* one.reserve("work")
          assert.deepStrictEqual(yield* fleet.poolStats, { ...before, used: 1, opened: 3 })
        }))
        assert.deepStrictEqual(yield* fleet.poolStats, { ...before, idle: 1, opened: 3 })
        for (const { down } of servers) yield* down
        yield* settle
        assert.deepStrictEqual(yield* fleet.poolStats, { ...before, opened: 3, lost: 3, shared: false })
      })
    ))
})

describe("a command on one job", () => {
  it.effect("goes to the server of its reference, and refuses an id alone and a job of another server", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        const refs = yield* Effect.forEach(
          ["a", "b", "c"],
          (server) => Effect.flatMap(on(fleet, server), (one) => one.put("work", server))
        )
        // All of them have the same number.
        assert.deepStrictEqual(refs.map(({ id }) => id), [1, 1, 1].map((id) => id as never))
        for (const ref of refs) assert.strictEqual((yield* fleet.peek(ref)).text, ref.server)
        const foreign = new Job.JobRef({ server: "z", id: refs[0]!.id })
        for (const job of [refs[0]!.id, foreign]) {
          for (const refused of [fleet.delete(job), fleet.peek(job), fleet.kickJob(job), fleet.statsJob(job)]) {
            const error = yield* Effect.flip(refused)
            assert.strictEqual(error._tag, "InvalidArgument")
            assert.include(error.message, "a,b,c")
          }
        }
        yield* fleet.delete(refs[1]!)
        assert.strictEqual((yield* fleet.stats).currentJobsReady, 2)
      })
    ))

  it.effect("is refused where it makes sense on one server only", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet) {
        const error = yield* Effect.flip(Effect.scoped(fleet.connection))
        assert.strictEqual(error.reason._tag, "InvalidOptions")
        assert.include(error.message, "on(server)")
        assert.strictEqual((yield* Effect.flip(fleet.on("z"))).message, "on: z is not one of a,b")
      })
    ))
})

describe("reserve", () => {
  it.effect("takes what is ready on some server, at once", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        yield* (yield* on(fleet, "b")).put("work", "x")
        yield* Effect.scoped(Effect.gen(function*() {
          const job = yield* fleet.reserve("work")
          assert.strictEqual(job.server, "b")
          yield* job.delete
        }))
        const none = yield* Effect.flip(Effect.scoped(fleet.reserve("work", { timeout: 0 })))
        assert.strictEqual(none._tag, "TimedOut")
      })
    ))

  for (const timeout of [undefined, "1 hour"] as const) {
    it.effect(`waits on all servers (timeout ${timeout}), and gives the connections back`, () =>
      onFleet(
        3,
        Effect.fnUntraced(function*(fleet, ...servers) {
          const taking = Effect.scoped(Effect.gen(function*() {
            const job = yield* fleet.reserve("work", timeout === undefined ? undefined : { timeout })
            yield* job.delete
            return job.server
          }))
          for (const server of ["a", "c"]) {
            const taken = yield* Effect.forkChild(taking, { startImmediately: true })
            yield* pass(500)
            yield* (yield* on(fleet, server)).put("work", "x")
            yield* pass(100)
            assert.strictEqual(yield* Fiber.join(taken), server)
          }
          for (const { dropConnections } of servers) assert.isAtMost(yield* dropConnections, 2)
          assert.strictEqual((yield* fleet.poolStats).used, 0)
        })
      ))
  }

  it.effect("that is interrupted, or ends in time, leaves no job reserved", () =>
    onFleet(
      3,
      Effect.fnUntraced(function*(fleet) {
        const waiting = yield* Effect.forkChild(Effect.scoped(fleet.reserve("work")), { startImmediately: true })
        yield* pass(100)
        yield* Fiber.interrupt(waiting)
        const timed = yield* Effect.forkChild(Effect.exit(Effect.scoped(fleet.reserve("work", { timeout: 2000 }))), {
          startImmediately: true
        })
        yield* pass(2500)
        const exit = yield* Fiber.join(timed)
        assert.isTrue(Exit.isFailure(exit))
        yield* Effect.forEach(["a", "b", "c"], (server) =>
          Effect.flatMap(on(fleet, server), (one) => one.put("work", "x")))
        yield* pass(100)
        assert.deepInclude(yield* fleet.statsTube("work"), { currentJobsReady: 3, currentJobsReserved: 0 })
      })
    ))

  it.effect("goes on with a server that comes back", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a) {
        yield* (yield* on(fleet, "a")).put("work", "x")
        yield* a.down
        yield* pass(100)
        const waiting = yield* Effect.forkChild(Effect.scoped(Effect.map(fleet.reserve("work"), ({ text }) => text)), {
          startImmediately: true
        })
        yield* pass(500)
        assert.strictEqual(waiting.pollUnsafe(), undefined)
        yield* a.up
        yield* pass(8000)
        assert.strictEqual(yield* Fiber.join(waiting), "x")
      })
    ))
})
