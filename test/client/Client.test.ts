/**
 * The client and a server: every command, reserving with many fibers and few connections, the layers.
 */
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Effect, Exit, Fiber, Layer, Random, Schedule } from "effect"
import { Client, Errors, Protocol } from "effect-beanstalkd"
import { type AnyServer, describeServers } from "../support/AnyServer.ts"
import { eventually } from "../support/Eventually.ts"
import { onServer } from "../support/Fixture.ts"
import { freePort } from "../support/FreePort.ts"
import * as RealServer from "../support/RealServer.ts"
import * as Program from "../support/Program.ts"

const TUBE = "work"

const nobody = Protocol.JobId.make(4_711)

const waiting = (server: AnyServer, connections: number) =>
  eventually(Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-waiting"], String(connections))))

describeServers("the client", (target) => {
  const open = onServer(target)

  it.live("puts into a tube, and peeks into it", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* open()
      const { id } = yield* beanstalkd.put(TUBE, "hello", { priority: 10, delay: "4200 millis", ttr: "2 minutes" })
      const stats = yield* beanstalkd.statsJob(id)
      assert.deepInclude(stats, { id, tube: TUBE, state: "delayed", pri: 10, delay: 5, ttr: 120 })
      assert.strictEqual((yield* beanstalkd.peekDelayed(TUBE)).text, "hello")
      yield* beanstalkd.kickJob(id)
      const body = Uint8Array.of(0, 255, 13, 10)
      const { id: bytes } = yield* beanstalkd.put(TUBE, body, { priority: 9 })
      assert.deepStrictEqual((yield* beanstalkd.peekReady(TUBE)).body, body)
      assert.deepStrictEqual((yield* beanstalkd.peek(bytes)).body, body)
      yield* (yield* beanstalkd.reserve(TUBE)).bury()
      assert.strictEqual((yield* beanstalkd.peekBuried(TUBE)).id, bytes)
      yield* beanstalkd.delete(bytes)
      assert.deepInclude(yield* beanstalkd.statsTube(TUBE), { totalJobs: 2, currentJobsReady: 1, cmdDelete: 1 })
    }))

  it.live("puts many at once, and gives their ids in the order of the bodies", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* open()
      const bodies = Array.from({ length: 2_000 }, (_, i) => `${i}`)
      const ids = (yield* beanstalkd.putAll(TUBE, bodies, { priority: 3 })).map(({ id }) => id)
      const jobs = yield* Effect.forEach(ids, (id) => beanstalkd.peek(id), { concurrency: "unbounded" })
      assert.deepStrictEqual(jobs.map(({ text }) => text), bodies)
      assert.strictEqual((yield* beanstalkd.statsJob(ids[1_999]!)).pri, 3)
    }))

  it.live("kicks, pauses and lists tubes, and knows the server", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open()
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c"], { delay: "1 hour" })
      assert.deepStrictEqual([yield* beanstalkd.kick(TUBE), yield* beanstalkd.kick(TUBE, 100)], [1, 2])
      yield* beanstalkd.pauseTube(TUBE, "90 minutes")
      assert.strictEqual((yield* beanstalkd.statsTube(TUBE)).pause, 5400)
      assert.deepStrictEqual(yield* beanstalkd.listTubes, ["default", TUBE])
      assert.deepInclude(yield* beanstalkd.stats, { pid: server.pid, currentJobsReady: 3, cmdKick: 2 })
      assert.strictEqual(beanstalkd.server, server.address)
    }))

  it.live("reserves this very job, whatever its state, and settles it like any other", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* open()
      const { id: ready } = yield* beanstalkd.put(TUBE, "ready")
      const { id: delayed } = yield* beanstalkd.put(TUBE, "delayed", { delay: "1 hour", priority: 7 })
      const job = yield* beanstalkd.reserveJob(delayed)
      assert.deepStrictEqual([job.id, job.text, yield* job.tube], [delayed, "delayed", TUBE])
      yield* job.bury()
      const again = yield* beanstalkd.reserveJob(delayed)
      assert.strictEqual((yield* Effect.flip(beanstalkd.reserveJob(delayed)))._tag, "NotFound")
      yield* again.release()
      assert.deepInclude(yield* beanstalkd.statsJob(delayed), { state: "ready", pri: 7 })
      yield* (yield* beanstalkd.reserveJob(ready)).delete
      assert.deepInclude(yield* beanstalkd.poolStats, { used: 0, waiting: 0 })
    }))

  it.live("gives a connection of one's own, which no pool counts or takes back", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open({ maxConnections: 1, use: "mine", watch: ["mine", "yours"] })
      const before = yield* beanstalkd.poolStats
      yield* Effect.scoped(Effect.gen(function*() {
        const [first, second] = [yield* beanstalkd.connection, yield* beanstalkd.connection]
        assert.strictEqual(yield* first.listTubeUsed, "mine")
        assert.sameMembers([...yield* second.listTubesWatched], ["mine", "yours"])
        assert.deepStrictEqual(yield* beanstalkd.poolStats, before)
        assert.strictEqual(Number((yield* server.stats)["current-connections"]), 4)
      }))
      yield* eventually(
        Effect.map(server.stats, (stats) => assert.strictEqual(Number(stats["current-connections"]), 2))
      )
    }))

  it.live("says NotFound, with the command and what was asked for, where there is nothing", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* open()
      const failures: Record<string, Effect.Effect<unknown, Protocol.Failure<"peek">>> = {
        "delete": beanstalkd.delete(nobody),
        "peek": beanstalkd.peek(nobody),
        "kick-job": beanstalkd.kickJob(nobody),
        "stats-job": beanstalkd.statsJob(nobody),
        "reserve-job": Effect.scoped(beanstalkd.reserveJob(nobody))
      }
      for (const [command, effect] of Object.entries(failures)) {
        assert.deepInclude(yield* Effect.flip(effect), { _tag: "NotFound", command, id: nobody })
      }
      const inTube: Record<string, Effect.Effect<unknown, Protocol.Failure<"peekReady">>> = {
        "peek-ready": beanstalkd.peekReady(TUBE),
        "peek-delayed": beanstalkd.peekDelayed(TUBE),
        "peek-buried": beanstalkd.peekBuried(TUBE)
      }
      for (const [command, effect] of Object.entries(inTube)) {
        assert.deepInclude(yield* Effect.flip(effect), { _tag: "NotFound", command, tube: TUBE })
      }
      // These do not use the tube, and so it does not come into being.
      assert.deepInclude(yield* Effect.flip(beanstalkd.statsTube("no")), { _tag: "NotFound", tube: "no" })
      assert.deepInclude(yield* Effect.flip(beanstalkd.pauseTube("no", 0)), { _tag: "NotFound", tube: "no" })
    }))

  it.live("refuses what is no argument before it sends or opens anything", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open()
      const before = yield* server.stats
      const refused: Record<string, Effect.Effect<unknown, Errors.InvalidArgument | { readonly _tag: string }>> = {
        tube: beanstalkd.put("no tube", "x"),
        body: beanstalkd.put(TUBE, 7 as never),
        priority: beanstalkd.put(TUBE, "x", { priority: -1 }),
        delay: beanstalkd.pauseTube(TUBE, NaN),
        ttr: beanstalkd.put(TUBE, "x", { ttr: 60 }),
        bound: beanstalkd.kick(TUBE, 0.5),
        tubes: Effect.scoped(beanstalkd.reserve([])),
        timeout: Effect.scoped(beanstalkd.reserve(TUBE, { timeout: -1 })),
        id: Effect.scoped(beanstalkd.reserveJob(-1 as never))
      }
      for (const [argument, effect] of Object.entries(refused)) {
        assert.deepInclude(yield* Effect.flip(effect), { _tag: "InvalidArgument", argument })
      }
      for (const tubes of ["", [TUBE, "no tube"], 7 as never, [TUBE, 7] as never]) {
        const error = yield* Effect.flip(Effect.scoped(beanstalkd.reserve(tubes)))
        assert.deepInclude(error, { _tag: "InvalidArgument", argument: "tubes" })
      }
      const after = yield* server.stats
      for (const [name, value] of Object.entries(before).filter(([name]) => /^cmd-(?!stats$)/.test(name))) {
        assert.strictEqual(after[name], value, name)
      }
      assert.strictEqual((yield* beanstalkd.poolStats).opened, 1)
    }))

  it.live("says JobTooBig and Draining of a put", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open()
      const error = yield* Effect.flip(beanstalkd.put(TUBE, "x".repeat(70_000)))
      assert.deepInclude(error, { _tag: "JobTooBig", size: 70_000 })
      yield* server.drain
      assert.isTrue((yield* beanstalkd.stats).draining)
      assert.strictEqual((yield* Effect.flip(beanstalkd.put(TUBE, "x")))._tag, "Draining")
    }))
})

