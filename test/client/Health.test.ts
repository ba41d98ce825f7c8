/**
 * How a client says that it is doing, and how it waits for a server that is not there yet.
 */
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, DateTime, Effect, Fiber, Layer, Schedule, Schema, Stream } from "effect"
import { Client, Consumer, Errors, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { moody } from "../pool/Moody.ts"
import { eventually } from "../support/Eventually.ts"
import { onMemory } from "../support/Fixture.ts"
import { freePort } from "../support/FreePort.ts"
import * as RealServer from "../support/RealServer.ts"
import { errorOf, isFailure, start } from "../support/scripted/Peer.ts"
import { keepLog, silently } from "../support/Workplace.ts"

const seconds = (count: number) =>
  Effect.forEach(Array.from({ length: count * 10 }), () => TestClock.adjust("100 millis"), { discard: true })

describe("the health of a client", () => {
  it.effect("counts its connections, the commands on their way and the jobs in hand", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const quiet = { connections: 1, commandsInFlight: 0, jobsInFlight: 0 }
      assert.deepInclude(yield* beanstalkd.health, { server: beanstalkd.server, isReachable: true, ...quiet })
      const stream = yield* start(
        Stream.runDrain(Stream.mapEffect(Consumer.stream("jobs"), () => Effect.never, { concurrency: 3 }))
      )
      yield* server.awaitReservers("jobs")
      // Its reserve waits.
      assert.deepInclude(yield* beanstalkd.health, { connections: 2, commandsInFlight: 1, jobsInFlight: 0 })
      yield* beanstalkd.putAll("jobs", ["a", "b"])
      yield* TestClock.adjust("1 second")
      const { jobsInFlight } = yield* beanstalkd.health
      assert.strictEqual(jobsInFlight, 2)
      yield* Fiber.interrupt(stream)
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* beanstalkd.health, quiet)
    }, Effect.orDie)))

  it.effect("tells when the server was last heard, and is JSON by its Schema", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const before = yield* beanstalkd.health
      assert.isFalse("lastHeard" in before)
      yield* TestClock.adjust("1 hour")
      yield* beanstalkd.put("jobs", "x")
      yield* TestClock.adjust("1 hour")
      const health = yield* beanstalkd.health
      assert.strictEqual(DateTime.toEpochMillis(health.lastHeard!), 3_600_000)
      assert.deepStrictEqual(yield* Schema.encodeEffect(Client.Health)(health), {
        server: beanstalkd.server,
        isReachable: true,
        lastHeard: "1970-01-01T01:00:00.000Z",
        connections: 1,
        commandsInFlight: 0,
        jobsInFlight: 0
      })
    }, Effect.orDie)))

  it.effect("says that the server cannot be reached, why, and when it was last heard", () =>
    Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      const client = yield* Client.make({ dialer })
      yield* seconds(5)
      yield* client.put("jobs", "x")
      yield* seconds(10)
      yield* set("away")
      yield* start(Effect.exit(client.put("jobs", "x")))
      yield* seconds(1)
      const health = yield* client.health
      assert.deepInclude(health, { isReachable: false, connections: 0 })
      assert.strictEqual(health.reason, "the connection is closed: the server closed it")
      assert.strictEqual(DateTime.toEpochMillis(health.lastHeard!), 5_000)
      yield* set("there")
      yield* seconds(10)
      const well = yield* client.health
      assert.deepInclude(well, { isReachable: true, connections: 1 })
      assert.isFalse("reason" in well)
    }).pipe(silently))

  it.effect("is not doubted because one of several connections was cut in the midst of a command", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const inner = server.clientOptions.dialer!
      let cutLast = () => {}
      const dialer: typeof inner = {
        server: "moody",
        open: (handlers) => {
          cutLast = () => handlers.onClose(new Errors.ConnectionClosed({ detail: "cut" }))
          return inner.open(handlers)
        }
      }
      const client = yield* Client.make({ dialer })
      const waiting = yield* start(Effect.exit(Effect.scoped(client.reserve("nothing"))))
      yield* server.awaitReservers("nothing")
      cutLast()
      yield* Fiber.join(waiting)
      yield* seconds(2)
      assert.isTrue((yield* client.health).isReachable)
    }).pipe(silently))
})

describe("the health of a client whose server was silent for a while", () => {
  it.effect("is well again although nobody uses the connection that has survived", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const inner = server.clientOptions.dialer!
      let isFrozen = false
      const dialer: typeof inner = {
        server: "moody",
        open: (handlers) =>
          Effect.map(inner.open(handlers), (transport) => ({
            ...transport,
            write: (bytes) => isFrozen || transport.write(bytes)
          }))
      }
      const client = yield* Client.make({ dialer })
      yield* client.put("jobs", "x")
      isFrozen = true
      const connection = yield* start(Effect.exit(Effect.scoped(client.reserve("jobs", { timeout: 0 }))))
      yield* seconds(9)
      isFrozen = false
      yield* seconds(2)
      assert.isDefined(connection.pollUnsafe())
      yield* seconds(8)
      assert.isTrue((yield* client.health).isReachable)
      assert.strictEqual((yield* client.poolStats).lost, 1)
    }).pipe(silently))
})

