/**
 * The methods of beanstalkt, beanstalkc and greenstalk, for people who come from there: one test per method, named
 * after it. beanstalkt's methods are shown on the client, those with state on a connection; beanstalkc's on a
 * connection and its jobs; greenstalk's on both, with texts, bytes and JSON.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema, Scope } from "effect"
import { Client, Connection, type Errors, Protocol } from "effect-beanstalkd"
import * as Net from "node:net"
import { join } from "node:path"
import { type AnyServer, describeServers } from "../support/AnyServer.ts"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { freePort } from "../support/FreePort.ts"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"

const methods = {
  beanstalkt: [
    "Client(host, port, connect_timeout)",
    "connect()",
    "close()",
    "closed()",
    "put(body, priority, delay, ttr)",
    "use(name)",
    "reserve(timeout)",
    "delete(job_id)",
    "release(job_id, priority, delay)",
    "bury(job_id, priority)",
    "touch(job_id)",
    "watch(name)",
    "ignore(name)",
    "peek(job_id)",
    "peek_ready()",
    "peek_delayed()",
    "peek_buried()",
    "kick(bound)",
    "kick_job(job_id)",
    "stats_job(job_id)",
    "stats_tube(name)",
    "stats()",
    "list_tubes()",
    "list_tube_used()",
    "list_tubes_watched()",
    "pause_tube(name, delay)"
  ],
  beanstalkc: [
    "Connection(host, port, parse_yaml, connect_timeout)",
    "connect()",
    "close()",
    "put(body, priority, delay, ttr)",
    "reserve(timeout)",
    "delete(jid)",
    "release(jid, priority, delay)",
    "bury(jid, priority)",
    "touch(jid)",
    "peek(jid)",
    "peek_ready()",
    "peek_delayed()",
    "peek_buried()",
    "kick(bound)",
    "pause_tube(name, delay)",
    "use(name)",
    "using()",
    "watch(name)",
    "watching()",
    "ignore(name)",
    "tubes()",
    "stats()",
    "stats_job(jid)",
    "stats_tube(name)",
    "Job(conn, jid, body, reserved)",
    "Job.delete()",
    "Job.release(priority, delay)",
    "Job.bury(priority)",
    "Job.touch()",
    "Job.stats()",
    "BeanstalkcException",
    "UnexpectedResponse",
    "CommandFailed",
    "DeadlineSoon",
    "SocketError"
  ],
  greenstalk: [
    "Client(address, encoding, use, watch)",
    "Client(path)",
    "put(body, priority, delay, ttr)",
    "use(tube)",
    "watch(tube)",
    "ignore(tube)",
    "reserve(timeout)",
    "delete(job)",
    "release(job, priority, delay)",
    "bury(job, priority)",
    "touch(job)",
    "json.dumps(payload), json.loads(job.body)"
  ]
} as const

type Library = keyof typeof methods

type Proof = (server: AnyServer) => Effect.Effect<void, unknown, Scope.Scope>

/** A proof that takes a port, or a process that can be killed: on the real server only. */
class RealProof {
  readonly run: (server: RealServer.RealServer) => Effect.Effect<void, unknown, Scope.Scope>

  constructor(run: RealProof["run"]) {
    this.run = run
  }
}

const onReal = (run: RealProof["run"]) => new RealProof(run)

// Some tests wait for a second to pass.
const concurrent = { concurrent: true }

/** One test per method of the library. The type lets no method be forgotten or made up. */
const library = <L extends Library>(name: L, proofs: Record<(typeof methods)[L][number], Proof | RealProof>) => {
  const all = Object.entries<Proof | RealProof>(proofs)
  describe(name, concurrent, () => {
    it("has a test for each of its methods", () => {
      assert.deepStrictEqual(Object.keys(proofs), [...methods[name]])
    })
  })
  describeServers(`${name} as it is done here`, (target) => {
    for (const [method, proof] of all) {
      if (!(proof instanceof RealProof)) it.live(`${name}: ${method}`, () => Effect.flatMap(target.make(), proof))
    }
  }, concurrent)
  RealServer.describeReal(`${name} as it is done here, with a port`, () => {
    for (const [method, proof] of all) {
      if (proof instanceof RealProof) it.live(`${name}: ${method}`, () => Effect.flatMap(RealServer.make(), proof.run))
    }
  }, concurrent)
}

