/**
 * What a consumer says on its connections, and which of them it closes, with a server that is played step by step.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch, Stream } from "effect"
import { Client, Consumer, type Job, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { jobStats, withBody } from "../support/scripted/Commands.ts"
import { says } from "../support/scripted/Peer.ts"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { onMemory } from "../support/Fixture.ts"
import { areIn, keepLog, silently, Texts, TUBE, work } from "../support/Workplace.ts"

const watching = "watch work\r\nignore default\r\n"
const watched = "WATCHING 2\r\nWATCHING 1\r\n"
const waiting = "reserve-with-timeout 30\r\n"
const asking = "reserve-with-timeout 0\r\n"

/** A worker whose server says what the test makes it say. Connection 0 is the shared one of its client. */
const play = Effect.gen(function*() {
  const server = yield* FakeServer.serve(() => {})
  const client = yield* Client.make({ port: server.port })
  const heard: Array<string> = []
  /** What comes next on a connection is exactly this. */
  const hears = (bytes: string, conn = 1) => {
    const all = (heard[conn] ?? "") + bytes
    heard[conn] = all
    return eventually(Effect.sync(() => assert.strictEqual(server.received(conn), all)))
  }
  /** What a handler does; it takes no other jobs than those that the test has it reserve. */
  const worker = Effect.fnUntraced(function*(
    handler: (job: Job.Job) => Effect.Effect<unknown>,
    options: Worker.Options<string, never, never>
  ) {
    let runs = 0
    const counting = (_: string, job: Job.Job) => Effect.suspend(() => (runs++, handler(job)))
    const worker = yield* Worker.run(Texts, counting, { crashGuard: false, shutdownTimeout: 0, ...options }).pipe(
      Effect.provideService(Client.Beanstalkd, client),
      silently,
      Effect.forkScoped
    )
    // Before the end of the worker, which would wait for answers.
    yield* Effect.addFinalizer(() => Effect.sync(() => server.sockets.forEach((socket) => socket.destroy())))
    return { worker, runs: () => runs }
  })
  const isOpen = (conn: number) =>
    server.sockets[conn] !== undefined && !server.sockets[conn].destroyed && !server.sockets[conn].readableEnded
  const closes = (conn: number) => eventually(Effect.sync(() => assert.isFalse(isOpen(conn), `${conn} is open`)))
  return { client, server, hears, says: (bytes: string, conn = 1) => says(server, bytes, conn), worker, isOpen, closes }
})

const bodies = { a: "1\r\na\r\n", b: "1\r\nb\r\n" }

describe("a server that says DEADLINE_SOON", () => {
  it.live("has all jobs touched that are kept, at once", () =>
    Effect.gen(function*() {
      const { hears, says, worker } = yield* play
      yield* worker(() => Effect.never, { concurrency: 3 })
      yield* hears(watching + waiting)
      yield* says(`${watched}RESERVED 1 ${bodies.a}`)
      yield* hears(asking)
      yield* says(`RESERVED 2 ${bodies.b}`)
      yield* hears(asking)
      yield* says("DEADLINE_SOON\r\n")
      yield* hears("touch 1\r\ntouch 2\r\n")
    }))
})

describe("a reserve that the server refuses", () => {
  it.live("leaves the connection alone on which there is a job in hand", () =>
    Effect.gen(function*() {
      const { hears, isOpen, says, worker } = yield* play
      const mayEnd = yield* Latch.make()
      yield* worker(() => mayEnd.await, { concurrency: 2 })
      yield* hears(watching + waiting)
      yield* says(`${watched}RESERVED 1 ${bodies.a}`)
      yield* hears(asking)
      yield* says("INTERNAL_ERROR\r\n")
      // There is room for one, for which another connection waits.
      yield* hears(watching + waiting, 2)
      assert.isTrue(isOpen(1))
      yield* mayEnd.open
      yield* hears("delete 1\r\n")
    }))

  it.live("ends the connection on which there is none, and another is dialed", () =>
    Effect.gen(function*() {
      const { closes, hears, says, worker } = yield* play
      yield* worker(() => Effect.never, { concurrency: 2 })
      yield* hears(watching + waiting)
      yield* says(`${watched}OUT_OF_MEMORY\r\n`)
      yield* closes(1)
      yield* hears(watching + waiting, 2)
    }))

  it.live("leaves the connection alone from which another answer may come", () =>
    Effect.gen(function*() {
      const { hears, isOpen, says, worker } = yield* play
      const mayEnd = yield* Latch.make()
      const fiber = yield* worker(() => mayEnd.await, { concurrency: 2 })
      yield* hears(watching + waiting)
      yield* says(`${watched}RESERVED 1 ${bodies.a}`)
      yield* hears(asking)
      yield* says(`RESERVED 2 ${bodies.b}`)
      yield* eventually(Effect.sync(() => assert.strictEqual(fiber.runs(), 2)))
      yield* mayEnd.open
      yield* hears(`delete 1\r\n${asking}delete 2\r\n${asking}`)
      yield* says("DELETED\r\nINTERNAL_ERROR\r\n")
      yield* says(`DELETED\r\nRESERVED 3 ${bodies.a}`)
      yield* hears(`delete 3\r\n${asking}${asking}`)
      assert.isTrue(isOpen(1))
    }))
})

