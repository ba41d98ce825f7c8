/**
 * The embedded server as tests use it: in memory, as a layer, faulty on demand.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Config, ConfigProvider, Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { Client, Connection, Errors, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { poolOf } from "../../src/internal/client/internals.ts"
import { onLayer } from "../support/Fixture.ts"

const reasonOf = (error: { readonly _tag: string }): string =>
  error instanceof Errors.BeanstalkdError ? error.reason._tag : error._tag

/** The tag of what it fails with, or of the reason of that. */
const failure = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), reasonOf)

describe("a faulty server", () => {
  it.effect("refuses who is not connected yet, until it does so no more", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* server.injectFaults({ refuse: true })
      assert.strictEqual(yield* failure(Connection.make(server.clientOptions)), "OpenError")
      yield* beanstalkd.put("emails", "hello")
      yield* server.injectFaults({})
      const connection = yield* Connection.make(server.clientOptions)
      assert.deepStrictEqual(yield* connection.listTubes, ["default", "emails"])
    })))

  it.effect("takes no permit from a borrower that could not connect, and tries again in the same Scope", () =>
    onLayer(
      Effect.fnUntraced(function*(beanstalkd, server) {
        const pool = poolOf(beanstalkd)
        yield* server.injectFaults({ refuse: true })
        yield* server.dropConnections
        for (let i = 0; i < 3; i++) {
          const getting = yield* Effect.forkScoped(Scope.provide(failure(pool.get), yield* Effect.scope))
          yield* TestClock.adjust("1 minute")
          assert.strictEqual(yield* Fiber.join(getting), "OpenError")
        }
        yield* server.injectFaults({})
        const getting = yield* Effect.forkScoped(pool.get)
        yield* TestClock.adjust("1 minute")
        assert.isDefined(getting.pollUnsafe())
      }),
      { client: { maxConnections: 1 } }
    ))

  it.effect("that is mute executes, and the client gives up at its own time", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* server.injectFaults({ mute: true })
      const began = yield* Clock.currentTimeMillis
      const putting = yield* Effect.forkScoped(Effect.flip(beanstalkd.put("emails", "hello")))
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(putting.pollUnsafe())
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(putting)
      assert.deepInclude(error, { _tag: "BeanstalkdError", sent: true })
      assert.strictEqual(reasonOf(error), "CommandTimeout")
      assert.strictEqual((yield* Clock.currentTimeMillis) - began, 10_000)
      yield* server.injectFaults({})
      const peeking = yield* Effect.forkScoped(beanstalkd.peekReady("emails"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(peeking)).text, "hello")
    })))

  it.effect("answers so much later, and in order also when it gets faster", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      const began = yield* Clock.currentTimeMillis
      const answers: Array<readonly [id: number, seconds: number]> = []
      const put = Effect.gen(function*() {
        const { id } = yield* beanstalkd.put("emails", "hello")
        answers.push([id, ((yield* Clock.currentTimeMillis) - began) / 1000])
      })
      yield* server.injectFaults({ delay: "3 seconds" })
      yield* Effect.forkScoped(put, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* server.injectFaults({ delay: "1 second" })
      yield* Effect.forkScoped(put, { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(answers.map(([id]) => id), [1, 2])
      assert.strictEqual(answers[1]![1], 3)
    })))

  it.effect("is understood byte by byte", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* server.injectFaults({ split: 1 })
      const ids = (yield* beanstalkd.putAll("emails", ["\r\n", "", "RESERVED 1 1\r\n", "ä".repeat(1000)])).map((
        { id }
      ) => id)
      const bodies = yield* Effect.forEach(ids, () => Effect.map(beanstalkd.reserve("emails"), ({ text }) => text))
      assert.deepStrictEqual(bodies, ["\r\n", "", "RESERVED 1 1\r\n", "ä".repeat(1000)])
      assert.strictEqual((yield* beanstalkd.stats).currentJobsReserved, 4)
    })))

  it.effect("that talks nonsense fails the command with what it said, and is dialled anew", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* beanstalkd.put("emails", "hello")
      yield* server.injectFaults({ garble: () => Buffer.from("I AM A TEAPOT\r\n") })
      const error = yield* Effect.flip(beanstalkd.put("emails", "hello"))
      assert.strictEqual(reasonOf(error), "UnexpectedReply")
      assert.include(error.message, "I AM A TEAPOT")
      yield* server.injectFaults({})
      const putting = yield* Effect.forkScoped(beanstalkd.put("emails", "hello"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(Number((yield* Fiber.join(putting)).id), 3)
    })))

  it.effect("drops all connections: jobs come back, leases are lost, and the client is there again", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      const { id } = yield* beanstalkd.put("emails", "hello")
      const job = yield* beanstalkd.reserve("emails")
      const other = yield* Effect.forkScoped(failure(beanstalkd.reserve("others")))
      yield* server.awaitReservers("others")
      // The ten of the pool, and the shared one.
      assert.strictEqual(yield* server.connectionCount, 11)
      assert.strictEqual(yield* server.dropConnections, 11)
      assert.strictEqual(yield* server.connectionCount, 0)
      assert.strictEqual(yield* Fiber.join(other), "ConnectionClosed")
      assert.strictEqual(yield* failure(job.delete), "ConnectionClosed")
      const asking = yield* Effect.forkScoped(beanstalkd.statsJob(id))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(asking), { state: "ready", reserves: 1, timeouts: 0, releases: 0 })
    })))

  it.effect("that drains takes no more puts, and does all the rest", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* beanstalkd.put("emails", "hello")
      yield* server.drain
      assert.strictEqual(yield* failure(beanstalkd.put("emails", "hello")), "Draining")
      const job = yield* beanstalkd.reserve("emails")
      yield* job.delete
      assert.isTrue((yield* beanstalkd.stats).draining)
    })))

  it.effect("refuses faults that make no sense, and keeps those that it had", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      const wrong: ReadonlyArray<Server.Faults> = [{ delay: -1 }, { delay: NaN }, { split: 0 }, { split: 1.5 }]
      for (const faults of wrong) {
        const error = yield* Effect.flip(server.injectFaults(faults))
        assert.deepInclude(error, { _tag: "InvalidArgument", argument: Object.keys(faults)[0]! })
      }
      yield* beanstalkd.put("emails", "hello")
    })))
})

