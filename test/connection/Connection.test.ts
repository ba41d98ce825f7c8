/**
 * One connection and a server: every command, and every outcome that the server can be brought to.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Random } from "effect"
import { Connection, Errors, Protocol, type Stats } from "effect-beanstalkd"
import { type AnyServer, type AnyServerOptions, describeServers, type Target } from "../support/AnyServer.ts"
import { eventually } from "../support/Eventually.ts"
import * as RealServer from "../support/RealServer.ts"

const TUBE = "work"

const connect = ({ clientOptions }: Pick<AnyServer, "clientOptions">) =>
  Connection.make({ ...clientOptions, use: TUBE, watch: TUBE })

const opening = (target: Target) =>
  Effect.fnUntraced(function*(options?: AnyServerOptions) {
    const server = yield* target.make(options)
    return { server, connection: yield* connect(server) }
  })

const nobody = Protocol.JobId.make(4_711)

const counts = (stats: Stats.TubeStats | Stats.ServerStats) => ({
  ready: stats.currentJobsReady,
  reserved: stats.currentJobsReserved,
  delayed: stats.currentJobsDelayed,
  buried: stats.currentJobsBuried
})

describeServers("a connection", (target) => {
  const open = opening(target)

  it.live("puts, reserves and deletes a job, and every byte of its body comes back", () =>
    Effect.gen(function*() {
      const { connection } = yield* open()
      const body = Uint8Array.from({ length: 512 }, (_, i) => i % 256)
      const id = yield* connection.put(body)
      const job = yield* connection.reserve
      assert.strictEqual(job.id, id)
      assert.deepStrictEqual(job.body, body)
      yield* connection.delete(id)
      assert.instanceOf(yield* Effect.flip(connection.peek(id)), Errors.NotFound)
    }))

  it.live("puts text as UTF-8, and nothing as an empty body", () =>
    Effect.gen(function*() {
      const { connection } = yield* open()
      for (const text of ["grüße, 世界 🌍\r\n", "", "delete 1\r\nquit"]) {
        const id = yield* connection.put(text)
        const job = yield* connection.peek(id)
        assert.strictEqual(job.text, text)
        assert.deepStrictEqual(job.body, new TextEncoder().encode(text))
      }
    }))

  it.live("puts with priority, delay and ttr, rounded up to seconds", () =>
    Effect.gen(function*() {
      const { connection } = yield* open()
      const id = yield* connection.put("x", { priority: 7, delay: "59500 millis", ttr: "1001 millis" })
      const stats = yield* connection.statsJob(id)
      assert.strictEqual(stats.state, "delayed")
      assert.strictEqual(stats.pri, 7)
      assert.strictEqual(stats.delay, 60)
      assert.strictEqual(stats.ttr, 2)
      const plain = yield* connection.statsJob(yield* connection.put("x"))
      assert.deepStrictEqual([plain.pri, plain.delay, plain.ttr, plain.state], [2 ** 31, 0, 120, "ready"])
    }))

  it.live("gives the most urgent job first, and equals in the order of their ids", () =>
    Effect.gen(function*() {
      const { connection } = yield* open()
      for (const [body, priority] of [["c", 5], ["a", 0], ["d", 2 ** 32 - 1], ["b", 5]] as const) {
        yield* connection.put(body, { priority })
      }
      const order: Array<string> = []
      for (let i = 0; i < 4; i++) order.push((yield* connection.reserveWithTimeout(0)).text)
      assert.deepStrictEqual(order, ["a", "c", "b", "d"])
    }))

  it.live("uses, watches and ignores tubes", () =>
    Effect.gen(function*() {
      const { connection } = yield* open()
      assert.strictEqual(yield* connection.listTubeUsed, TUBE)
      assert.strictEqual(yield* connection.use("other"), "other")
      assert.strictEqual(yield* connection.listTubeUsed, "other")
      assert.strictEqual(yield* connection.watch("other"), 2)
      assert.strictEqual(yield* connection.watch("other"), 2)
      assert.deepStrictEqual(yield* connection.listTubesWatched, [TUBE, "other"])
      assert.strictEqual(yield* connection.ignore(TUBE), 1)
      assert.deepStrictEqual(yield* connection.listTubesWatched, ["other"])
      assert.includeMembers([...yield* connection.listTubes], ["default", "other"])
      const error = yield* Effect.flip(connection.ignore("other"))
      assert.instanceOf(error, Errors.NotIgnored)
      assert.strictEqual(error.tube, "other")
    }))

  it.live("names a tube for one command without leaving the one in use", () =>
    Effect.gen(function*() {
      const { connection } = yield* open()
      yield* connection.put("there", { tube: "elsewhere" })
      yield* connection.put("here")
      assert.strictEqual((yield* connection.peekReady).text, "here")
      assert.strictEqual((yield* connection.run(Protocol.commands.peekReady, "elsewhere")).text, "there")
      assert.strictEqual(yield* connection.listTubeUsed, TUBE)
    }))

  it.live("releases, buries, kicks and touches a job", () =>
    Effect.gen(function*() {
      const { connection } = yield* open()
      const id = yield* connection.put("x", { priority: 3 })

      yield* connection.reserve
      yield* connection.touch(id)
      yield* connection.release(id, { priority: 9, delay: "1 hour" })
      const delayed = yield* connection.statsJob(id)
      assert.deepStrictEqual([delayed.state, delayed.pri, delayed.delay, delayed.releases], ["delayed", 9, 3600, 1])
      assert.strictEqual((yield* connection.peekDelayed).id, id)
      assert.strictEqual(yield* connection.kick(), 1)

      yield* connection.reserveWithTimeout("1 second")
      yield* connection.bury(id, { priority: 4 })
      const buried = yield* connection.statsJob(id)
      assert.deepStrictEqual([buried.state, buried.pri, buried.buries, buried.kicks], ["buried", 4, 1, 1])
      assert.strictEqual((yield* connection.peekBuried).id, id)
      yield* connection.kickJob(id)
      assert.strictEqual((yield* connection.peekReady).id, id)

      const again = yield* connection.reserveJob(id)
      assert.strictEqual(again.id, id)
      yield* connection.release(id)
      assert.strictEqual((yield* connection.statsJob(id)).pri, 2 ** 31)
      assert.strictEqual(yield* connection.kick(100), 0)
    }))

  it.live("pauses a tube and ends the pause", () =>
    Effect.gen(function*() {
      const { connection } = yield* open()
      yield* connection.put("x")
      yield* connection.pauseTube(TUBE, "1 hour")
      assert.strictEqual((yield* connection.statsTube(TUBE)).pause, 3600)
      assert.instanceOf(yield* Effect.flip(connection.reserveWithTimeout(0)), Errors.TimedOut)
      yield* connection.pauseTube(TUBE, 0)
      yield* connection.reserveWithTimeout(0)
    }))

  it.live("reads the statistics of the server, of a tube and of a job", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* open()
      const id = yield* connection.put("x", { priority: 1 })
      const stats = yield* connection.stats
      assert.strictEqual(stats.pid, server.pid)
      assert.match(stats.version, /^1\.12/)
      assert.strictEqual(stats.draining, false)
      assert.match(stats.id!, /^[0-9a-f]{16}$/)
      assert.deepStrictEqual(counts(stats), { ready: 1, reserved: 0, delayed: 0, buried: 0 })
      assert.deepStrictEqual(stats.extra, {})
      const raw = yield* server.stats
      assert.strictEqual(Object.keys(stats).length - 2, Object.keys(raw).length)
      assert.strictEqual(stats.os, raw["os"])

      const tube = yield* connection.statsTube(TUBE)
      assert.deepStrictEqual([tube.name, tube.totalJobs, tube.currentJobsUrgent, tube.currentWatching], [TUBE, 1, 1, 1])
      const job = yield* connection.statsJob(id)
      assert.deepStrictEqual([job.id, job.tube, job.state, job.reserves, job.file], [id, TUBE, "ready", 0, 0])
      assert.isTrue(job.raw.startsWith("---\n"))
    }))

  it.live("quits, and is closed then", () =>
    Effect.gen(function*() {
      const { connection } = yield* open()
      assert.isFalse(yield* connection.closed)
      yield* connection.quit
      assert.isTrue(yield* connection.closed)
      const error = yield* Effect.flip(connection.put("x"))
      assert.strictEqual(error._tag, "BeanstalkdError")
      assert.isFalse((error as Errors.BeanstalkdError).sent)
    }))

  it.live("says NotFound, with the command and the id or tube, where there is nothing", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* open()
      const { address } = server
      const byId: Record<string, Effect.Effect<unknown, Protocol.Failure<"release"> | Protocol.Failure<"peek">>> = {
        "reserve-job": connection.reserveJob(nobody),
        "delete": connection.delete(nobody),
        "release": connection.release(nobody),
        "bury": connection.bury(nobody),
        "touch": connection.touch(nobody),
        "peek": connection.peek(nobody),
        "kick-job": connection.kickJob(nobody),
        "stats-job": connection.statsJob(nobody)
      }
      for (const [command, effect] of Object.entries(byId)) {
        const error = yield* Effect.flip(effect)
        assert.deepInclude(error, { _tag: "NotFound", command, id: nobody, server: address })
      }
      const inTube: Record<string, Effect.Effect<unknown, Protocol.Failure<"statsTube"> | Protocol.Failure<"peek">>> = {
        "peek-ready": connection.peekReady,
        "peek-delayed": connection.peekDelayed,
        "peek-buried": connection.peekBuried,
        "stats-tube": connection.statsTube("nowhere"),
        "pause-tube": connection.pauseTube("nowhere", "1 minute")
      }
      for (const [command, effect] of Object.entries(inTube)) {
        assert.deepInclude(yield* Effect.flip(effect), { _tag: "NotFound", command, server: address })
      }
    }))

  it.live("says TimedOut when no job came in time, DeadlineSoon when one of its own is due", () =>
    Effect.gen(function*() {
      const { connection } = yield* open()
      assert.strictEqual((yield* Effect.flip(connection.reserveWithTimeout(0)))._tag, "TimedOut")
      const late = yield* Effect.flip(connection.reserveWithTimeout("900 millis"))
      assert.deepInclude(late, { _tag: "TimedOut", timeoutSeconds: 1 })
      yield* connection.put("x", { ttr: "1 second" })
      yield* connection.reserve
      assert.strictEqual((yield* Effect.flip(connection.reserve))._tag, "DeadlineSoon")
      assert.strictEqual((yield* Effect.flip(connection.reserveWithTimeout("1 minute")))._tag, "DeadlineSoon")
    }))

  it.live("says JobTooBig with the size, and goes on", () =>
    Effect.gen(function*() {
      const { connection } = yield* open({ maxJobSize: 100 })
      const error = yield* Effect.flip(connection.put("x".repeat(101)))
      assert.deepInclude(error, { _tag: "JobTooBig", size: 101 })
      assert.strictEqual((yield* connection.stats).maxJobSize, 100)
      yield* connection.put("x".repeat(100))
    }))

  it.live("says Draining of a server in drain mode, which still does everything else", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* open()
      const id = yield* connection.put("x")
      yield* server.drain
      assert.isTrue((yield* connection.stats).draining)
      assert.strictEqual((yield* Effect.flip(connection.put("y")))._tag, "Draining")
      yield* connection.delete(id)
    }))

  it.live("keeps 10,000 fibers apart, of which 1,000 are interrupted at random moments", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* open()
      const tubes = ["a", "b", "c", "d", "e"]
      const fibers = yield* Effect.forEach(
        Array.from({ length: 10_000 }, (_, i) => i),
        (i) => {
          const tube = tubes[i % tubes.length]!
          const put = Effect.map(connection.put(`${tube} ${i}`, { tube }), (id) => ({ id, tube, i }))
          return Effect.forkChild(i % 3 === 0 ? Effect.andThen(Effect.yieldNow, put) : put)
        }
      )
      const interrupted = new Set<number>()
      while (interrupted.size < 1_000) {
        const i = yield* Random.nextIntBetween(0, fibers.length - 1)
        if (interrupted.has(i)) continue
        interrupted.add(i)
        yield* Fiber.interrupt(fibers[i]!)
        if (interrupted.size % 10 === 0) yield* Effect.yieldNow
      }
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      const done = exits.filter(Exit.isSuccess).map((exit) => exit.value)
      assert.isAtLeast(done.length, 9_000)
      assert.strictEqual(new Set(done.map(({ id }) => id)).size, done.length)

      // Each job is in the tube that its put named, under the id that its put returned.
      const jobs = yield* Effect.forEach(done, ({ id }) => connection.peek(id), { concurrency: "unbounded" })
      assert.deepStrictEqual(jobs.map((job) => job.text), done.map(({ i, tube }) => `${tube} ${i}`))
      const totals = yield* Effect.forEach(tubes, (tube) => connection.statsTube(tube))
      const stray = yield* Effect.exit(connection.statsTube("default"))
      assert.strictEqual(Exit.isSuccess(stray) ? stray.value.totalJobs : 0, 0)
      for (const { name, totalJobs } of totals) {
        const known = done.filter(({ tube }) => tube === name).length
        const most = fibers.length / tubes.length
        assert.isTrue(totalJobs >= known && totalJobs <= most, `${known} <= ${totalJobs} <= ${most} in ${name}`)
      }
      assert.strictEqual(
        (yield* server.stats)["current-jobs-ready"],
        String(totals.reduce((n, t) => n + t.totalJobs, 0))
      )
    }))

  it.live("leaves no job reserved when 1,000 waiting reserves are interrupted, and the next reserve gets the next job", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* open()
      const interruptOne = Effect.gen(function*() {
        const waiting = yield* connect(server)
        const fiber = yield* Effect.forkChild(waiting.reserveWithTimeout())
        yield* Effect.yieldNow
        const steps = yield* Random.nextIntBetween(0, 3)
        for (let i = 0; i < steps; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
      }).pipe(Effect.scoped)
      // Jobs come while they are interrupted, so that some reserves have just been served.
      const producer = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 50 }), () => Effect.andThen(connection.put("x"), Effect.yieldNow))
      )
      yield* Effect.forEach(Array.from({ length: 1_000 }), () => interruptOne, { concurrency: 20, discard: true })
      yield* Fiber.join(producer)

      yield* eventually(
        Effect.map(server.stats, (stats) => {
          assert.strictEqual(stats["current-jobs-reserved"], "0")
          assert.strictEqual(stats["current-waiting"], "0")
        }),
        { within: "1 second" }
      )
      for (let i = 0; i < 50; i++) yield* connection.delete((yield* connection.reserveWithTimeout(0)).id)

      const live = yield* Effect.forkChild(connection.reserveWithTimeout("10 seconds"))
      yield* eventually(
        Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-waiting"], "1"))
      )
      const id = yield* Effect.scoped(
        Effect.flatMap(connect(server), (other) => other.put("next"))
      )
      assert.strictEqual((yield* Fiber.join(live)).id, id)
    }))

  it.live("gives back a job that came in the moment of the interruption", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* open()
      yield* connection.put("x", { priority: 5 })
      yield* Effect.forEach(Array.from({ length: 200 }), () =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(connection.reserveWithTimeout(0))
          yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
          const exit = yield* Fiber.await(fiber)
          if (Exit.isSuccess(exit)) yield* connection.release(exit.value.id, { priority: 5 })
        }))
      yield* eventually(
        Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-jobs-reserved"], "0"))
      )
      const job = yield* connection.reserveWithTimeout(0)
      assert.strictEqual((yield* connection.statsJob(job.id)).pri, 5)
      assert.isFalse(yield* connection.closed)
    }))
})

RealServer.describeReal("a connection to a process", () => {
  it.live("fails all 500 commands that a killed server left unanswered", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const connection = yield* Connection.make({ port: server.port, maxUnanswered: 400 })
      yield* server.stop
      const fibers = yield* Effect.forEach(
        Array.from({ length: 500 }),
        () => Effect.forkChild(connection.put("x"))
      )
      yield* Effect.yieldNow
      yield* server.kill
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      const errors = yield* Effect.forEach(exits, Effect.flip)
      assert.strictEqual(errors.filter(({ _tag }) => _tag === "BeanstalkdError").length, 500)
      const sent = errors.filter((error) => error._tag === "BeanstalkdError" && error.sent)
      assert.strictEqual(sent.length, 400)
    }))
})