describe("a worker that is stopped", () => {
  it.live("reads what comes of reserves that are on their way, and gives it back", () =>
    Effect.gen(function*() {
      const { closes, hears, isOpen, says, worker } = yield* play
      const mayEnd = yield* Latch.make()
      const fiber = yield* worker(() => mayEnd.await, { concurrency: 2, shutdownTimeout: "1 minute" })
      yield* hears(watching + waiting)
      yield* says(`${watched}RESERVED 1 ${bodies.a}`)
      yield* hears(asking)
      yield* says(`RESERVED 2 ${bodies.b}`)
      yield* eventually(Effect.sync(() => assert.strictEqual(fiber.runs(), 2)))
      yield* mayEnd.open
      // Both jobs are as good as settled, so that the connection holds none, and two have been asked for.
      yield* hears(`delete 1\r\n${asking}delete 2\r\n${asking}`)
      const stopping = yield* Effect.forkScoped(Fiber.interrupt(fiber.worker), { startImmediately: true })
      yield* says(`DELETED\r\nRESERVED 3 ${bodies.a}`)
      yield* hears("stats-job 3\r\n")
      assert.isTrue(isOpen(1))
      yield* says("DELETED\r\n")
      yield* closes(1)
      yield* Fiber.join(stopping)
    }))

  it.live("waits for the answer to a reserve that is on its way, although no job is in hand, and gives that job back", () =>
    Effect.gen(function*() {
      const { closes, hears, isOpen, says, worker } = yield* play
      const fiber = yield* worker(() => Effect.void, { concurrency: 1, shutdownTimeout: "1 minute" })
      yield* hears(watching + waiting)
      yield* says(`${watched}RESERVED 1 ${bodies.a}`)
      yield* hears(`delete 1\r\n${asking}`)
      yield* says("DELETED\r\n")
      const stopping = yield* Effect.forkScoped(Fiber.interrupt(fiber.worker), { startImmediately: true })
      yield* says(`RESERVED 2 ${bodies.b}`)
      yield* hears("stats-job 2\r\n")
      yield* says(jobStats(1, 2))
      yield* hears("release 2 1 0\r\n")
      assert.isTrue(isOpen(1))
      yield* says("RELEASED\r\n")
      yield* closes(1)
      yield* Fiber.join(stopping)
      assert.strictEqual(fiber.runs(), 1)
    }))

  it.live("closes the connection that waits at once, and another when its job is settled", () =>
    Effect.gen(function*() {
      const { closes, hears, isOpen, says, worker } = yield* play
      const mayEnd = yield* Deferred.make<void>()
      const fiber = yield* worker(() => Deferred.await(mayEnd), { concurrency: 2, shutdownTimeout: "1 minute" })
      yield* hears(watching + waiting)
      yield* says(`${watched}RESERVED 1 ${bodies.a}`)
      yield* hears(asking)
      yield* says("TIMED_OUT\r\n")
      yield* hears(watching + waiting, 2)
      yield* says(watched, 2)
      const stopping = yield* Effect.forkScoped(Fiber.interrupt(fiber.worker), { startImmediately: true })
      yield* closes(2)
      assert.isTrue(isOpen(1))
      yield* Deferred.succeed(mayEnd, undefined)
      yield* hears("delete 1\r\n")
      yield* says("DELETED\r\n")
      yield* closes(1)
      yield* Fiber.join(stopping)
    }))

  it.effect("takes no job that comes meanwhile", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* beanstalkd.put(TUBE, "a")
      const worker = yield* work(() => Effect.never, { concurrency: 4, shutdownTimeout: "1 hour" })
      yield* server.awaitReservers(TUBE)
      yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      const id = yield* beanstalkd.put(TUBE, "b")
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", reserves: 0 })
      yield* TestClock.adjust("1 hour")
      yield* areIn(beanstalkd, { ready: 2 })
    })))
})

