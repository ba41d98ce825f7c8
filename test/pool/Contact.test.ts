/**
 * The log of the contact with a server: one warning when it is lost, one line when it is back, never silence and never a
 * flood.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, References, Schedule, Scope, Stream } from "effect"
import { Client, Consumer, Pool, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import type { Dialer } from "../../src/internal/connection/transport.ts"
import { describeMillis } from "../../src/internal/protocol/describe.ts"
import { eventually } from "../support/Eventually.ts"
import * as FaultProxy from "../support/FaultProxy.ts"
import * as RealServer from "../support/RealServer.ts"
import { start } from "../support/scripted/Peer.ts"
import { moody } from "./Moody.ts"
import { keepLog, type Logged, Texts, TUBE } from "../support/Workplace.ts"

const lines = (log: ReadonlyArray<Logged>) =>
  log.filter(({ level }) => level !== "Debug").map(({ level, message }) => `${level}: ${message}`)

const LOST = "Warn: lost contact with moody: the connection is closed: the server closed it"

/** Seconds, one at a time, so that fibers do between them what they do in a second. */
const pass = (seconds: number) =>
  Effect.forEach(Array.from({ length: seconds * 10 }), () => TestClock.adjust("100 millis"), { discard: true })

/** A way to a server that hears nothing while it is deaf. */
const deafTo = ({ open, server }: Dialer) => {
  const deaf = { isDeaf: false }
  const dialer: Dialer = {
    server,
    open: (handlers) =>
      Effect.map(open(handlers), (transport) => ({
        ...transport,
        write: (bytes) => deaf.isDeaf || transport.write(bytes)
      }))
  }
  return { deaf, dialer }
}

describe("a client whose server is away for 15 seconds", () => {
  it.effect("logs a warning with the reason, and one line when it is back, over a worker, a stream and producers", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      const client = yield* Client.make({ dialer, commandTimeout: "3 seconds" })
      yield* start(Effect.provideService(Worker.run(Texts, () => Effect.void), Client.Beanstalkd, client))
      yield* start(Stream.runDrain(Consumer.fromClient(client, "other")))
      for (let n = 0; n < 3; n++) {
        yield* start(
          Effect.forever(Effect.andThen(Effect.exit(client.put("produced", "x")), Effect.sleep("90 millis")))
        )
      }
      yield* pass(2)
      assert.deepStrictEqual(lines(log), [])
      yield* set("away")
      yield* pass(15)
      yield* set("there")
      yield* pass(10)
      assert.strictEqual(lines(log).length, 2)
      assert.strictEqual(lines(log)[0], LOST)
      assert.match(lines(log)[1]!, /^Info: contact with moody is back after 1[5-9](\.\d)? s$/)
      for (const { annotations } of log) assert.deepInclude(annotations, { server: "moody" })
    }).pipe(Effect.scoped, logged)
  })

  it.effect("logs nothing more when it is closed itself, with jobs and waiting reserves in hand", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const { dialer, server } = yield* moody()
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(Client.make({ dialer, minConnections: 3 }), scope)
      yield* start(Stream.runForEach(Consumer.fromClient(client, TUBE), () => Effect.never))
      const waiting = yield* start(Effect.scoped(client.reserve("nothing")))
      yield* server.awaitReservers("nothing")
      yield* client.put(TUBE, "in hand")
      yield* pass(1)
      waiting.interruptUnsafe()
      yield* pass(1)
      yield* Scope.close(scope, Effect.runSyncExit(Effect.void))
      yield* pass(1)
      assert.deepStrictEqual(lines(log), [])
    }).pipe(Effect.scoped, logged)
  })
})

