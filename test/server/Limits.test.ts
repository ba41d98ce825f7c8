/**
 * What clients can take of the embedded server's process: connections, and memory.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { Client, Connection, type Errors, type Protocol, Server } from "effect-beanstalkd"
import * as Program from "../support/Program.ts"
import { isBun } from "../support/Runtime.ts"
import { eventually } from "../support/Eventually.ts"

const reasonOf = (error: Errors.BeanstalkdError): string => error.reason._tag

const places: ReadonlyArray<
  readonly [
    place: string,
    make: (
      options: Server.Limits
    ) => Effect.Effect<Server.Service, Server.BinlogError | Server.ListenError, Scope.Scope>
  ]
> = [
  ["in memory", Server.makeMemory],
  ["on a socket", (options) => Server.make({ port: 0, ...options })]
]

describe.each(places)("maxClients, %s", (_, make) => {
  it.live("cuts off who comes when there are so many, and takes the next when one has gone", () =>
    Effect.scoped(Effect.gen(function*() {
      const server = yield* make({ maxClients: 2 })
      const connect = Connection.make(server.clientOptions)
      const use = Effect.scoped(Effect.flatMap(connect, (connection) => connection.listTubes))
      const first = yield* connect
      yield* Effect.scoped(Effect.gen(function*() {
        const second = yield* connect
        const reason = reasonOf(yield* Effect.flip(use))
        assert.oneOf(reason, ["OpenError", "ConnectionClosed"])
        assert.deepStrictEqual(yield* second.listTubes, ["default"])
      }))
      yield* eventually(Effect.map(server.connectionCount, (connections) => assert.strictEqual(connections, 1)))
      assert.deepStrictEqual(yield* use, ["default"])
      assert.deepStrictEqual(yield* first.listTubes, ["default"])
    })))
})

describe("maxClients", () => {
  it.live("leaves a client with a place less to share and to reserve with", () =>
    Effect.gen(function*() {
      const beanstalkd = yield* Client.Beanstalkd
      yield* beanstalkd.put("emails", "hello")
      yield* Effect.scoped(Effect.flatMap(beanstalkd.reserve("emails"), (job) => job.delete))
      assert.strictEqual(yield* Effect.flatMap(Server.Server, ({ connectionCount }) => connectionCount), 3)
    }).pipe(Effect.provide(Server.layerMemory({ maxClients: 3 }))))
})

const BODY = "x".repeat(744)
const JOB_BYTES = 1000

const memory = (bytes: number) =>
  Effect.flatMap(
    Server.makeMemory({ maxMemory: bytes }),
    (server) => Effect.map(Connection.make(server.clientOptions), (connection) => ({ connection, server }))
  )

// The connection watches "default".
const PLACE = 256
const TUBE = 1024

describe("maxMemory", () => {
  it.effect("is for so many jobs, and each that is deleted makes room for another", () =>
    Effect.gen(function*() {
      const { connection } = yield* memory(PLACE + 10 * JOB_BYTES)
      const ids = yield* Effect.replicateEffect(connection.put(BODY), 10)
      for (let i = 0; i < 3; i++) {
        assert.strictEqual((yield* Effect.flip(connection.put(BODY)))._tag, "OutOfMemory")
        assert.strictEqual((yield* Effect.flip(connection.put("")))._tag, "OutOfMemory")
        yield* connection.delete(ids.pop()!)
        ids.push(yield* connection.put(BODY))
      }
      const { currentJobsReady } = yield* connection.stats
      assert.strictEqual(currentJobsReady, 10)
    }))

  it.effect("does not care what state a job is in", () =>
    Effect.gen(function*() {
      const { connection } = yield* memory(PLACE + 3 * JOB_BYTES)
      yield* connection.put(BODY, { delay: "1 hour" })
      yield* Effect.replicateEffect(connection.put(BODY), 2)
      const first = yield* connection.reserve
      yield* connection.bury(first.id)
      const { id } = yield* connection.reserve
      assert.strictEqual((yield* Effect.flip(connection.put(BODY)))._tag, "OutOfMemory")
      yield* connection.release(id)
      yield* connection.delete(first.id)
      yield* connection.put(BODY)
    }))

  it.effect("is for tubes as well, and those who watch them", () =>
    Effect.gen(function*() {
      const { connection } = yield* memory(2 * PLACE + TUBE)
      for (const tube of ["emails", "others"]) {
        assert.strictEqual(yield* connection.watch(tube), 2)
        assert.strictEqual(yield* connection.watch(tube), 2)
        assert.strictEqual(yield* connection.use(tube), tube)
        assert.deepStrictEqual(yield* connection.listTubes, ["default", tube])
        yield* connection.use("default")
        yield* connection.ignore(tube)
      }
    }))

  const wanted: ReadonlyArray<
    readonly [
      want: "use" | "watch",
      room: number
    ]
  > = [["use", 2 * PLACE + TUBE - 1], ["watch", 3 * PLACE + TUBE - 1]]

  it.effect.each(wanted)(
    "ends a connection before what was meant for a tube for which there is none: %s",
    ([want, room]) =>
      Effect.gen(function*() {
        const { connection, server } = yield* memory(room)
        const rude = yield* Connection.make(server.clientOptions)
        const wants: Effect.Effect<unknown, Protocol.Failure<"use" | "watch">> = rude[want]("emails")
        const [refused, behind] = yield* Effect.all([Effect.flip(wants), Effect.flip(rude.put(""))], { concurrency: 2 })
        assert.include(refused.message, "OUT_OF_MEMORY")
        assert.strictEqual(behind._tag, "BeanstalkdError")
        assert.isTrue(yield* rude.closed)
        const { currentConnections, totalJobs } = yield* connection.stats
        assert.deepStrictEqual({ currentConnections, totalJobs }, { currentConnections: 1, totalJobs: 0 })
        assert.deepStrictEqual(yield* connection.listTubes, ["default"])
      })
  )

  it.effect("promises room to a body that is on its way, until its client is gone", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* memory(2 * PLACE + 2 * JOB_BYTES)
      const { dialer } = server.clientOptions
      assert.isDefined(dialer)
      const rude = yield* dialer.open({ onData: () => {}, onClose: () => {}, onDrain: () => {} })
      rude.write(Buffer.from(`put 0 0 1 ${BODY.length}\r\nxxx`))
      yield* connection.put(BODY)
      assert.strictEqual((yield* Effect.flip(connection.put("")))._tag, "OutOfMemory")
      rude.destroy()
      yield* connection.put(BODY)
      assert.strictEqual((yield* connection.stats).currentConnections, 1)
    }))
})

const MEBIBYTE = 1024 * 1024

interface Report {
  /** Bytes while they sent, and after they had gone. */
  readonly most: number
  readonly after: number
  readonly connections: number
}