describe("maxJobSize", () => {
  it.effect("is the largest body", () =>
    onLayer(
      Effect.fnUntraced(function*(beanstalkd) {
        yield* beanstalkd.put("emails", "x".repeat(1000))
        assert.strictEqual(yield* failure(beanstalkd.put("emails", "x".repeat(1001))), "JobTooBig")
        yield* beanstalkd.put("emails", "x".repeat(1000))
        assert.strictEqual((yield* beanstalkd.stats).maxJobSize, 1000)
      }),
      { maxJobSize: 1000 }
    ))

  it.effect("is 65,535 unless told, and may be megabytes", () =>
    Effect.gen(function*() {
      const body = Buffer.alloc(3 * 1024 * 1024, "0123456789")
      yield* onLayer((beanstalkd) =>
        Effect.gen(function*() {
          yield* beanstalkd.put("emails", body.subarray(0, 65_535))
          assert.strictEqual(yield* failure(beanstalkd.put("emails", body.subarray(0, 65_536))), "JobTooBig")
        })
      )
      yield* onLayer((beanstalkd) =>
        Effect.gen(function*() {
          yield* beanstalkd.put("emails", body)
          assert.isTrue(body.equals((yield* beanstalkd.reserve("emails")).body))
        }), { maxJobSize: body.length })
    }))
})

describe("awaitReservers", () => {
  it.effect("returns when so many wait, before which the tube need not exist", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      const three = yield* Effect.forkScoped(server.awaitReservers("emails", 3))
      yield* Effect.forkScoped(beanstalkd.reserve("emails"))
      yield* Effect.forkScoped(beanstalkd.reserve(["others", "emails"]))
      yield* server.awaitReservers("emails", 2)
      yield* server.awaitReservers("others")
      assert.isUndefined(three.pollUnsafe())
      yield* Effect.forkScoped(beanstalkd.reserve("emails"))
      yield* Fiber.join(three)
      yield* server.awaitReservers("emails", 0)
      assert.strictEqual((yield* beanstalkd.stats).currentWaiting, 3)
    })))

  it.effect("can be interrupted", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      const waiting = yield* Effect.forkScoped(server.awaitReservers("emails"), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      yield* Effect.forkScoped(beanstalkd.reserve("emails"))
      yield* server.awaitReservers("emails")
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(waiting)))
    })))
})