describe("a client whose server does not come back", () => {
  it.effect("logs a warning per minute that says for how long, whatever is tried meanwhile", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      const client = yield* Client.make({ dialer })
      yield* start(Effect.forever(Effect.andThen(Effect.exit(client.put("a", "x")), Effect.sleep("10 millis"))))
      yield* start(
        Effect.forever(Effect.andThen(Effect.exit(Effect.scoped(client.reserve("a"))), Effect.sleep("1 seconds")))
      )
      yield* pass(1)
      yield* set("away")
      yield* pass(200)
      assert.strictEqual(lines(log).length, 4, lines(log).join("\n"))
      assert.strictEqual(lines(log)[0], LOST)
      for (const [n, line] of lines(log).slice(1).entries()) {
        const about = new RegExp(
          `^Warn: no contact with moody for ${n + 1} min( \\d+ s)?: cannot connect: ECONNREFUSED$`
        )
        assert.match(line, about)
      }
    }).pipe(Effect.scoped, logged)
  })

  it.effect("logs no more than that of a proxy that accepts connections and closes them at once", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      const client = yield* Client.make({ dialer, reconnect: Schedule.forever })
      yield* pass(1)
      yield* set("closes")
      yield* pass(130)
      const seen = lines(log)
      assert.strictEqual(seen.length, 3, seen.join("\n"))
      assert.strictEqual(seen[0], LOST)
      yield* set("there")
      yield* pass(5)
      yield* client.put("a", "x")
      assert.match(lines(log).at(-1)!, /^Info: contact with moody is back after 2 min \d+ s$/)
      assert.strictEqual(lines(log).length, 4)
    }).pipe(Effect.scoped, logged)
  })

  it.effect("is told of a server that never was there by its first borrower, once", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      yield* set("away")
      const pool = yield* Pool.make({ dialer })
      const borrowing = yield* start(pool.use(({ listTubes }) => listTubes))
      yield* pass(5)
      yield* set("there")
      yield* pass(5)
      assert.isDefined(borrowing.pollUnsafe())
      assert.deepStrictEqual(lines(log).map((line) => line.replace(/[\d.]+ s$/, "n s")), [
        "Warn: waiting for moody: cannot connect: ECONNREFUSED",
        "Info: moody can be reached after n s"
      ])
    }).pipe(Effect.scoped, logged)
  })

  it.effect("does not log what the failure of Client.make says", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const { dialer, set } = yield* moody()
      yield* set("away")
      assert.strictEqual((yield* Effect.flip(Client.make({ dialer }))).reason._tag, "OpenError")
      yield* pass(1)
      assert.deepStrictEqual(lines(log), [])
    }).pipe(Effect.scoped, logged)
  })
})

describe("a connection that is cut", () => {
  it.effect("is no loss of contact while it is idle and the next dial succeeds, however often", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const { cut, dialer } = yield* moody()
      const client = yield* Client.make({ dialer })
      yield* client.put("a", "x")
      for (let n = 0; n < 20; n++) {
        yield* cut
        yield* pass(10)
        if (n % 2 === 0) yield* client.put("a", "x")
      }
      assert.deepStrictEqual(lines(log), [])
      assert.isAtLeast(log.filter(({ level }) => level === "Debug").length, 20)
      assert.strictEqual((yield* client.poolStats).lost, 20)
    }).pipe(Effect.scoped, logged, Effect.provideService(References.MinimumLogLevel, "Debug"))
  })

  it.effect("in the midst of a command, again and again, is told three times per minute, with the number of the others", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const { cut, dialer, server } = yield* moody()
      const client = yield* Client.make({ dialer })
      yield* start(Stream.runForEach(Consumer.fromClient(client, "a"), (job) => Effect.ignore(job.delete)))
      for (let n = 0; n < 20; n++) {
        yield* client.put("a", "x")
        yield* server.awaitReservers("a")
        yield* cut
        yield* pass(2)
      }
      assert.isAtMost(lines(log).length, 6)
      assert.strictEqual(lines(log).filter((line) => line === LOST).length, 3)
      yield* pass(30)
      yield* cut
      yield* pass(1)
      assert.include(lines(log), `${LOST} (18 times since the last line)`)
    }).pipe(Effect.scoped, logged)
  })

  it.effect("because the server was silent is not taken for contact again before somebody answers", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const { deaf, dialer } = deafTo((yield* moody()).dialer)
      const client = yield* Client.make({ dialer })
      deaf.isDeaf = true
      yield* start(Effect.exit(client.put("a", "x")))
      yield* pass(40)
      assert.deepStrictEqual(lines(log), ["Warn: lost contact with moody: no answer within 10000 ms"])
      deaf.isDeaf = false
      yield* pass(60)
      assert.match(lines(log).at(-1)!, /^Info: contact with moody is back after \d+ s$/)
      assert.strictEqual(lines(log).length, 2)
    }).pipe(Effect.scoped, logged)
  })
})

describe("an idle connection that has survived a silence of the server", () => {
  it.effect("is asked whether it works, soon and again and again, since nobody else uses it", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const { deaf, dialer } = deafTo((yield* moody()).dialer)
      const client = yield* Client.make({ dialer })
      deaf.isDeaf = true
      yield* start(Effect.exit(Effect.scoped(client.reserve("a", { timeout: 0 }))))
      yield* pass(10.5)
      assert.deepStrictEqual(lines(log), ["Warn: lost contact with moody: no answer within 10000 ms"])
      deaf.isDeaf = false
      yield* pass(3)
      assert.deepStrictEqual(lines(log).slice(1), ["Info: contact with moody is back after 3 s"])
    }).pipe(Effect.scoped, logged)
  })
})