const floods: ReadonlyArray<
  readonly [title: string, clients: number, what: string, mebibytes: number, connections: number]
> = [
  // A socket of Bun keeps more than one of Node before it says that it is full.
  ["ask for large replies and read none", 20, "replies", isBun ? 96 : 48, 21],
  ["announce bodies and do not send them", 200, "bodies", 5, 101],
  ["send a line of 16 MiB each", 16, "line", 48, 17]
]

describe("a server with limits, on a socket", () => {
  it.live.each(floods)(
    "serves another client while others %s: %i of them",
    ([, clients, what, mebibytes, connections]) =>
      Effect.gen(function*() {
        const outcome = yield* Program.run(new URL("programs/FloodedServer.ts", import.meta.url), what, clients)
        assert.deepInclude(outcome, { code: 0, stderr: "" })
        const report = outcome.report as Report
        assert.strictEqual(report.connections, connections)
        assert.isBelow(report.most, mebibytes * MEBIBYTE)
        assert.isBelow(report.after, 6 * MEBIBYTE)
      })
  )
})

describe("the least of each limit", () => {
  it.effect("is a server that takes empty bodies, one that takes a single connection, and one that takes no job", () =>
    Effect.gen(function*() {
      const [bodies, connections, bytes] = [
        yield* Server.makeMemory({ maxJobSize: 0 }),
        yield* Server.makeMemory({ maxClients: 1 }),
        yield* Server.makeMemory({ maxMemory: 0 })
      ]
      const empty = yield* Connection.make(bodies.clientOptions)
      yield* empty.put("")
      assert.strictEqual((yield* Effect.flip(empty.put("x")))._tag, "JobTooBig")
      const only = yield* Connection.make(connections.clientOptions)
      yield* Effect.flip(Effect.flatMap(Connection.make(connections.clientOptions), ({ stats }) => stats))
      assert.deepStrictEqual(yield* only.listTubes, ["default"])
      const none = yield* Connection.make(bytes.clientOptions)
      assert.strictEqual((yield* Effect.flip(none.put("")))._tag, "OutOfMemory")
    }))
})

describe("a client in the layer that may have many connections", () => {
  it.live.each([[1, 1], [99, 99], [100, 100], [101, 100], [500, 100]] as const)(
    "of %d opens %d at once, beside the one that it shares",
    ([maxConnections, opened]) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* Effect.flatMap(Server.Server, ({ connectionCount }) => connectionCount), opened + 1)
        const { idle, used } = yield* Effect.flatMap(Client.Beanstalkd, ({ poolStats }) => poolStats)
        assert.deepStrictEqual({ idle, used }, { idle: opened, used: 0 })
      }).pipe(Effect.provide(Server.layerMemory({ client: { maxConnections } })))
  )
})