describeServers("a reserve", (target) => {
  const open = onServer(target)

  it.live("of several tubes takes the most urgent job of all, and of no other tube", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* open({ maxConnections: 1 })
      for (const [tube, priority] of [["a", 3], ["b", 1], ["c", 0], ["a", 2]] as const) {
        yield* beanstalkd.put(tube, `${tube}${priority}`, { priority })
      }
      const took: Array<string> = []
      for (let i = 0; i < 3; i++) {
        const job = yield* beanstalkd.reserve(["a", "b"], { timeout: 0 })
        took.push(job.text)
        yield* job.delete
      }
      assert.deepStrictEqual(took, ["b1", "a2", "a3"])
      assert.strictEqual((yield* Effect.flip(beanstalkd.reserve(["b", "a"], { timeout: 0 })))._tag, "TimedOut")
      // The same connection, and it forgets the tubes of before.
      assert.strictEqual((yield* beanstalkd.reserve("c", { timeout: 0 })).text, "c0")
    }))

  it.live("with a timeout says TimedOut, in seconds as they were sent; without one it waits", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open()
      const waits = yield* Effect.forEach(
        [undefined, {}, { timeout: undefined }, { timeout: Infinity }],
        (options) => Effect.forkChild(beanstalkd.reserve(TUBE, options))
      )
      yield* waiting(server, 4)
      const error = yield* Effect.flip(beanstalkd.reserve("other", { timeout: "10 millis" }))
      assert.deepInclude(error, { _tag: "TimedOut", timeoutSeconds: 1, server: beanstalkd.server })
      for (const fiber of waits) assert.isUndefined(fiber.pollUnsafe())
      yield* beanstalkd.putAll(TUBE, ["a", "b", "c", "d"])
      const jobs = yield* Effect.forEach(waits, Fiber.join)
      assert.sameMembers(jobs.map(({ text }) => text), ["a", "b", "c", "d"])
    }))

  it.live("that finds no free connection within its timeout says so, and takes none later", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* open({ maxConnections: 1, commandTimeout: "300 millis" })
      yield* beanstalkd.putAll(TUBE, ["a", "b"])
      const job = yield* beanstalkd.reserve(TUBE)
      const error = yield* Effect.flip(beanstalkd.reserve(TUBE, { timeout: 0 }))
      assert.instanceOf(error, Errors.BeanstalkdError)
      assert.deepStrictEqual([error.sent, error.isRetryable], [false, true])
      assert.deepInclude(error.reason, { _tag: "AcquireTimeout", timeoutMillis: 300 })
      yield* job.delete
      assert.deepInclude(yield* beanstalkd.poolStats, { idle: 1, used: 0, waiting: 0 })
    }))

  it.live("without a timeout waits for a connection as long as acquireTimeout says", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* open({ maxConnections: 1, acquireTimeout: "200 millis" })
      yield* beanstalkd.put(TUBE, "a")
      yield* beanstalkd.reserve(TUBE)
      const error = yield* Effect.flip(beanstalkd.reserve(TUBE))
      assert.instanceOf(error, Errors.BeanstalkdError)
      assert.deepInclude(error.reason, { _tag: "AcquireTimeout", timeoutMillis: 200 })
    }))

  it.live("that is interrupted at any moment leaves no job reserved", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open()
      const producer = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 100 }), () => Effect.andThen(beanstalkd.put(TUBE, "x"), Effect.yieldNow))
      )
      const interruptOne = Effect.gen(function*() {
        const reserving = yield* Effect.forkChild(Effect.scoped(beanstalkd.reserve(TUBE)))
        const turns = yield* Random.nextIntBetween(0, 8)
        for (let i = 0; i < turns; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(reserving)
      })
      yield* Effect.forEach(Array.from({ length: 500 }), () => interruptOne, { concurrency: 20, discard: true })
      yield* Fiber.join(producer)
      yield* eventually(Effect.map(server.stats, (stats) => {
        assert.strictEqual(stats["current-jobs-reserved"], "0")
        assert.strictEqual(stats["current-jobs-ready"], "100")
        assert.strictEqual(stats["current-waiting"], "0")
      }))
      assert.deepInclude(yield* beanstalkd.poolStats, { used: 0, waiting: 0 })
    }))

  it.live("that is interrupted keeps nobody waiting for the connection that takes its place", () =>
    Effect.gen(function*() {
      // A connection is opened at once or never, then: an interruption is no failed dial.
      const { beanstalkd, server } = yield* open({ maxConnections: 1, reconnect: Schedule.spaced("1 hour") })
      for (let times = 0; times < 5; times++) {
        const reserving = yield* Effect.forkChild(Effect.scoped(beanstalkd.reserve("default")))
        yield* waiting(server, 1)
        yield* Fiber.interrupt(reserving)
        yield* waiting(server, 0)
      }
    }))
})

