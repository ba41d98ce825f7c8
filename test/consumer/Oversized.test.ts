/**
 * A job that is larger than `maxReplySize` must not stop its tube.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger, type Scope, Stream } from "effect"
import { Client, Consumer, Errors, Tube, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { onMemory } from "../support/Fixture.ts"
import * as Program from "../support/Program.ts"
import * as RealServer from "../support/RealServer.ts"
import { start } from "../support/scripted/Peer.ts"

const LARGE = 70 * 1024 * 1024
const MIB = 1024 * 1024
const small = Array.from({ length: 10 }, (_, n) => `small ${n}`)

RealServer.describeReal("a job of 70 MiB before ten small ones", () => {
  it.live.each(["worker", "stream"])(
    "is buried by a %s, which takes no memory for it and goes on",
    (kind) =>
      Effect.gen(function*() {
        const server = yield* RealServer.make({ args: ["-z", "80000000"] })
        const beanstalkd = yield* Client.make({ port: server.port })
        const large = yield* beanstalkd.put("work", new Uint8Array(LARGE), { priority: 1 })
        yield* beanstalkd.putAll("work", small)
        const program = new URL("programs/Oversized.ts", import.meta.url)
        const { code, report, stderr } = yield* Program.run(program, server.port, kind, small.length)
        assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
        const { bodies, growth, log, millis } = report as {
          readonly bodies: ReadonlyArray<string>
          readonly growth: number
          readonly millis: number
          readonly log: ReadonlyArray<string>
        }
        assert.sameMembers([...bodies], small)
        assert.isBelow(growth, 16 * MIB)
        assert.isBelow(millis, 5000)
        assert.deepStrictEqual(log, [
          `Error: job 1 has ${LARGE} bytes, and maxReplySize allows ${64 * MIB}: it was buried`
        ])
        const { buries, pri, state } = yield* beanstalkd.statsJob(large)
        assert.deepStrictEqual({ buries, pri, state }, { buries: 1, pri: 1, state: "buried" })
      }),
    60_000
  )
})

describe("a job larger than maxReplySize", () => {
  const lowLimit = { client: { maxReplySize: 10_000 } }
  const tooLarge = "x".repeat(10_001)

  it.effect("fails reserve with its id and size, and is ready again at once, with its own priority", () =>
    onMemory(
      Effect.fnUntraced(function*(beanstalkd, server) {
        const { id } = yield* beanstalkd.put("work", tooLarge, { priority: 7 })
        const before = yield* beanstalkd.poolStats
        const reserves: ReadonlyArray<Effect.Effect<unknown, unknown, Client.Beanstalkd | Scope.Scope>> = [
          beanstalkd.reserve("work", { timeout: 0 }),
          beanstalkd.reserveJob(id),
          Consumer.take("work")
        ]
        for (const reserve of reserves) {
          const error = yield* Effect.flip(Effect.scoped(reserve))
          assert.instanceOf(error, Errors.ReplyTooLarge)
          assert.deepInclude(error, { id, size: 10_001, limit: 10_000 })
          const { pri, state } = yield* beanstalkd.statsJob(id)
          assert.deepStrictEqual({ pri, state }, { pri: 7, state: "ready" })
        }
        assert.strictEqual((yield* beanstalkd.poolStats).lost, before.lost)
        assert.isAtMost(yield* server.connectionCount, 2)
        yield* beanstalkd.delete(id)
      }, Effect.orDie),
      lowLimit
    ))

  it.effect("fails a peek with its id and size, and the connection goes on", () =>
    onMemory(
      Effect.fnUntraced(function*(beanstalkd) {
        const { id } = yield* beanstalkd.put("work", tooLarge)
        for (const peek of [beanstalkd.peek(id), beanstalkd.peekReady("work")]) {
          assert.deepInclude(yield* Effect.flip(peek), { _tag: "ReplyTooLarge", id, size: 10_001 })
        }
        const { lost, opened } = yield* beanstalkd.poolStats
        assert.deepStrictEqual({ lost, opened }, { lost: 0, opened: 1 })
      }, Effect.orDie),
      lowLimit
    ))

  it.effect("is buried with its own priority, and never reaches a worker or its hooks", () =>
    onMemory(
      Effect.fnUntraced(function*(beanstalkd) {
        const { id } = yield* beanstalkd.put("work", tooLarge, { priority: 7 })
        const told: Array<unknown> = []
        const hook = (...args: ReadonlyArray<unknown>) => Effect.sync(() => told.push(args))
        yield* beanstalkd.put("work", "small")
        yield* start(
          Worker.run(Tube.make("work", { codec: "text" }), (text) => Effect.sync(() => told.push(text)), {
            onFailure: hook,
            onGiveUp: hook,
            onLost: hook
          })
        )
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(told, ["small"])
        const { pri, state } = yield* beanstalkd.statsJob(id)
        assert.deepStrictEqual({ pri, state }, { pri: 7, state: "buried" })
      }, Effect.orDie),
      lowLimit
    ))

  it.effect("takes no room in a stream any more once it is buried, however many there are", () =>
    onMemory(
      Effect.fnUntraced(function*(beanstalkd) {
        yield* beanstalkd.putAll("work", Array.from({ length: 20 }, () => tooLarge), { priority: 0 })
        yield* beanstalkd.put("work", "small")
        const texts = yield* Consumer.stream("work", { maxInFlight: 2, prefetch: 1 }).pipe(
          Stream.mapEffect((job) => Effect.as(job.delete, job.text)),
          Stream.take(1),
          Stream.runCollect
        )
        assert.deepStrictEqual(texts, ["small"])
        assert.strictEqual((yield* beanstalkd.statsTube("work")).currentJobsBuried, 20)
      }, Effect.orDie),
      lowLimit
    ))

  it.effect("is buried although the logger dies", () =>
    onMemory(
      Effect.fnUntraced(function*(beanstalkd) {
        const { id } = yield* beanstalkd.put("work", tooLarge, { priority: 0 })
        yield* beanstalkd.put("work", "small")
        const broken = Logger.make(() => {
          throw new Error("a logger that is broken")
        })
        const exit = yield* Consumer.stream("work").pipe(
          Stream.mapEffect((job) => Effect.as(job.delete, job.text)),
          Stream.take(1),
          Stream.runCollect,
          Effect.provide(Logger.layer([broken])),
          Effect.exit
        )
        assert.deepStrictEqual(exit, Exit.succeed(["small"]))
        assert.strictEqual((yield* beanstalkd.statsJob(id)).state, "buried")
      }, Effect.orDie),
      lowLimit
    ))
})
