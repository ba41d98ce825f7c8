/**
 * How a fleet is made, what its options may be, and how it ends.
 */
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { Client, Errors, Fleet, Tube } from "effect-beanstalkd"
import { listOf, machines, NAMES, onFleet, pass, settle, statusOf } from "./Fleets.ts"

const refusedBy = (options: unknown) =>
  Effect.scoped(Effect.flip(Fleet.make(options as Fleet.Options))).pipe(
    Effect.map(({ message, reason }) => {
      assert.instanceOf(reason, Errors.InvalidOptions)
      return message
    })
  )

describe("the options of a fleet", () => {
  const wrong: ReadonlyArray<readonly [options: object, message: string]> = [
    [{ servers: [] }, "Fleet.make: servers must be at least one server"],
    [{ servers: "a:11300" }, "Fleet.make: servers must be a list of servers, or a Stream of such lists"],
    [{ servers: ["a:11300"] }, "Fleet.make: url must be a URL of the form"],
    [{ servers: ["beanstalk://a", "beanstalk://a"] }, "Fleet.make: servers must be servers of different names"],
    [{ servers: [{ host: "a", port: 0 }] }, "Fleet.make: port must be an integer from 1 to 65535"],
    [{ servers: [{ host: "a", weight: 0 }] }, "Fleet.make: weight must be a number greater than 0"],
    [{ servers: [{ host: "a", name: "a b" }] }, "Fleet.make: name must be text without white space"],
    [{ servers: ["beanstalk://a"], route: "round" }, "Fleet.make: route must be \"spread\", \"tube\", or a function"],
    [{ servers: ["beanstalk://a"], ambiguous: "never" }, "Fleet.make: ambiguous must be"],
    [{ servers: ["beanstalk://a"], whenDown: "never" }, "Fleet.make: whenDown must be"],
    [{ servers: ["beanstalk://a"], patience: -1 }, "Fleet.make: patience must be"],
    [{ servers: ["beanstalk://a"], joinDelay: "soon" }, "Fleet.make: joinDelay must be"],
    [{ servers: ["beanstalk://a"], maxConnections: 0 }, "Fleet.make: maxConnections must be"],
    [{ servers: ["beanstalk://a"], commandTimeout: 0 }, "Fleet.make: commandTimeout must be"]
  ]
  it.effect.each(wrong)(
    "are refused: %j",
    ([options, message]) => Effect.map(refusedBy(options), (said) => assert.include(said, message))
  )
})

describe("the URL of a fleet", () => {
  const build = (url: string) => Effect.scoped(Effect.exit(Layer.build(Fleet.layerUrl(url))))

  it.effect("is a list of servers, or refused in words", () =>
    Effect.gen(function*() {
      for (
        const url of ["beanstalk://", "beanstalk://a,,b", "http://a", "a,b", "beanstalk+srv://a,b", "beanstalk://a:0"]
      ) {
        const exit = yield* build(url)
        assert.isTrue(Exit.isFailure(exit), url)
        assert.include(String(exit), "Fleet.layerUrl: ")
      }
      const context = yield* Layer.build(Fleet.layerUrl("beanstalk://127.0.0.1:1,127.0.0.1:2", { patience: 0 }))
      const states = yield* Context.get(context, Fleet.Fleet).servers
      assert.deepStrictEqual(states.map(({ server }) => server), ["127.0.0.1:1", "127.0.0.1:2"])
      const unix = yield* Layer.build(Fleet.layerUrl("unix:///nowhere/beanstalkd.sock"))
      assert.strictEqual(Context.get(unix, Client.Beanstalkd).server, "unix:/nowhere/beanstalkd.sock")
    }).pipe(Effect.scoped))

  it.effect("can come from the configuration", () =>
    Effect.gen(function*() {
      const live = Fleet.layerConfig({
        servers: Config.map(Config.String("SERVERS"), (text) => text.split(" "))
      })
      const context = yield* Layer.build(live)
      assert.strictEqual(Context.get(context, Fleet.Fleet).server, "127.0.0.1:1,127.0.0.1:2")
    }).pipe(
      Effect.scoped,
      Effect.provideService(
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromUnknown({ SERVERS: "beanstalk://127.0.0.1:1 beanstalk://127.0.0.1:2" })
      )
    ))
})