describeServers("5,000 fibers that reserve with 10 connections", (target) => {
  const open = onServer(target)
  const FIBERS = 5_000
  const CONNECTIONS = 10

  /** Jobs that come in small groups. */
  const trickle = Effect.fnUntraced(function*(beanstalkd: Client.Service) {
    for (let i = 0; i < FIBERS; i += 25) {
      yield* beanstalkd.putAll(TUBE, Array.from({ length: 25 }, (_, j) => `${i + j}`))
      yield* Effect.yieldNow
    }
  })

  /** Reserves a job and deletes it, and never the one without noting the other. */
  const takeOne = Effect.fnUntraced(function*(beanstalkd: Client.Service, taken: Array<number>) {
    const job = yield* beanstalkd.reserve(TUBE)
    yield* Effect.uninterruptible(Effect.andThen(job.delete, Effect.sync(() => taken.push(job.id))))
  }, Effect.scoped)

  it.live("get one job each, in the order in which they asked", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open({ maxConnections: CONNECTIONS })
      const taken: Array<number> = []
      // In the order in which they asked: those who have not been served yet.
      const outstanding = new Set<number>()
      let mostOvertaken = 0
      const fibers = yield* Effect.forEach(Array.from({ length: FIBERS }, (_, n) => n), (n) => {
        outstanding.add(n)
        const served = Effect.sync(() => {
          outstanding.delete(n)
          let overtaken = 0
          for (const earlier of outstanding) {
            if (earlier > n) break
            overtaken++
          }
          mostOvertaken = Math.max(mostOvertaken, overtaken)
        })
        return Effect.forkChild(Effect.andThen(takeOne(beanstalkd, taken), served), { startImmediately: true })
      })
      yield* waiting(server, CONNECTIONS)
      assert.strictEqual((yield* beanstalkd.poolStats).waiting, FIBERS - CONNECTIONS)
      yield* trickle(beanstalkd)
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual([taken.length, new Set(taken).size], [FIBERS, FIBERS])
      // Those overtaken had a connection by then: the server chooses among those that wait.
      assert.isBelow(mostOvertaken, CONNECTIONS)
      assert.deepInclude(yield* beanstalkd.poolStats, { used: 0, waiting: 0, opened: CONNECTIONS + 1, lost: 0 })
    }))

  it.live("lose no job when half of them are interrupted, and the other half get one each", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open({ maxConnections: CONNECTIONS })
      const taken: Array<number> = []
      const take = takeOne(beanstalkd, taken)
      const fibers = yield* Effect.forEach(
        Array.from({ length: FIBERS }),
        () => Effect.forkChild(take, { startImmediately: true })
      )
      const producer = yield* Effect.forkChild(trickle(beanstalkd))
      for (const [n, fiber] of fibers.entries()) {
        if (n % 2 === 0) continue
        yield* Fiber.interrupt(fiber)
        if (n % 101 === 0) yield* Effect.yieldNow
      }
      yield* Fiber.join(producer)
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.isTrue(exits.every((exit, n) => n % 2 === 1 || Exit.isSuccess(exit)))
      const left = FIBERS - taken.length
      assert.isAbove(left, 0)
      yield* eventually(Effect.map(server.stats, (stats) => {
        assert.deepInclude(stats, { "current-jobs-reserved": "0", "current-jobs-ready": String(left) })
      }))
      assert.deepInclude(yield* beanstalkd.poolStats, { used: 0, waiting: 0 })
      // Every job was there for somebody, once.
      yield* Effect.all(Array.from({ length: left }, () => take), { concurrency: "unbounded", discard: true })
      assert.deepStrictEqual([taken.length, new Set(taken).size], [FIBERS, FIBERS])
    }))
})