describe("a second lease that came while the first one was being settled", () => {
  it.live("takes the place of the first one, which leaves no other", () =>
    Effect.gen(function*() {
      const { hears, says, server, worker } = yield* play
      const mayEnd = yield* Deferred.make<void>()
      const fiber: { readonly runs: () => number } = yield* worker(
        (job) =>
          fiber.runs() === 1
            ? Effect.andThen(Deferred.await(mayEnd), Effect.orDie(job.bury({ priority: 0 })))
            : Effect.never,
        { concurrency: 2 }
      )
      yield* hears(watching + waiting)
      yield* says(`${watched}RESERVED 7 ${bodies.a}`)
      yield* hears(asking)
      yield* Deferred.succeed(mayEnd, undefined)
      yield* hears("bury 7 0\r\n")
      yield* says(`RESERVED 7 ${bodies.a}BURIED\r\n`)
      yield* hears(asking)
      yield* says("TIMED_OUT\r\n")
      // One of two places is left, for which another connection waits; once it has hit, there is none.
      yield* hears(watching + waiting, 2)
      yield* says(`${watched}RESERVED 8 ${bodies.b}`, 2)
      yield* eventually(Effect.sync(() => assert.strictEqual(fiber.runs(), 3)))
      yield* hears("", 1)
      yield* hears("", 2)
      assert.strictEqual(server.connections(), 3)
    }))
})

describe("a torn job", () => {
  const deletes = "delete 7\r\n"

  it.live("is deleted as soon as the server has seen the end of its connection, and that is logged", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const server = yield* FakeServer.serve(() => {})
      const client = yield* Client.make({ port: server.port })
      yield* Worker.run(Texts, () => Effect.void, { crashGuard: false }).pipe(
        Effect.provideService(Client.Beanstalkd, client),
        Effect.forkScoped
      )
      yield* eventually(Effect.sync(() => assert.strictEqual(server.received(1), watching + waiting)))
      yield* says(server, `${watched}RESERVED 7 3\r\n\0\0\0\0\0`, 1)
      for (let times = 1; times <= 11; times++) {
        yield* eventually(Effect.sync(() => assert.strictEqual(server.received(0), deletes.repeat(times))))
        assert.deepStrictEqual(log, [])
        yield* says(server, times < 11 ? "NOT_FOUND\r\n" : "DELETED\r\n")
      }
      yield* eventually(
        Effect.sync(() =>
          assert.deepStrictEqual(log.map(({ annotations: { job, tubes }, level }) => ({ level, tubes, job })), [
            { level: "Error", tubes: [TUBE], job: 7 }
          ])
        )
      )
    }).pipe(logged)
  })

  it.effect("is not asked for without an end", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const server = yield* FakeServer.serve(() => {})
      const client = yield* Client.make({ port: server.port })
      yield* Worker.run(Texts, () => Effect.void, { crashGuard: false }).pipe(
        Effect.provideService(Client.Beanstalkd, client),
        Effect.forkScoped
      )
      yield* eventually(Effect.sync(() => assert.strictEqual(server.received(1), watching + waiting)))
      yield* says(server, `${watched}RESERVED 7 3\r\n\0\0\0\0\0`, 1)
      for (let times = 1; times <= 11; times++) {
        yield* eventually(Effect.andThen(
          TestClock.adjust("10 millis"),
          Effect.sync(() => assert.strictEqual(server.received(0), deletes.repeat(times)))
        ))
        yield* says(server, "NOT_FOUND\r\n")
      }
      // What comes next on that connection is not another one, however long it takes.
      const next = (tube: string) =>
        Effect.gen(function*() {
          const before = server.received(0)
          const answer = yield* Effect.forkScoped(Effect.flip(client.peekReady(tube)), { startImmediately: true })
          const sent = `use ${tube}\r\npeek-ready\r\n`
          yield* eventually(Effect.sync(() => assert.strictEqual(server.received(0), before + sent)))
          yield* says(server, `USING ${tube}\r\nNOT_FOUND\r\n`)
          yield* Fiber.join(answer)
        })
      yield* next("a")
      yield* TestClock.adjust("1 second")
      yield* next("b")
      assert.strictEqual(server.received(0), `${deletes.repeat(11)}use a\r\npeek-ready\r\nuse b\r\npeek-ready\r\n`)
      assert.deepStrictEqual(log, [])
    }).pipe(logged)
  })
})