class Billing extends Context.Service<Billing, Client.Service>()("test/Billing") {}

describe("a fleet", () => {
  it.effect("can have a tag of its own", () =>
    Effect.gen(function*() {
      const servers = yield* machines(NAMES.slice(0, 2))
      const Invoices = Tube.make("invoices", { codec: "text", client: Billing })
      const program = Effect.andThen(Effect.andThen(settle, Invoices.putAll(["1", "2"])), Invoices.stats)
      const { currentJobsReady } = yield* Effect.provide(
        program,
        Layer.effect(Billing, Fleet.make({ servers: listOf(servers) }))
      )
      assert.strictEqual(currentJobsReady, 2)
    }).pipe(Effect.scoped))

  it.effect("tells what changes, and how its servers are", () =>
    onFleet(
      2,
      Effect.fnUntraced(function*(fleet, a) {
        const events: Array<string> = []
        yield* Effect.forkScoped(
          Stream.runForEach(
            fleet.events,
            ({ server, status }) => Effect.sync(() => events.push(`${server} ${status}`))
          ),
          { startImmediately: true }
        )
        yield* settle
        yield* a.down
        yield* pass(100)
        const down = (yield* fleet.servers)[0]!
        assert.deepInclude(down, { server: "a", status: "down" })
        assert.isString(down.reason)
        yield* a.up
        yield* pass(8000)
        assert.deepStrictEqual(events, ["a down", "a silent", "a up"])
        assert.deepStrictEqual(yield* statusOf(fleet), { a: "up", b: "up" })
      })
    ))

  it.effect("that has ended fails whoever puts or reserves, and whoever waited for it", () =>
    Effect.gen(function*() {
      const servers = yield* machines(NAMES.slice(0, 2))
      const scope = yield* Scope.make()
      const fleet = yield* Scope.provide(Fleet.make({ servers: listOf(servers), patience: Infinity }), scope)
      yield* settle
      for (const { down } of servers) yield* down
      yield* pass(100)
      const putting = yield* Effect.forkChild(Effect.flip(fleet.put("work", "x")), { startImmediately: true })
      const reserving = yield* Effect.forkChild(Effect.flip(Effect.scoped(fleet.reserve("work"))), {
        startImmediately: true
      })
      yield* pass(100)
      assert.strictEqual(putting.pollUnsafe(), undefined)
      yield* Scope.close(scope, Exit.void)
      yield* settle
      for (const error of [yield* Fiber.join(putting), yield* Fiber.join(reserving)]) {
        assert.instanceOf(error, Errors.BeanstalkdError)
        assert.isFalse(error.sent)
        assert.strictEqual(error.reason._tag, "ConnectionClosed")
      }
      assert.strictEqual((yield* Effect.flip(fleet.put("work", "x")))._tag, "BeanstalkdError")
      assert.strictEqual((yield* Effect.flip(Effect.scoped(fleet.reserve("work"))))._tag, "BeanstalkdError")
    }))

  it.effect("that has ended while its servers are up fails whoever puts", () =>
    Effect.gen(function*() {
      const servers = yield* machines(NAMES.slice(0, 2))
      const scope = yield* Scope.make()
      const fleet = yield* Scope.provide(Fleet.make({ servers: listOf(servers), patience: Infinity }), scope)
      yield* settle
      yield* fleet.put("work", "x")
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.flip(fleet.put("work", "x", { key: "k" }))
      assert.strictEqual(error._tag, "BeanstalkdError")
      assert.strictEqual((yield* Effect.flip(fleet.put("work", "x")))._tag, "BeanstalkdError")
      for (const { connectionCount } of servers) assert.strictEqual(yield* connectionCount, 0)
    }))
})