const connect = ({ clientOptions }: Pick<AnyServer, "clientOptions">, options?: Connection.Options) =>
  Connection.make({ ...clientOptions, ...options })

const nobody = Protocol.JobId.make(4_711)

const onClient =
  (proof: (beanstalkd: Client.Service) => Effect.Effect<void, unknown, Scope.Scope>): Proof => (server) =>
    Effect.flatMap(Client.make(server.clientOptions), proof)

const onConnection =
  (proof: (connection: Connection.Service) => Effect.Effect<void, unknown, Scope.Scope>): Proof => (server) =>
    Effect.flatMap(connect(server), proof)

/** The number of connections of the server, without the one that asks. */
const connections = (server: AnyServer) => Effect.map(server.stats, (stats) => Number(stats["current-connections"]) - 1)

const refuses = Effect.fnUntraced(function*(opening: Effect.Effect<unknown, Errors.BeanstalkdError, Scope.Scope>) {
  const error = yield* Effect.flip(Effect.scoped(opening))
  assert.deepStrictEqual([error._tag, error.sent], ["BeanstalkdError", false])
  return error.reason._tag
})

library("beanstalkt", {
  "Client(host, port, connect_timeout)": onReal(Effect.fnUntraced(function*(server) {
    const beanstalkd = yield* Client.make({ host: "localhost", port: server.port, connectTimeout: "2 seconds" })
    assert.strictEqual(beanstalkd.server, `localhost:${server.port}`)
    assert.strictEqual((yield* beanstalkd.stats).pid, server.pid)
    // The server accepts connections and says nothing, so a TLS handshake with it never ends.
    const { port } = yield* FakeServer.silent()
    const tooSlow = Client.make({ port, tls: true, connectTimeout: "50 millis" })
    assert.strictEqual(yield* refuses(tooSlow), "OpenTimeout")
  })),
  "connect()": Effect.fnUntraced(function*(server) {
    const beanstalkd = yield* Client.make(server.clientOptions)
    yield* beanstalkd.put("work", "before")
    yield* server.dropConnections
    const { id } = yield* beanstalkd.put("work", "after")
    assert.strictEqual((yield* beanstalkd.peek(id)).text, "after")
  }),
  "close()": Effect.fnUntraced(function*(server) {
    const scope = yield* Scope.make()
    const beanstalkd = yield* Scope.provide(Client.make(server.clientOptions), scope)
    assert.strictEqual(yield* connections(server), 1)
    yield* Scope.close(scope, Exit.void)
    yield* eventually(Effect.map(connections(server), (n) => assert.strictEqual(n, 0)))
    assert.strictEqual((yield* Effect.flip(beanstalkd.stats)).sent, false)
  }),
  "closed()": onReal(Effect.fnUntraced(function*(server) {
    const beanstalkd = yield* Client.make({ port: server.port })
    const connection = yield* beanstalkd.connection
    assert.isFalse(yield* connection.closed)
    assert.isTrue((yield* beanstalkd.poolStats).shared)
    yield* server.kill
    yield* eventually(Effect.map(connection.closed, (closed) => assert.isTrue(closed)))
    yield* eventually(Effect.map(beanstalkd.poolStats, ({ shared }) => assert.isFalse(shared)))
  })),
  "put(body, priority, delay, ttr)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const { id } = yield* beanstalkd.put("work", "x", { priority: 42, delay: "10 seconds", ttr: "30 seconds" })
    const stats = yield* beanstalkd.statsJob(id)
    assert.deepInclude(stats, { tube: "work", state: "delayed", pri: 42, delay: 10, ttr: 30 })
    const plain = yield* beanstalkd.statsJob(yield* beanstalkd.put("work", "y"))
    assert.deepInclude(plain, { state: "ready", pri: 2 ** 31, delay: 0, ttr: 120 })
  })),
  "use(name)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const connection = yield* beanstalkd.connection
    assert.strictEqual(yield* connection.use("work"), "work")
    const id = yield* connection.put("x")
    assert.strictEqual((yield* beanstalkd.statsJob(id)).tube, "work")
  })),
  "reserve(timeout)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    assert.strictEqual((yield* Effect.flip(beanstalkd.reserve("work", { timeout: 0 })))._tag, "TimedOut")
    const waiting = yield* Effect.forkScoped(beanstalkd.reserve("work"))
    // Commands are not queued behind the reserve: it has a connection of its own.
    const { id } = yield* beanstalkd.put("work", "x")
    const job = yield* Fiber.join(waiting)
    assert.deepStrictEqual([job.id, job.text], [id, "x"])
  })),
  "delete(job_id)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const { id: reserved } = yield* beanstalkd.put("work", "reserved")
    yield* (yield* beanstalkd.reserve("work")).delete
    const { id: ready } = yield* beanstalkd.put("work", "ready")
    yield* beanstalkd.delete(ready)
    const { id: delayed } = yield* beanstalkd.put("work", "delayed", { delay: "1 hour" })
    yield* beanstalkd.delete(delayed)
    const { id: buried } = yield* beanstalkd.put("work", "buried")
    yield* (yield* beanstalkd.reserve("work")).bury()
    yield* beanstalkd.delete(buried)
    for (const id of [reserved, ready, delayed, buried]) {
      assert.strictEqual((yield* Effect.flip(beanstalkd.peek(id)))._tag, "NotFound")
    }
  })),
  "release(job_id, priority, delay)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const { id } = yield* beanstalkd.put("work", "x")
    yield* (yield* beanstalkd.reserve("work")).release()
    assert.strictEqual((yield* beanstalkd.statsJob(id)).state, "ready")
    yield* (yield* beanstalkd.reserve("work")).release({ priority: 7, delay: "1 hour" })
    assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "delayed", pri: 7, delay: 3600, releases: 2 })
  })),
  "bury(job_id, priority)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const { id } = yield* beanstalkd.put("work", "x")
    yield* (yield* beanstalkd.reserve("work")).bury({ priority: 7 })
    assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "buried", pri: 7 })
    assert.strictEqual((yield* Effect.flip(beanstalkd.reserve("work", { timeout: 0 })))._tag, "TimedOut")
  })),
  "touch(job_id)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("work", "x", { ttr: "2 seconds" })
    const job = yield* beanstalkd.reserve("work")
    yield* eventually(Effect.map(job.stats, ({ timeLeft }) => assert.strictEqual(timeLeft, 0)))
    yield* job.touch
    assert.strictEqual((yield* job.stats).timeLeft, 1)
  })),
  "watch(name)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const connection = yield* beanstalkd.connection
    assert.strictEqual(yield* connection.watch("work"), 2)
    const { id } = yield* beanstalkd.put("work", "x")
    assert.strictEqual((yield* connection.reserve).id, id)
  })),
  "ignore(name)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const connection = yield* beanstalkd.connection
    yield* connection.watch("work")
    assert.strictEqual(yield* connection.ignore("default"), 1)
    yield* beanstalkd.put("default", "x")
    assert.strictEqual((yield* Effect.flip(connection.reserveWithTimeout(0)))._tag, "TimedOut")
  })),
  "peek(job_id)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const { id } = yield* beanstalkd.put("work", "x")
    const job = yield* beanstalkd.peek(id)
    assert.deepStrictEqual([job.id, job.text, (yield* beanstalkd.statsJob(id)).reserves], [id, "x", 0])
  })),
  "peek_ready()": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("work", "less urgent", { priority: 2 })
    yield* beanstalkd.put("work", "urgent", { priority: 1 })
    assert.strictEqual((yield* beanstalkd.peekReady("work")).text, "urgent")
  })),
  "peek_delayed()": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("work", "later", { delay: "2 hours" })
    yield* beanstalkd.put("work", "sooner", { delay: "1 hour" })
    assert.strictEqual((yield* beanstalkd.peekDelayed("work")).text, "sooner")
  })),
  "peek_buried()": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const connection = yield* beanstalkd.connection
    const [first, second] = [yield* connection.put("first"), yield* connection.put("second")]
    for (const id of [second, first]) yield* connection.reserveJob(id)
    for (const id of [second, first]) yield* connection.bury(id)
    assert.strictEqual((yield* beanstalkd.peekBuried("default")).text, "second")
  })),
  "kick(bound)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    for (const body of ["a", "b", "c"]) yield* beanstalkd.put("work", body, { delay: "1 hour" })
    assert.strictEqual(yield* beanstalkd.kick("work"), 1)
    assert.strictEqual(yield* beanstalkd.kick("work", 10), 2)
    assert.strictEqual((yield* beanstalkd.statsTube("work")).currentJobsReady, 3)
  })),
  "kick_job(job_id)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("work", "a", { delay: "1 hour" })
    const { id } = yield* beanstalkd.put("work", "b", { delay: "2 hours" })
    yield* beanstalkd.kickJob(id)
    assert.strictEqual((yield* beanstalkd.peekReady("work")).id, id)
    assert.strictEqual((yield* Effect.flip(beanstalkd.kickJob(id)))._tag, "NotFound")
  })),
  "stats_job(job_id)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const { id } = yield* beanstalkd.put("work", "x", { priority: 3, ttr: "1 minute" })
    assert.deepInclude(yield* beanstalkd.statsJob(id), {
      id,
      tube: "work",
      state: "ready",
      pri: 3,
      age: 0,
      delay: 0,
      ttr: 60,
      timeLeft: 0,
      file: 0,
      reserves: 0,
      timeouts: 0,
      releases: 0,
      buries: 0,
      kicks: 0
    })
  })),
  "stats_tube(name)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("work", "x", { priority: 3 })
    yield* beanstalkd.pauseTube("work", "1 hour")
    const stats = yield* beanstalkd.statsTube("work")
    assert.deepInclude(stats, {
      name: "work",
      currentJobsUrgent: 1,
      currentJobsReady: 1,
      currentJobsReserved: 0,
      currentJobsDelayed: 0,
      currentJobsBuried: 0,
      totalJobs: 1,
      currentUsing: 1,
      currentWaiting: 0,
      currentWatching: 0,
      pause: 3600,
      cmdDelete: 0,
      cmdPauseTube: 1
    })
    assert.isAtLeast(stats.pauseTimeLeft ?? 0, 3590)
  })),
  "stats()": Effect.fnUntraced(function*(server) {
    const beanstalkd = yield* Client.make(server.clientOptions)
    yield* beanstalkd.put("work", "x")
    const stats = yield* beanstalkd.stats
    assert.deepInclude(stats, { pid: server.pid, cmdPut: 1, totalJobs: 1, currentProducers: 1 })
    assert.match(stats.version, /^1\.12/)
    assert.strictEqual(stats.maxJobSize, 65_535)
  }),
  "list_tubes()": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("work", "x")
    assert.deepStrictEqual(yield* beanstalkd.listTubes, ["default", "work"])
  })),
  "list_tube_used()": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const connection = yield* beanstalkd.connection
    assert.strictEqual(yield* connection.listTubeUsed, "default")
    yield* connection.use("work")
    assert.strictEqual(yield* connection.listTubeUsed, "work")
  })),
  "list_tubes_watched()": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const connection = yield* beanstalkd.connection
    yield* connection.watch("work")
    assert.deepStrictEqual(yield* connection.listTubesWatched, ["default", "work"])
  })),
  "pause_tube(name, delay)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("work", "x")
    yield* beanstalkd.pauseTube("work", "1 hour")
    assert.strictEqual((yield* Effect.flip(beanstalkd.reserve("work", { timeout: 0 })))._tag, "TimedOut")
    yield* beanstalkd.pauseTube("work", 0)
    assert.strictEqual((yield* beanstalkd.reserve("work", { timeout: 0 })).text, "x")
  }))
})

