/**
 * Consumers and workers whose server goes away and comes back, or is out of order: they go on, lose no job, and do not keep
 * the CPU busy meanwhile.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Option, Random, Stream } from "effect"
import { Client, Consumer, type Server, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"
import { onMemory } from "../support/Fixture.ts"
import { areIn, outcomes, silently, Texts, TUBE, work } from "../support/Workplace.ts"

RealServer.describeReal("a server on its binlog that is killed and started again, three times", () => {
  it.live("has all its jobs handled by a stream and a worker, which go on", () =>
    Effect.gen(function*() {
      const jobs = 600
      const server = yield* RealServer.make({ binlogDir: yield* tempDir, args: ["-f0"] })
      const client = yield* Client.make({ port: server.port })
      const ids = (yield* client.putAll(TUBE, Array.from({ length: jobs }, (_, n) => `${n}`))).map(({ id }) => id)
      const handled = new Set<number>()
      const lost = { stream: 0, worker: 0, interrupted: 0 }
      const hold = Effect.flatMap(Random.nextIntBetween(5, 50), Effect.sleep)
      const stream = yield* Consumer.stream(TUBE).pipe(
        Stream.mapEffect((job) =>
          // Counted before the delete, whose answer may be lost although the job is gone.
          Effect.andThen(hold, Effect.sync(() => handled.add(job.id))).pipe(
            Effect.andThen(job.delete),
            Effect.catch(() => Effect.sync(() => lost.stream++))
          ), { concurrency: 10 }),
        Stream.runDrain,
        Effect.provideService(Client.Beanstalkd, client),
        Effect.forkScoped
      )
      const worker = yield* Worker.run(Texts, (_, job) =>
        Effect.andThen(
          hold,
          Effect.sync(() => handled.add(job.id))
        ).pipe(
          Effect.onInterrupt(() => Effect.sync(() => lost.interrupted++))
        ), {
        concurrency: 10,
        onLost: () => Effect.sync(() => lost.worker++)
      }).pipe(
        Effect.provideService(Client.Beanstalkd, client),
        silently,
        Effect.forkScoped
      )
      for (let restart = 1; restart <= 3; restart++) {
        yield* eventually(Effect.sync(() => assert.isAtLeast(handled.size, restart * 120)), { within: "10 seconds" })
        yield* server.restart
      }
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(ids.filter((id) => !handled.has(id)), [])), {
        within: "10 seconds"
      })
      yield* eventually(areIn(client, {}))
      assert.isAbove(lost.stream, 0, "jobs in the hands of the stream said so when they were settled")
      assert.isAbove(lost.interrupted, 0)
      assert.isAtLeast(lost.worker, lost.interrupted)
      yield* Fiber.interrupt(stream)
      yield* Fiber.interrupt(worker)
      yield* eventually(
        Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-connections"], "2"))
      )
    }), 40_000)
})

const faults: Record<string, Server.Faults> = {
  "delays replies": { delay: "700 millis" },
  "splits replies": { split: 3 },
  "answers nothing for a while": { mute: true },
  "talks nonsense for a while": { garble: () => Buffer.from("NONSENSE\r\n") }
}

describe("an embedded server that", () => {
  it.effect.each(Object.entries(faults))(
    "%s has all its jobs handled in the end",
    ([, fault]) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
        const ids = (yield* beanstalkd.putAll(
          TUBE,
          Array.from({ length: 200 }, (_, n) => `${n}`),
          { ttr: "5 seconds" }
        )).map(({ id }) => id)
        const handled = new Set<number>()
        yield* work((_, job) => Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => handled.add(job.id))), {
          concurrency: 7
        })
        yield* TestClock.adjust("3 seconds")
        yield* server.injectFaults(fault)
        yield* TestClock.adjust("15 seconds")
        if (fault.delay === undefined) yield* server.injectFaults({})
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual(ids.filter((id) => !handled.has(id)), [])
        yield* server.injectFaults({})
        yield* TestClock.adjust("10 seconds")
        yield* areIn(beanstalkd, {})
      }))
  )

  it.effect("answers nothing for minutes, and does what it is told, has no job blamed for crashes", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* beanstalkd.putAll(TUBE, Array.from({ length: 20 }, (_, n) => `${n}`), { ttr: "5 seconds" })
      yield* work(() => Effect.sleep("1 second"), { concurrency: 2, maxAttempts: 3, maxCrashes: 3 })
      yield* TestClock.adjust("3 seconds")
      yield* server.injectFaults({ mute: true })
      yield* TestClock.adjust("5 minutes")
      yield* server.injectFaults({})
      yield* TestClock.adjust("5 minutes")
      yield* areIn(beanstalkd, {})
    })))

  it.effect("drops all connections every 30 milliseconds has all its jobs handled in the end", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const ids = (yield* beanstalkd.putAll(TUBE, Array.from({ length: 300 }, (_, n) => `${n}`))).map(({ id }) => id)
      const handled = new Set<number>()
      yield* work((_, job) => Effect.andThen(Effect.sleep("5 millis"), Effect.sync(() => handled.add(job.id))), {
        concurrency: 5,
        maxAttempts: Infinity
      })
      const dropping = yield* Effect.forkScoped(Effect.forever(Effect.delay(server.dropConnections, "30 millis")))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.interrupt(dropping)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(ids.filter((id) => !handled.has(id)), [])
      yield* areIn(beanstalkd, {})
      const { lost = 0, reserved = 0, succeeded = 0 } = yield* outcomes(beanstalkd.server)
      assert.strictEqual(reserved, lost + succeeded)
      assert.strictEqual(yield* server.connectionCount, 2)
    })))

  it.effect("is away for an hour is dialled as the Schedule of the client says, at most every 5 seconds", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const began = yield* Clock.currentTimeMillis
      const first = yield* Consumer.stream(TUBE).pipe(
        Stream.mapEffect((job) => Effect.andThen(job.delete, Clock.currentTimeMillis)),
        Stream.runHead,
        Effect.forkScoped
      )
      yield* server.awaitReservers(TUBE)
      yield* server.injectFaults({ refuse: true })
      yield* server.dropConnections
      yield* TestClock.adjust("1 hour")
      yield* server.injectFaults({})
      yield* TestClock.adjust("10 seconds")
      yield* beanstalkd.put(TUBE, "hello")
      const at = Option.getOrThrow(yield* Fiber.join(first))
      assert.strictEqual(at - began, Duration.toMillis("1 hour") + 10_000)
    })))
})

describe("a server that refuses every reserve", () => {
  it.live.each(["INTERNAL_ERROR", "OUT_OF_MEMORY", "BAD_FORMAT"])(
    "with %s is not asked thousands of times",
    (reply) =>
      Effect.gen(function*() {
        const peer = yield* FakeServer.serve((socket) => {
          socket.on("data", (bytes) => {
            for (const line of String(bytes).split("\r\n")) {
              if (line.startsWith("watch")) socket.write("WATCHING 2\r\n")
              else if (line.startsWith("ignore")) socket.write("WATCHING 1\r\n")
              else if (line !== "") socket.write(`${reply}\r\n`)
            }
          })
        })
        const client = yield* Client.make({ port: peer.port })
        yield* Worker.run(Texts, () => Effect.void).pipe(
          Effect.provideService(Client.Beanstalkd, client),
          Effect.ignore,
          Effect.forkScoped
        )
        yield* Effect.sleep("500 millis")
        const asked = Array.from({ length: peer.connections() }, (_, n) => peer.received(n)).join("").split("reserve")
        assert.isAtLeast(asked.length, 2)
        assert.isBelow(asked.length, 20)
      })
  )
})