describe("layerMemory", () => {
  class Left extends Context.Service<Left, Client.Service>()("test/Left") {}
  class Right extends Context.Service<Right, Client.Service>()("test/Right") {}

  const idsOf = (left: Layer.Layer<Client.Beanstalkd>, right: Layer.Layer<Client.Beanstalkd>) =>
    Effect.gen(function*() {
      const refs = [yield* (yield* Left).put("emails", "hello"), yield* (yield* Right).put("emails", "hello")]
      return refs.map(({ id }) => Number(id))
    }).pipe(Effect.provide(Layer.mergeAll(
      Layer.provide(Layer.effect(Left, Client.Beanstalkd), left),
      Layer.provide(Layer.effect(Right, Client.Beanstalkd), right)
    )))

  it.effect("is one server within a build, wherever the same layer is provided", () =>
    Effect.gen(function*() {
      const shared = Server.layerMemory()
      assert.deepStrictEqual(yield* idsOf(shared, shared), [1, 2])
    }))

  it.effect("is another server for each call, in another build, and when it is fresh", () =>
    Effect.gen(function*() {
      const shared = Server.layerMemory()
      assert.deepStrictEqual(yield* idsOf(Server.layerMemory(), Server.layerMemory()), [1, 1])
      assert.deepStrictEqual(yield* idsOf(shared, Layer.fresh(shared)), [1, 1])
      assert.deepStrictEqual(yield* idsOf(shared, shared), [1, 2])
    }))

  it.effect("ends with its Scope, and is refusing from then on", () =>
    Effect.gen(function*() {
      const outer = yield* Effect.scope
      const { clientOptions, connectionCount, reserving } = yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* Server.makeMemory()
        const connection = yield* Scope.provide(Connection.make(server.clientOptions), outer)
        const reserving = yield* Effect.forkIn(failure(connection.reserve), outer)
        yield* server.awaitReservers("default")
        return { ...server, reserving }
      }))
      assert.strictEqual(yield* Fiber.join(reserving), "ConnectionClosed")
      assert.strictEqual(yield* connectionCount, 0)
      assert.strictEqual(yield* failure(Connection.make(clientOptions)), "OpenError")
    }))
})

describe("layerConfig", () => {
  const configured = Layer.provide(
    Server.layerConfig({ port: Config.Int("PORT"), maxJobSize: Config.Int("SIZE") }),
    ConfigProvider.layer(ConfigProvider.fromUnknown({ PORT: 0, SIZE: 4 }))
  )

  it.live("takes its options from the configuration", () =>
    Effect.gen(function*() {
      const { clientOptions, port, server } = yield* Server.Server
      assert.strictEqual(server, `127.0.0.1:${port}`)
      const connection = yield* Connection.make(clientOptions)
      assert.strictEqual(yield* failure(connection.put("hello")), "JobTooBig")
    }).pipe(Effect.scoped, Effect.provide(configured)))

  it.effect("fails when the configuration lacks one", () =>
    Effect.gen(function*() {
      const build = Layer.build(Server.layerConfig({ port: Config.Port("PORT") }))
      const error = yield* Effect.flip(Effect.scoped(build))
      assert.strictEqual(error._tag, "ConfigError")
    }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({})))))
})

describe("the name of a server in memory", () => {
  it.effect("is what its clients and their errors call it, and memory by default", () =>
    Effect.gen(function*() {
      const servers = yield* Effect.all([Server.makeMemory(), Server.makeMemory({ name: "eu/billing" })])
      for (const [n, { clientOptions, server }] of servers.entries()) {
        assert.strictEqual(server, ["memory", "eu/billing"][n])
        const beanstalkd = yield* Client.make(clientOptions)
        assert.strictEqual(beanstalkd.server, server)
        assert.deepInclude(yield* Effect.flip(beanstalkd.peekReady("emails")), { _tag: "NotFound", server })
      }
    }).pipe(Effect.scoped))

  it.effect("can be told to the layer", () =>
    Effect.gen(function*() {
      const names = [(yield* Server.Server).server, (yield* Client.Beanstalkd).server]
      assert.deepStrictEqual(names, ["billing", "billing"])
    }).pipe(Effect.provide(Server.layerMemory({ name: "billing" }))))
})

describe("the id of a server", () => {
  it.effect("is 16 hexadecimal digits, and another one for each", () =>
    Effect.gen(function*() {
      const ids: Array<string | undefined> = []
      for (let n = 0; n < 2; n++) {
        const { clientOptions } = yield* Server.makeMemory()
        ids.push((yield* (yield* Client.make(clientOptions)).stats).id)
      }
      for (const id of ids) assert.match(id ?? "", /^[0-9a-f]{16}$/)
      assert.notStrictEqual(ids[0], ids[1])
    }).pipe(Effect.scoped))
})