library("beanstalkc", {
  "Connection(host, port, parse_yaml, connect_timeout)": Effect.fnUntraced(function*(server) {
    const connection = yield* connect(server, { connectTimeout: "1 second" })
    // parse_yaml=False gives the text as it came.
    const { name, raw } = yield* connection.statsTube("default")
    assert.strictEqual(name, "default")
    assert.match(raw, /^---\nname: default\ncurrent-jobs-urgent: 0\n/)
  }),
  "connect()": Effect.fnUntraced(function*(server) {
    const first = yield* Effect.scoped(connect(server))
    assert.isTrue(yield* first.closed)
    // A connection is never dialed again; make another one.
    const second = yield* connect(server)
    assert.strictEqual(yield* second.listTubeUsed, "default")
  }),
  "close()": Effect.fnUntraced(function*(server) {
    yield* Effect.scoped(Effect.gen(function*() {
      yield* connect(server)
      assert.strictEqual(yield* connections(server), 1)
    }))
    yield* eventually(Effect.map(connections(server), (n) => assert.strictEqual(n, 0)))
  }),
  "put(body, priority, delay, ttr)": onConnection(Effect.fnUntraced(function*(connection) {
    for (const [body, priority] of [["foo", 42], ["bar", 21], ["qux", 21]] as const) {
      yield* connection.put(body, { priority, delay: 0, ttr: "2 minutes" })
    }
    const order: Array<string> = []
    for (let i = 0; i < 3; i++) order.push((yield* connection.reserve).text)
    assert.deepStrictEqual(order, ["bar", "qux", "foo"])
    // Like beanstalkc it does not turn a number into text.
    const error = yield* Effect.flip(connection.put(42 as never))
    assert.deepInclude(error, { _tag: "InvalidArgument", argument: "body" })
  })),
  "reserve(timeout)": onConnection(Effect.fnUntraced(function*(connection) {
    assert.strictEqual((yield* Effect.flip(connection.reserveWithTimeout(0)))._tag, "TimedOut")
    yield* connection.put("yes!", { delay: "1 second" })
    assert.strictEqual((yield* Effect.flip(connection.reserveWithTimeout(0)))._tag, "TimedOut")
    assert.strictEqual((yield* connection.reserveWithTimeout("2 seconds")).text, "yes!")
  })),
  "delete(jid)": onConnection(Effect.fnUntraced(function*(connection) {
    const id = yield* connection.put("x")
    yield* connection.delete(id)
    assert.strictEqual((yield* Effect.flip(connection.delete(id)))._tag, "NotFound")
  })),
  "release(jid, priority, delay)": onConnection(Effect.fnUntraced(function*(connection) {
    const id = yield* connection.put("x")
    yield* connection.reserve
    yield* connection.release(id, { priority: 1, delay: "1 hour" })
    assert.deepInclude(yield* connection.statsJob(id), { state: "delayed", pri: 1, delay: 3600 })
    // Where beanstalkc says nothing, the job is not this connection's to release.
    assert.strictEqual((yield* Effect.flip(connection.release(id)))._tag, "NotFound")
  })),
  "bury(jid, priority)": onConnection(Effect.fnUntraced(function*(connection) {
    const id = yield* connection.put("x")
    assert.strictEqual((yield* Effect.flip(connection.bury(id)))._tag, "NotFound")
    yield* connection.reserve
    yield* connection.bury(id, { priority: 1 })
    assert.deepInclude(yield* connection.statsJob(id), { state: "buried", pri: 1 })
  })),
  "touch(jid)": onConnection(Effect.fnUntraced(function*(connection) {
    const id = yield* connection.put("x")
    assert.strictEqual((yield* Effect.flip(connection.touch(id)))._tag, "NotFound")
    yield* connection.reserve
    yield* connection.touch(id)
    assert.strictEqual((yield* connection.statsJob(id)).timeLeft, 119)
  })),
  "peek(jid)": onConnection(Effect.fnUntraced(function*(connection) {
    const id = yield* connection.put("x")
    assert.strictEqual((yield* connection.peek(id)).text, "x")
    assert.strictEqual((yield* Effect.flip(connection.peek(nobody)))._tag, "NotFound")
  })),
  "peek_ready()": onConnection(Effect.fnUntraced(function*(connection) {
    assert.strictEqual((yield* Effect.flip(connection.peekReady))._tag, "NotFound")
    const id = yield* connection.put("x")
    assert.strictEqual((yield* connection.peekReady).id, id)
  })),
  "peek_delayed()": onConnection(Effect.fnUntraced(function*(connection) {
    const id = yield* connection.put("o tempores", { delay: "2 minutes" })
    assert.deepInclude(yield* connection.peekDelayed, { id })
    assert.strictEqual((yield* connection.statsJob(id)).state, "delayed")
  })),
  "peek_buried()": onConnection(Effect.fnUntraced(function*(connection) {
    const id = yield* connection.put("o mores!")
    yield* connection.reserve
    yield* connection.bury(id)
    assert.strictEqual((yield* connection.peekBuried).text, "o mores!")
  })),
  "kick(bound)": onConnection(Effect.fnUntraced(function*(connection) {
    const ids = [yield* connection.put("a"), yield* connection.put("b")]
    for (const id of ids) yield* Effect.andThen(connection.reserve, connection.bury(id))
    assert.strictEqual(yield* connection.kick(), 1)
    assert.strictEqual(yield* connection.kick(42), 1)
    assert.strictEqual(yield* connection.kick(42), 0)
  })),
  "pause_tube(name, delay)": onConnection(Effect.fnUntraced(function*(connection) {
    yield* connection.pauseTube("default", "1 hour")
    assert.strictEqual((yield* connection.statsTube("default")).pause, 3600)
    assert.strictEqual((yield* Effect.flip(connection.pauseTube("nowhere", 0)))._tag, "NotFound")
  })),
  "use(name)": onConnection(Effect.fnUntraced(function*(connection) {
    assert.strictEqual(yield* connection.use("foo"), "foo")
    assert.deepStrictEqual(yield* connection.listTubes, ["default", "foo"])
    assert.strictEqual(yield* connection.use("default"), "default")
    assert.deepStrictEqual(yield* connection.listTubes, ["default"])
  })),
  "using()": onConnection(Effect.fnUntraced(function*(connection) {
    assert.strictEqual(yield* connection.listTubeUsed, "default")
    yield* connection.use("foo")
    assert.strictEqual(yield* connection.listTubeUsed, "foo")
  })),
  "watch(name)": onConnection(Effect.fnUntraced(function*(connection) {
    assert.strictEqual(yield* connection.watch("bar"), 2)
    assert.strictEqual(yield* connection.watch("bar"), 2)
    assert.deepStrictEqual(yield* connection.listTubes, ["default", "bar"])
  })),
  "watching()": onConnection(Effect.fnUntraced(function*(connection) {
    assert.deepStrictEqual(yield* connection.listTubesWatched, ["default"])
    yield* connection.watch("bar")
    assert.deepStrictEqual(yield* connection.listTubesWatched, ["default", "bar"])
  })),
  "ignore(name)": onConnection(Effect.fnUntraced(function*(connection) {
    yield* connection.watch("bar")
    assert.strictEqual(yield* connection.ignore("bar"), 1)
    // Where beanstalkc answers 1 and leaves the tube, this says so.
    assert.deepInclude(yield* Effect.flip(connection.ignore("default")), { _tag: "NotIgnored", tube: "default" })
    assert.deepStrictEqual(yield* connection.listTubesWatched, ["default"])
  })),
  "tubes()": onConnection(Effect.fnUntraced(function*(connection) {
    assert.deepStrictEqual(yield* connection.listTubes, ["default"])
  })),
  "stats()": onConnection(Effect.fnUntraced(function*(connection) {
    assert.deepInclude(yield* connection.stats, {
      currentConnections: 1,
      currentJobsBuried: 0,
      currentJobsDelayed: 0,
      currentJobsReady: 0,
      currentJobsReserved: 0,
      currentJobsUrgent: 0
    })
  })),
  "stats_job(jid)": onConnection(Effect.fnUntraced(function*(connection) {
    const id = yield* connection.put("x")
    assert.deepInclude(yield* connection.statsJob(id), { id, age: 0, state: "ready", tube: "default" })
    assert.strictEqual((yield* Effect.flip(connection.statsJob(nobody)))._tag, "NotFound")
  })),
  "stats_tube(name)": onConnection(Effect.fnUntraced(function*(connection) {
    assert.deepInclude(yield* connection.statsTube("default"), { name: "default", currentJobsReady: 0 })
    assert.strictEqual((yield* Effect.flip(connection.statsTube("nowhere")))._tag, "NotFound")
  })),
  "Job(conn, jid, body, reserved)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const { id } = yield* beanstalkd.put("work", "hey!")
    // A peeked job cannot be released or buried.
    const peeked = yield* beanstalkd.peek(id)
    assert.notProperty(peeked, "release")
    const job = yield* beanstalkd.reserve("work")
    for (const { body, id: own, text } of [peeked, job]) {
      assert.deepStrictEqual([own, text, body], [id, "hey!", new TextEncoder().encode("hey!")])
    }
  })),
  "Job.delete()": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("work", "x")
    const job = yield* beanstalkd.reserve("work")
    yield* job.delete
    assert.strictEqual((yield* Effect.flip(job.stats))._tag, "NotFound")
  })),
  "Job.release(priority, delay)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("work", "x", { priority: 5 })
    const job = yield* beanstalkd.reserve("work")
    yield* job.release()
    assert.deepInclude(yield* job.stats, { state: "ready", pri: 5 })
    const again = yield* beanstalkd.reserve("work")
    yield* again.release({ priority: 6, delay: "1 hour" })
    assert.deepInclude(yield* again.stats, { state: "delayed", pri: 6 })
  })),
  "Job.bury(priority)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("work", "x", { priority: 5 })
    const job = yield* beanstalkd.reserve("work")
    yield* job.bury()
    assert.deepInclude(yield* job.stats, { state: "buried", pri: 5 })
    yield* beanstalkd.kick("work")
    const again = yield* beanstalkd.reserve("work")
    yield* again.bury({ priority: 6 })
    assert.deepInclude(yield* again.stats, { state: "buried", pri: 6 })
  })),
  "Job.touch()": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("work", "x", { ttr: "2 seconds" })
    const job = yield* beanstalkd.reserve("work")
    yield* eventually(Effect.map(job.stats, ({ timeLeft }) => assert.strictEqual(timeLeft, 0)))
    yield* job.touch
    assert.strictEqual((yield* job.stats).timeLeft, 1)
  })),
  "Job.stats()": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const { id } = yield* beanstalkd.put("work", "ho?")
    const job = yield* beanstalkd.reserve("work")
    assert.deepInclude(yield* job.stats, { id, age: 0, state: "reserved", tube: "work" })
  })),
  "BeanstalkcException": onConnection(Effect.fnUntraced(function*(connection) {
    // All errors have a tag, and a message that says what was wrong.
    const errors = [
      yield* Effect.flip(connection.peek(nobody)),
      yield* Effect.flip(connection.reserveWithTimeout(0)),
      yield* Effect.flip(connection.put(42 as never))
    ]
    assert.deepStrictEqual(errors.map(({ _tag }) => _tag), ["NotFound", "TimedOut", "InvalidArgument"])
    for (const error of errors) assert.instanceOf(error, Error)
    for (const { message } of errors) assert.isAbove(message.length, 20)
  })),
  "UnexpectedResponse": Effect.fnUntraced(function*() {
    const { port } = yield* FakeServer.make([{ expect: "stats\r\n" }, { reply: "FOO 1 2 3\r\n" }])
    const connection = yield* Connection.make({ port })
    const { reason } = yield* Effect.flip(connection.stats)
    assert.deepInclude(reason, { _tag: "UnexpectedReply", reply: "FOO 1 2 3" })
  }),
  "CommandFailed": onConnection(Effect.fnUntraced(function*(connection) {
    const error = yield* Effect.flip(connection.statsJob(nobody))
    assert.deepInclude(error, { _tag: "NotFound", command: "stats-job", id: nobody })
  })),
  "DeadlineSoon": onConnection(Effect.fnUntraced(function*(connection) {
    yield* connection.put("x", { ttr: "1 second" })
    yield* connection.reserve
    assert.strictEqual((yield* Effect.flip(connection.reserveWithTimeout("1 minute")))._tag, "DeadlineSoon")
  })),
  "SocketError": onReal(Effect.fnUntraced(function*(server) {
    assert.strictEqual(yield* refuses(Connection.make({ port: yield* freePort })), "OpenError")
    const connection = yield* Connection.make({ port: server.port })
    const waiting = yield* Effect.forkChild(Effect.flip(connection.reserve))
    yield* eventually(Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-waiting"], "1")))
    yield* server.kill
    const error = yield* Fiber.join(waiting)
    assert.strictEqual(error._tag, "BeanstalkdError")
  }))
})

