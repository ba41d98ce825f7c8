/**
 * Commands that find no connection: they dial at once, they do not fail on a server that is back, and they wait for it as
 * long as `connectionWait` says.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Config, ConfigProvider, Effect, Fiber, Schedule } from "effect"
import { Client, Errors, Pool } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { DialBackoff } from "../../src/internal/pool/dialBackoff.ts"
import { errorOf, isFailure, start } from "../support/scripted/Peer.ts"
import { silently } from "../support/Workplace.ts"
import { moody } from "./Moody.ts"

const rarely = Schedule.spaced("1 hour")

const pass = (millis: number) =>
  Effect.forEach(Array.from({ length: millis / 10 }), () => TestClock.adjust("10 millis"), { discard: true })

const failure = new Errors.BeanstalkdError({
  command: "connect",
  server: "nowhere",
  sent: false,
  reason: new Errors.OpenError({ cause: "refused" })
})

const asks: Record<string, (client: Client.Service) => Effect.Effect<unknown, unknown>> = {
  "a put": (client) => client.put("jobs", "x"),
  "a reserve": (client) => Effect.scoped(client.reserve("jobs", { timeout: 0 }))
}

describe.each(Object.entries(asks))("%s that finds no connection", (_, ask) => {
  it.effect("dials at once, whatever the Schedule says", () =>
    Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      const client = yield* Client.make({ dialer, reconnect: rarely, commandTimeout: "1 second" })
      yield* client.put("jobs", "x")
      yield* set("away")
      // The borrowers have a backoff of their own, which must have seen a failure too.
      yield* start(Effect.exit(ask(client)))
      yield* pass(10_000)
      yield* set("there")
      const asking = yield* start(ask(client))
      yield* TestClock.adjust(0)
      assert.isDefined(asking.pollUnsafe(), "it waits for the Schedule")
      yield* Fiber.join(asking)
    }).pipe(silently))

  it.effect("does not fail on a server that comes back while it waits", () =>
    Effect.gen(function*() {
      const { dialer, dials, set } = yield* moody()
      const client = yield* Client.make({ dialer, reconnect: rarely, commandTimeout: "3 seconds" })
      yield* client.put("jobs", "x")
      yield* set("away")
      yield* start(Effect.exit(ask(client)))
      yield* pass(10_000)
      const before = dials.count
      const asking = yield* start(ask(client))
      yield* pass(500)
      yield* set("there")
      yield* pass(1_500)
      assert.isDefined(asking.pollUnsafe(), "the server has been back for 1.5 of 3 seconds")
      yield* Fiber.join(asking)
      assert.isAtMost(dials.count - before, 4)
    }).pipe(silently))

  it.effect("does not dial a server that is away more than ten times per second, however many there are", () =>
    Effect.gen(function*() {
      const { dialer, dials, set } = yield* moody()
      const client = yield* Client.make({ dialer, reconnect: rarely, connectionWait: "1 second" })
      yield* set("away")
      yield* pass(1_000)
      const before = dials.count
      for (let n = 0; n < 20; n++) {
        yield* start(Effect.forever(Effect.andThen(Effect.exit(ask(client)), Effect.sleep("7 millis"))))
      }
      yield* pass(5_000)
      assert.isAtLeast(dials.count - before, 10)
      assert.isAtMost(dials.count - before, 51)
    }).pipe(silently))
})

describe("a dial that somebody asks for", () => {
  const make = Effect.gen(function*() {
    const backoff = new DialBackoff(rarely, yield* Clock.Clock, 3000)
    const times: Array<number> = []
    const refused = Effect.andThen(
      Effect.map(Clock.currentTimeMillis, (now) => void times.push(now)),
      Effect.fail(failure)
    )
    yield* start(Effect.forever(Effect.exit(backoff.dial(refused))))
    return { backoff, times }
  })

  it.effect("comes at once, but not within 100 ms of one that failed", () =>
    Effect.gen(function*() {
      const { backoff, times } = yield* make
      yield* TestClock.adjust(99)
      yield* backoff.urgently(Effect.void)
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(times, [0])
      yield* backoff.urgently(Effect.void)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(times, [0, 1099])
      for (let n = 0; n < 100; n++) {
        yield* backoff.urgently(Effect.void)
        yield* TestClock.adjust(10)
      }
      assert.isAtMost(times.length, 2 + 10)
      assert.isAtLeast(times.length, 2 + 8)
    }))

  it.effect("is repeated three times within the wait, and no more once nobody waits", () =>
    Effect.gen(function*() {
      const { backoff, times } = yield* make
      yield* TestClock.adjust(500)
      const waiting = yield* start(backoff.urgently(Effect.never))
      yield* pass(5000)
      assert.deepStrictEqual(times, [0, 500, 1500, 2500, 3500, 4500, 5500])
      yield* Fiber.interrupt(waiting)
      yield* pass(60_000)
      assert.isAtMost(times.length, 8)
    }))
})

describe("connectionWait", () => {
  it.effect("of 0 fails at once while the server is away, and dials all the same", () =>
    Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      const client = yield* Client.make({ dialer, reconnect: rarely, connectionWait: 0 })
      yield* set("away")
      yield* pass(1_000)
      const putting = yield* start(client.put("jobs", "x"))
      yield* TestClock.adjust(0)
      isFailure(yield* errorOf(putting), { reason: "OpenError", sent: false, command: "put" })
      assert.strictEqual(yield* Clock.currentTimeMillis, 1_000)
      yield* set("there")
      yield* pass(100)
      yield* Effect.exit(client.put("jobs", "x"))
      yield* TestClock.adjust(0)
      yield* client.put("jobs", "x")
      assert.strictEqual(yield* Clock.currentTimeMillis, 1_100)
    }).pipe(silently))

  it.effect.each(Object.entries(asks))("of 200 ms fails after 200 ms: %s", ([, ask]) =>
    Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      const client = yield* Client.make({ dialer, connectionWait: "200 millis" })
      yield* set("away")
      yield* pass(1_000)
      const asking = yield* start(ask(client))
      yield* TestClock.adjust(199)
      assert.isUndefined(asking.pollUnsafe())
      yield* TestClock.adjust(1)
      isFailure(yield* errorOf(asking), { reason: "OpenError", sent: false })
    }).pipe(silently))

  it.effect("says nothing about a server that is connected and silent: that is the command timeout", () =>
    Effect.gen(function*() {
      const client = yield* Client.make({
        dialer: { server: "silent", open: () => Effect.succeed({ write: () => true, destroy: () => {} }) },
        connectionWait: 0
      })
      const putting = yield* start(client.put("jobs", "x"))
      yield* TestClock.adjust(9_999)
      assert.isUndefined(putting.pollUnsafe())
      yield* TestClock.adjust(1)
      isFailure(yield* errorOf(putting), { reason: "CommandTimeout", sent: true })
    }).pipe(silently))

  it.effect("without end waits until the server is back, however long that takes", () =>
    Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      const client = yield* Client.make({ dialer, connectionWait: "Infinity" })
      yield* set("away")
      const putting = yield* start(client.put("jobs", "x"))
      for (let n = 0; n < 100; n++) yield* TestClock.adjust("1 minute")
      assert.isUndefined(putting.pollUnsafe())
      yield* set("there")
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(putting)
    }).pipe(silently))

  it.effect.each([-1, Number.NaN, "soon", {}, null])(
    "is refused if it is %o",
    (connectionWait) =>
      Effect.gen(function*() {
        const options = { connectionWait: connectionWait as never }
        for (const making of [Effect.asVoid(Client.make(options)), Effect.asVoid(Pool.make(options))]) {
          const error = yield* Effect.flip(Effect.scoped(making))
          assert.deepInclude<object>(error.reason, { _tag: "InvalidOptions", argument: "connectionWait" })
        }
      })
  )

  it.effect("can come from the configuration", () =>
    Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      const layer = Client.layerConfig({
        dialer: Config.succeed(dialer),
        connectionWait: Config.Duration("WAIT")
      })
      yield* Effect.gen(function*() {
        const client = yield* Client.Beanstalkd
        yield* set("away")
        const putting = yield* start(client.put("jobs", "x"))
        yield* TestClock.adjust(0)
        yield* TestClock.adjust(250)
        isFailure(yield* errorOf(putting), { reason: "OpenError", sent: false })
      }).pipe(Effect.provide(layer))
    }).pipe(
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ WAIT: "250 millis" })),
      silently
    ))
})