const roundTrip = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  yield* beanstalkd.put(TUBE, "x")
  const job = yield* beanstalkd.reserve(TUBE, { timeout: 0 })
  yield* job.delete
  return beanstalkd.server
}).pipe(Effect.scoped)

describeServers("a layer of the client", (target) => {
  it.live("closes all its connections when it is no longer needed", () =>
    Effect.gen(function*() {
      const server = yield* target.make()
      const layer = Client.layer(server.clientOptions)
      assert.strictEqual(yield* Effect.provide(roundTrip, layer), server.address)
      yield* eventually(Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-connections"], "1")))
    }))

  describe("with a Tag of its own", () => {
    class Billing extends Context.Service<Billing, Client.Service>()("test/Billing") {
      static readonly layer = (options: Client.Options) => Layer.effect(Billing, Client.make(options))
    }

    it.live("leads to the other server", () =>
      Effect.gen(function*() {
        const [first, second] = [yield* target.make(), yield* target.make()]
        const program = Effect.gen(function*() {
          const beanstalkd = yield* Client.Beanstalkd
          const billing = yield* Billing
          yield* beanstalkd.put(TUBE, "for the first")
          yield* billing.putAll("bills", ["one", "two"])
          const bill = yield* billing.reserve("bills")
          return [(yield* beanstalkd.stats).id, (yield* billing.stats).id, yield* bill.tube]
        }).pipe(Effect.scoped)
        const layers = Layer.mergeAll(Client.layer(first.clientOptions), Billing.layer(second.clientOptions))
        const seen = yield* Effect.provide(program, layers)
        const [firstStats, secondStats] = [yield* first.stats, yield* second.stats]
        assert.deepStrictEqual(seen, [firstStats["id"], secondStats["id"], "bills"])
        assert.deepStrictEqual([firstStats["total-jobs"], secondStats["total-jobs"]], ["1", "2"])
      }))
  })
})

RealServer.describeReal("a layer of the client, and a port", () => {
  it.live("takes options", () =>
    Effect.gen(function*() {
      const { port } = yield* RealServer.make()
      const server = yield* Effect.provide(roundTrip, Client.layer({ host: "localhost", port }))
      assert.strictEqual(server, `localhost:${port}`)
    }))

  it.live("takes a URL, and options over it", () =>
    Effect.gen(function*() {
      const { port } = yield* RealServer.make()
      const server = yield* Effect.provide(roundTrip, Client.layerUrl(`beanstalk://127.0.0.1:${port}`))
      assert.strictEqual(server, `127.0.0.1:${port}`)
      yield* Effect.provide(roundTrip, Client.layerUrl("beanstalk://127.0.0.1:1", { port, maxConnections: 1 }))
    }))

  const urls = [
    "",
    "127.0.0.1:11300",
    "localhost",
    "http://127.0.0.1:11300",
    "beanstalk://",
    "beanstalk://127.0.0.1:99999",
    "beanstalk://127.0.0.1/tube",
    "beanstalk://me@127.0.0.1",
    "beanstalk://127.0.0.1?tube=x"
  ]
  it.live.each(urls)("refuses the URL %j, and says what one looks like", (url) =>
    Effect.gen(function*() {
      const { reason } = yield* Effect.flip(Effect.provide(roundTrip, Client.layerUrl(url))).pipe(
        Effect.map((error) => error as Errors.BeanstalkdError)
      )
      assert.strictEqual(reason._tag, "InvalidOptions")
      assert.include(reason.message, "beanstalk://host:port")
    }))

  const unreadable = (): never => {
    throw new Error("unreadable")
  }
  const any = (value: unknown) => value as never
  const senseless: ReadonlyArray<readonly [what: string, layer: () => Layer.Layer<Client.Beanstalkd, unknown>]> = [
    ["no URL", () => Client.layerUrl(any(undefined))],
    ["options that throw", () => Client.layerUrl("unix:///x", Object.defineProperty({}, "use", { get: unreadable }))],
    ["options that are none", () => Client.layerUrl("unix:///x", any(null))],
    ["no configuration", () => Client.layerConfig(any(undefined))],
    ["a number as configuration", () => Client.layerConfig(any(5))],
    ["a text as configuration", () => Client.layerConfig(any("host"))],
    ["values that are no Config", () => Client.layerConfig(any({ port: 11_300 }))],
    ["values that are bytes", () => Client.layerConfig(any({ host: new Uint8Array(3) }))],
    ["a configuration that throws", () => Client.layerConfig(any(new Proxy({}, { ownKeys: unreadable })))]
  ]
  it.live.each(senseless)("refuses %s", ([, layer]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer())))
      assert.instanceOf(error, Errors.BeanstalkdError)
      assert.instanceOf(error.reason, Errors.InvalidOptions)
    }))

  it.live("takes a configuration that lacks some on purpose", () =>
    Effect.gen(function*() {
      const { port } = yield* RealServer.make()
      const layer = Client.layerConfig({ host: any(undefined), port: Config.succeed(port) })
      assert.strictEqual(yield* Effect.provide(roundTrip, layer), `127.0.0.1:${port}`)
    }))

  const config = Client.layerConfig({
    host: Config.String("QUEUE_HOST").pipe(Config.withDefault("127.0.0.1")),
    port: Config.Port("QUEUE_PORT"),
    commandTimeout: Config.Duration("QUEUE_TIMEOUT"),
    maxConnections: Config.succeed(2)
  })
  const withEnv = (env: Record<string, string>) =>
    Layer.provide(config, ConfigProvider.layer(ConfigProvider.fromEnv({ env })))

  it.live("takes its options from the configuration", () =>
    Effect.gen(function*() {
      const { port } = yield* RealServer.make()
      const live = withEnv({ QUEUE_PORT: String(port), QUEUE_TIMEOUT: "3 seconds" })
      assert.strictEqual(yield* Effect.provide(roundTrip, live), `127.0.0.1:${port}`)
    }))

  it.live("fails with ConfigError where the configuration lacks something, or has nonsense", () =>
    Effect.gen(function*() {
      for (const env of [{ QUEUE_PORT: "11300" }, { QUEUE_PORT: "99999", QUEUE_TIMEOUT: "1 second" }]) {
        assert.strictEqual((yield* Effect.flip(Effect.provide(roundTrip, withEnv(env))))._tag, "ConfigError")
      }
    }))

  it.live("is not built when nobody answers", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const layers = [Client.layer({ port }), Client.layerUrl(`beanstalk://127.0.0.1:${port}`)]
      for (const layer of layers) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.deepStrictEqual([error._tag, error.command, error.sent], ["BeanstalkdError", "connect", false])
        assert.strictEqual(error.reason._tag, "OpenError")
      }
    }))
})

RealServer.describeReal("a job that is reserved", () => {
  it.live("and deleted, 20,000 times in one Scope with two connections, leaves nothing behind", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const { code, report, stderr } = yield* Program.run(
        new URL("programs/Forever.ts", import.meta.url),
        server.port,
        20_000
      )
      assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
      const { growth, ...rest } = report as { readonly growth: number }
      // In bytes, from the 5,000th to the last.
      assert.isBelow(growth, 1_000_000)
      assert.deepStrictEqual(rest, {
        finalizers: 0,
        stats: { idle: 2, used: 0, waiting: 0, opened: 3, lost: 0, shared: true }
      })
      assert.deepInclude(yield* server.stats, { "current-jobs-ready": "0", "current-jobs-reserved": "0" })
      assert.strictEqual((yield* server.stats)["cmd-delete"], "20000")
    }))
})