library("greenstalk", {
  "Client(address, encoding, use, watch)": Effect.fnUntraced(function*(server) {
    const connection = yield* connect(server, { use: "emails", watch: ["emails", "bills"] })
    assert.strictEqual(yield* connection.listTubeUsed, "emails")
    assert.sameMembers([...yield* connection.listTubesWatched], ["emails", "bills"])
    // encoding="utf-8" and encoding=None: a job has both, the text and the bytes.
    yield* connection.put("grüße")
    const job = yield* connection.reserve
    assert.deepStrictEqual([job.text, job.body], ["grüße", new TextEncoder().encode("grüße")])
    yield* connection.put(Uint8Array.of(0xff, 0x00, 0x0d, 0x0a))
    assert.deepStrictEqual((yield* connection.reserve).body, Uint8Array.of(0xff, 0x00, 0x0d, 0x0a))
  }),
  "Client(path)": onReal(Effect.fnUntraced(function*(server) {
    const path = join(yield* tempDir, "socket")
    yield* FakeServer.serve((socket) => {
      const real = Net.connect(server.port, "127.0.0.1")
      real.on("error", () => socket.destroy())
      socket.on("close", () => real.destroy())
      socket.pipe(real)
      real.pipe(socket)
    }, { path })
    const beanstalkd = yield* Client.make({ path })
    assert.strictEqual(beanstalkd.server, `unix:${path}`)
    yield* beanstalkd.put("work", "hello")
    assert.strictEqual((yield* beanstalkd.reserve("work")).text, "hello")
  })),
  "put(body, priority, delay, ttr)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    // greenstalk's own defaults.
    const { id } = yield* beanstalkd.put("default", "hello", { priority: 2 ** 16, delay: 0, ttr: "60 seconds" })
    assert.deepInclude(yield* beanstalkd.statsJob(id), { pri: 65_536, delay: 0, ttr: 60, state: "ready" })
  })),
  "use(tube)": onConnection(Effect.fnUntraced(function*(connection) {
    yield* connection.use("emails")
    assert.strictEqual((yield* connection.statsJob(yield* connection.put("hello"))).tube, "emails")
  })),
  "watch(tube)": onConnection(Effect.fnUntraced(function*(connection) {
    const id = yield* connection.put("hello", { tube: "emails" })
    assert.strictEqual(yield* connection.watch("emails"), 2)
    assert.strictEqual((yield* connection.reserveWithTimeout(0)).id, id)
  })),
  "ignore(tube)": onConnection(Effect.fnUntraced(function*(connection) {
    yield* connection.watch("emails")
    assert.strictEqual(yield* connection.ignore("default"), 1)
    assert.strictEqual((yield* Effect.flip(connection.ignore("emails")))._tag, "NotIgnored")
  })),
  "reserve(timeout)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("default", "hello")
    const job = yield* beanstalkd.reserve("default")
    assert.deepStrictEqual([job.id, job.text], [1, "hello"])
    const error = yield* Effect.flip(beanstalkd.reserve("default", { timeout: "1 second" }))
    assert.deepInclude(error, { _tag: "TimedOut", timeoutSeconds: 1 })
  })),
  "delete(job)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("default", "hello")
    const job = yield* beanstalkd.reserve("default")
    yield* job.delete
    assert.strictEqual((yield* beanstalkd.stats).currentJobsReserved, 0)
    assert.strictEqual((yield* Effect.flip(beanstalkd.peek(job.id)))._tag, "NotFound")
  })),
  "release(job, priority, delay)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const { id } = yield* beanstalkd.put("default", "hello")
    yield* (yield* beanstalkd.reserve("default")).release({ priority: 2 ** 16, delay: "1 second" })
    assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "delayed", pri: 65_536 })
    assert.strictEqual((yield* beanstalkd.reserve("default", { timeout: "3 seconds" })).id, id)
  })),
  "bury(job, priority)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const { id } = yield* beanstalkd.put("default", "hello")
    yield* (yield* beanstalkd.reserve("default")).bury({ priority: 2 ** 16 })
    assert.strictEqual((yield* beanstalkd.peekBuried("default")).id, id)
    assert.strictEqual((yield* beanstalkd.statsJob(id)).pri, 65_536)
  })),
  "touch(job)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    yield* beanstalkd.put("default", "hello", { ttr: "2 seconds" })
    const job = yield* beanstalkd.reserve("default")
    yield* eventually(Effect.map(job.stats, ({ timeLeft }) => assert.strictEqual(timeLeft, 0)))
    yield* job.touch
    assert.deepInclude(yield* job.stats, { state: "reserved", timeLeft: 1, timeouts: 0 })
  })),
  "json.dumps(payload), json.loads(job.body)": onClient(Effect.fnUntraced(function*(beanstalkd) {
    const Payload = Schema.fromJsonString(Schema.Struct({ user_id: Schema.Int }))
    yield* beanstalkd.put("registrations", yield* Schema.encodeEffect(Payload)({ user_id: 7 }))
    const job = yield* beanstalkd.reserve("registrations")
    assert.deepStrictEqual(yield* Schema.decodeEffect(Payload)(job.text), { user_id: 7 })
    yield* job.delete
  }))
})