describe("options that make no sense", () => {
  const wrong: ReadonlyArray<
    readonly [options: Server.Options, argument: string, rule: string, server: string]
  > = [
    [{ port: 65_536 }, "port", "an integer from 0 to 65535", "127.0.0.1:65536"],
    [{ port: 1.5 }, "port", "an integer from 0 to 65535", "127.0.0.1:1.5"],
    [{ port: "x" as never }, "port", "an integer from 0 to 65535", "127.0.0.1:x"],
    [{ host: "" }, "host", "a host name or an address", ":11300"],
    [{ host: 5 as never, port: 0 }, "host", "a host name or an address", "5:0"],
    [{ host: null as never, port: 0 }, "host", "a host name or an address", "null:0"],
    [{ port: Symbol("x") as never }, "port", "an integer from 0 to 65535", "127.0.0.1:Symbol(x)"],
    [{ path: Symbol("x") as never }, "path", "the path of a unix socket", "unix:Symbol(x)"],
    [{ path: "" }, "path", "the path of a unix socket", "unix:"],
    [{ port: 0, maxJobSize: -1 }, "maxJobSize", "a whole number, at least 0", "127.0.0.1:0"],
    [{ port: 0, maxJobSize: NaN }, "maxJobSize", "a whole number, at least 0", "127.0.0.1:0"],
    [{ port: 0, maxJobSize: "1000" as never }, "maxJobSize", "a whole number, at least 0", "127.0.0.1:0"],
    [{ port: 0, maxClients: 0 }, "maxClients", "a whole number, at least 1", "127.0.0.1:0"],
    [{ port: 0, maxMemory: 0.5 }, "maxMemory", "a whole number, at least 0", "127.0.0.1:0"]
  ]

  it.effect.each(wrong)(
    "are named, and nothing is said of listening: %o",
    ([options, argument, rule, server]) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Effect.scoped(Server.make(options)))
        assert.deepInclude(error, { _tag: "ListenError", server })
        assert.deepInclude(error.cause, { _tag: "InvalidArgument", operation: "Server.make", argument, rule })
        assert.isTrue(error.message.startsWith(`Server.make: ${argument} must be ${rule}, got `), error.message)
      })
  )

  const any = (value: unknown) => value as never
  const clients: ReadonlyArray<readonly [client: unknown, argument: string]> = [
    [null, "options"],
    [5, "options"],
    [{ maxConnections: 1n }, "maxConnections"],
    [{ maxConnections: Symbol("x") }, "maxConnections"],
    [{ maxConnections: 0 }, "maxConnections"],
    [{ watch: "no tube" }, "watch"]
  ]
  it.effect.each(clients)("are named, of the client in the layer: %o", ([client, argument]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(Server.layerMemory({ client: any(client) }))))
      assert.strictEqual(reasonOf(error), "InvalidOptions")
      assert.include(error.message, `${argument} must be`)
    }))

  const failsToBuild = <A, E>(layer: Layer.Layer<A, E>) => Effect.asVoid(Layer.build(layer))

  const starts: Readonly<
    Record<string, (options: never) => Effect.Effect<unknown, { readonly _tag: string }, Scope.Scope>>
  > = {
    "Server.make": Server.make,
    "Server.layer": (options) => failsToBuild(Server.layer(options)),
    "Server.layerConfig": (options) => failsToBuild(Server.layerConfig(options)),
    "Server.makeMemory": Server.makeMemory,
    "Server.layerMemory": (options) => failsToBuild(Server.layerMemory(options))
  }

  it.effect.each(Object.entries(starts))("are said to be those of %s", ([operation, start]) =>
    Effect.gen(function*() {
      for (const options of [null, 5, { maxClients: "many" }]) {
        const error = yield* Effect.flip(Effect.scoped(start(any(options))))
        assert.strictEqual(error._tag, "ListenError")
        assert.include((error as Server.ListenError).message, `${operation}: `)
        assert.include((error as Server.ListenError).message, " must be ")
      }
    }))

  it.effect.each(["", " ", "a b", "a\n", "\u00a0", 5, null, Symbol("x")])(
    "are named: a name that is %o",
    (name) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Effect.scoped(Server.makeMemory({ name: any(name) })))
        assert.include(error.message, "Server.makeMemory: name must be text without white space, not empty, got ")
      })
  )

  const faults: ReadonlyArray<readonly [faults: unknown, argument: string, rule: string]> = [
    [{ shortage: "job" }, "shortage", "one of \"jobs\", \"queues\""],
    [{ shortage: true }, "shortage", "one of \"jobs\", \"queues\""],
    [{ refuse: 1 }, "refuse", "true or false"],
    [{ mute: "yes" }, "mute", "true or false"],
    [{ garble: "yes" }, "garble", "a function"],
    [{ garble: null }, "garble", "a function"],
    [{ split: 0 }, "split", "a whole number, at least 1"]
  ]
  it.effect.each(faults)("are named, of faults: %o", ([faults, argument, rule]) =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const error = yield* Effect.flip(server.injectFaults(any(faults)))
      assert.deepInclude(error, { _tag: "InvalidArgument", operation: "injectFaults", argument, rule })
    }).pipe(Effect.scoped))

  it.effect("are named, of awaitReservers", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const { message } = yield* Effect.flip(server.awaitReservers("emails", -1))
      assert.strictEqual(message, "awaitReservers: count must be a whole number, at least 0, got -1")
    }).pipe(Effect.scoped))
})