describe("a connection that has become silent", () => {
  it.effect("does not take along another one from which an answer may still come", () =>
    Effect.gen(function*() {
      const { closes, hears, isOpen, says, worker } = yield* play
      const mayEnd = [yield* Latch.make(), yield* Latch.make()]
      const fiber: { readonly runs: () => number } = yield* worker(
        () => mayEnd[fiber.runs() - 1]?.await ?? Effect.never,
        { concurrency: 2 }
      )
      yield* hears(watching + waiting)
      yield* says(`${watched}RESERVED 1 ${bodies.a}`)
      yield* hears(asking)
      yield* says("TIMED_OUT\r\n")
      yield* hears(watching + waiting, 2)
      yield* says(`${watched}RESERVED 2 ${bodies.b}`, 2)
      yield* eventually(Effect.sync(() => assert.strictEqual(fiber.runs(), 2)))
      yield* mayEnd[0]!.open
      yield* hears("delete 1\r\n")
      // The other one is to be kept.
      yield* TestClock.adjust("1 second")
      yield* hears("stats-job 2\r\n", 2)
      yield* says(withBody("OK", "---\nid: 2\nstate: reserved\nttr: 60\n"), 2)
      yield* TestClock.adjust("8 seconds")
      yield* mayEnd[1]!.open
      yield* hears(`delete 2\r\n${asking}`, 2)
      yield* TestClock.adjust("1 second")
      yield* closes(1)
      assert.isTrue(isOpen(2))
      yield* says("DELETED\r\n", 2)
    }))
})

describe("a stream that may have but two jobs in hand", () => {
  it.live("asks for one more, when a job has come back to it while it was being released", () =>
    Effect.gen(function*() {
      const { client, hears, says, server } = yield* play
      const pull = yield* Stream.toPull(Consumer.fromClient(client, TUBE, { prefetch: 5, maxInFlight: 2 }))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.sockets.forEach((socket) => socket.destroy())))
      const pulling = yield* Effect.forkScoped(pull)
      yield* hears(watching + waiting)
      yield* says(`${watched}RESERVED 7 ${bodies.a}`)
      const [first] = yield* Fiber.join(pulling)
      yield* hears(asking)
      const releasing = yield* Effect.forkScoped(first.release())
      yield* hears("stats-job 7\r\n")
      yield* says(`RESERVED 7 ${bodies.a}`)
      yield* hears(asking)
      yield* says(jobStats(3))
      yield* hears("release 7 3 0\r\n")
      yield* says("TIMED_OUT\r\nRELEASED\r\n")
      yield* Fiber.join(releasing)
      yield* hears(watching + waiting, 2)
      yield* hears("")
    }))
})

describe("a job of a stream that is settled", () => {
  it.live("is followed at once by a reserve for the room that it leaves", () =>
    Effect.gen(function*() {
      const { client, hears, says, server } = yield* play
      const pull = yield* Stream.toPull(Consumer.fromClient(client, TUBE, { prefetch: 1, maxInFlight: 1 }))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.sockets.forEach((socket) => socket.destroy())))
      const pulling = yield* Effect.forkScoped(pull)
      yield* hears(watching + waiting)
      yield* says(`${watched}RESERVED 1 ${bodies.a}`)
      const [first] = yield* Fiber.join(pulling)
      const deleting = yield* Effect.forkScoped(first.delete)
      yield* hears(`delete 1\r\n${asking}`)
      yield* says(`DELETED\r\nRESERVED 2 ${bodies.b}`)
      yield* Fiber.join(deleting)
      const [second] = yield* pull
      assert.strictEqual(second.text, "b")
    }))
})

describe("a worker all of whose connections have jobs", () => {
  it.live("asks now and then on the one that has the fewest, as long as there is room", () =>
    Effect.gen(function*() {
      const { hears, says, server, worker } = yield* play
      yield* worker(() => Effect.never, { concurrency: 4, maxConnections: 2 })
      yield* hears(watching + waiting)
      yield* says(`${watched}RESERVED 1 ${bodies.a}`)
      yield* hears(asking)
      yield* says(`RESERVED 2 ${bodies.b}`)
      yield* hears(asking + asking)
      yield* says("TIMED_OUT\r\nTIMED_OUT\r\n")
      yield* hears(watching + waiting, 2)
      yield* says(`${watched}RESERVED 3 ${bodies.a}`, 2)
      yield* hears(asking, 2)
      for (let times = 0; times < 3; times++) {
        yield* says("TIMED_OUT\r\n", 2)
        yield* hears(asking, 2)
      }
      yield* hears("")
      yield* says(`RESERVED 4 ${bodies.b}`, 2)
      yield* eventually(Effect.sync(() => assert.strictEqual(server.connections(), 3)))
    }))
})