describe("a logger that dies", () => {
  it.effect("harms nothing", () =>
    Effect.gen(function*() {
      let called = 0
      const broken = Logger.make(() => {
        called++
        throw new Error("a logger that is broken")
      })
      const { dialer, set } = yield* moody()
      const client = yield* Effect.provideService(Client.make({ dialer }), Logger.CurrentLoggers, new Set([broken]))
      yield* client.put("a", "x")
      yield* set("away")
      yield* pass(3)
      yield* set("there")
      yield* pass(10)
      yield* client.put("a", "x")
      assert.isAtLeast(called, 2)
    }).pipe(Effect.scoped))
})

describe("a server that refuses every reserve", () => {
  it.effect("is told at once and then once per minute, with the cause", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      let dials = 0
      const dialer: Dialer = {
        server: "moody",
        open: (handlers) =>
          Effect.sync(() => {
            dials++
            const answers: Record<string, string> = {
              reserve: "OUT_OF_MEMORY",
              watch: "WATCHING 2",
              ignore: "WATCHING 1"
            }
            const write = (bytes: Uint8Array) => {
              for (const line of Buffer.from(bytes).toString("latin1").split("\r\n")) {
                const answer = answers[/^[a-z]+/.exec(line)?.[0] ?? ""]
                if (answer !== undefined) queueMicrotask(() => handlers.onData(Buffer.from(`${answer}\r\n`)))
              }
              return true
            }
            return { write, destroy: () => {} }
          })
      }
      const client = yield* Client.make({ dialer })
      yield* start(Stream.runDrain(Consumer.fromClient(client, ["a", "b"])))
      yield* start(Stream.runDrain(Consumer.fromClient(client, "c")))
      yield* pass(130)
      assert.isAbove(dials, 10)
      assert.isBelow(dials, 2 * (130 / 2.5 + 12))
      const seen = lines(log)
      assert.strictEqual(seen.length, 3, seen.join("\n"))
      for (const line of seen) {
        assert.match(line, /^Warn: moody refuses reserve: OUT_OF_MEMORY: .* command( \(\d+ times.*\))?$/)
      }
    }).pipe(Effect.scoped, logged)
  })
})

RealServer.describeReal("a client of a real server that is killed and comes back", () => {
  it.live("logs a warning and one line when it is back", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const server = yield* RealServer.make()
      const client = yield* Client.make({ port: server.port, maxConnections: 4 })
      yield* start(Effect.provideService(Worker.run(Texts, () => Effect.void), Client.Beanstalkd, client))
      yield* start(Stream.runDrain(Consumer.fromClient(client, "other")))
      yield* start(Effect.forever(Effect.andThen(Effect.exit(client.put("a", "x")), Effect.sleep("5 millis"))))
      yield* eventually(Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-waiting"], "2")))
      yield* server.kill
      yield* Effect.sleep("1500 millis")
      yield* server.restart
      yield* eventually(Effect.sync(() => assert.strictEqual(lines(log).length, 2)))
      assert.match(lines(log)[0]!, new RegExp(`^Warn: lost contact with 127.0.0.1:${server.port}: `))
      assert.match(
        lines(log)[1]!,
        new RegExp(`^Info: contact with 127.0.0.1:${server.port} is back after \\d\\.?\\d* s$`)
      )
      yield* eventually(Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-waiting"], "2")), {
        within: "10 seconds"
      })
      assert.strictEqual(lines(log).length, 2)
    }).pipe(Effect.scoped, logged)
  })

  it.live("behind a proxy without a server, logs a warning and one line when the server is back", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const server = yield* RealServer.make()
      const proxy = yield* FaultProxy.make(server)
      yield* Client.make({ port: proxy.port })
      yield* server.kill
      yield* eventually(Effect.sync(() => assert.strictEqual(lines(log).length, 1)))
      yield* Effect.sleep("1 second")
      yield* server.restart
      yield* eventually(Effect.sync(() => assert.strictEqual(lines(log).length, 2)), { within: "10 seconds" })
      assert.match(lines(log)[1]!, /^Info: contact with .* is back after \d\.?\d* s$/)
    }).pipe(Effect.scoped, logged)
  })
})

describe("a time span", () => {
  it("is told in words that people read", () => {
    const spans = [0, 350, 1000, 1500, 9_949, 9_950, 15_000, 59_400, 60_000, 125_000, 3_600_000, 12_000_000]
    assert.deepStrictEqual(spans.map(describeMillis), [
      "0 ms",
      "350 ms",
      "1 s",
      "1.5 s",
      "9.9 s",
      "10 s",
      "15 s",
      "59 s",
      "1 min",
      "2 min 5 s",
      "1 h",
      "3 h 20 min"
    ])
  })
})