describe("a client that waits for its server", () => {
  it.effect("is there when the server is, and logs what it waits for", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      yield* set("away")
      const making = yield* start(Client.make({ dialer, waitForServer: true }))
      yield* seconds(130)
      assert.isUndefined(making.pollUnsafe())
      yield* set("there")
      yield* seconds(10)
      const client = yield* Fiber.join(making)
      yield* client.put("jobs", "x")
      assert.deepInclude(yield* client.health, { isReachable: true })
      const lines = log.map(({ level, message }) => `${level}: ${message.replace(/\d+ s\b/, "n s")}`)
      assert.strictEqual(lines.length, 4)
      assert.deepStrictEqual([lines[0], lines[3]], [
        "Warn: waiting for moody: cannot connect: ECONNREFUSED",
        "Info: moody can be reached after 2 min n s"
      ])
      assert.match(lines[1]!, /^Warn: no contact with moody for 1 min/)
    }).pipe(Effect.scoped, logged)
  })

  it.effect("fails with the last error when the time is over, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const { dialer, dials, set } = yield* moody()
      yield* set("away")
      const making = yield* start(Effect.scoped(Client.make({ dialer, waitForServer: "7 seconds" })))
      yield* TestClock.adjust(6_999)
      assert.isUndefined(making.pollUnsafe())
      yield* TestClock.adjust(1)
      isFailure(yield* errorOf(making), { reason: "OpenError", sent: false, command: "connect" })
      const { count } = dials
      assert.isAtLeast(count, 3)
      yield* seconds(60)
      assert.strictEqual(dials.count, count)
    }).pipe(silently))

  it.effect("fails with OpenTimeout if not one dial has ended by then", () =>
    Effect.gen(function*() {
      const dialer = { server: "far", open: () => Effect.never }
      const making = yield* start(Effect.scoped(Client.make({ dialer, waitForServer: "3 seconds" })))
      yield* TestClock.adjust("3 seconds")
      isFailure(yield* errorOf(making), { reason: "OpenTimeout", sent: false })
    }).pipe(silently))

  it.effect.each([undefined, false, 0])(
    "is none with %o: it dials once, and fails",
    (waitForServer) =>
      Effect.gen(function*() {
        const { dialer, dials, set } = yield* moody()
        yield* set("away")
        const making = yield* start(Effect.scoped(Client.make({ dialer, waitForServer })))
        yield* TestClock.adjust(0)
        isFailure(yield* errorOf(making), { reason: "OpenError", sent: false })
        assert.strictEqual(dials.count, 1)
      }).pipe(silently)
  )

  it.effect("ends when its Schedule does", () =>
    Effect.gen(function*() {
      const { dialer, dials, set } = yield* moody()
      yield* set("away")
      const reconnect = Schedule.recurs(2)
      const making = yield* start(Effect.scoped(Client.make({ dialer, reconnect, waitForServer: true })))
      yield* seconds(1)
      isFailure(yield* errorOf(making), { reason: "OpenError", sent: false })
      assert.strictEqual(dials.count, 3)
    }).pipe(silently))

  it.effect.each(["soon", -1, Number.NaN, {}, null])(
    "is refused with %o, before anything is dialed",
    (waitForServer) =>
      Effect.gen(function*() {
        const { dialer, dials } = yield* moody()
        const options = { dialer, minConnections: 1, waitForServer: waitForServer as never }
        const error = yield* Effect.flip(Effect.scoped(Client.make(options)))
        assert.deepInclude<object>(error.reason, { _tag: "InvalidOptions", argument: "waitForServer" })
        assert.strictEqual(dials.count, 0)
      })
  )

  it.live("waits with all its layers, and with the configuration", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const options = { waitForServer: Config.Boolean("WAIT"), port: Config.succeed(port) }
      const layers = [
        Client.layer({ port, waitForServer: true }),
        Client.layerUrl(`beanstalk://127.0.0.1:${port}`, { waitForServer: "10 seconds" }),
        Client.layerConfig(options)
      ]
      const building = yield* Effect.forEach(layers, (layer) => start(Layer.build(layer)))
      yield* Effect.sleep("100 millis")
      for (const fiber of building) assert.isUndefined(fiber.pollUnsafe())
      yield* Server.make({ port })
      for (const fiber of building) yield* Fiber.join(fiber)
    }).pipe(
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ WAIT: "true" })),
      silently
    ))
})

RealServer.describeReal("the health of a client of a real server", () => {
  it.live("follows the server when it is killed and when it is back", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const client = yield* Client.make({ port: server.port })
      yield* client.put("jobs", "x")
      assert.deepInclude(yield* client.health, { isReachable: true })
      const isReachable = (expected: boolean) =>
        eventually(Effect.map(client.health, (health) => assert.strictEqual(health.isReachable, expected)))
      yield* server.kill
      yield* isReachable(false)
      yield* server.restart
      yield* isReachable(true)
    }).pipe(silently))
})
