/**
 * Workers whose handlers block the event loop for longer than the ttr, so that no lease can be kept.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Client, Server } from "effect-beanstalkd"
import { commands, JobId } from "effect-beanstalkd/Protocol"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { eventually } from "../support/Eventually.ts"
import { FinishedJobs } from "../../src/internal/worker/finishedJobs.ts"
import { onServer } from "../support/Fixture.ts"
import * as OddDialer from "../support/OddDialer.ts"
import * as RealServer from "../support/RealServer.ts"
import { areIn, silently, TUBE, work } from "../support/Workplace.ts"

const program = fileURLToPath(new URL("programs/Blocks.ts", import.meta.url))

const started = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [program, String(port)], { stdio: ["ignore", "pipe", "pipe"] })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child) => {
      let output = ""
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => output += text)
      }
      return { output: () => output }
    }
  )

RealServer.describeReal("two worker processes that block for 3.5 seconds, on a job whose ttr is 2", () => {
  it.live(
    "run it twice at most, and it ends deleted; the log names the blocked event loop",
    () =>
      Effect.gen(function*() {
        const { beanstalkd, server } = yield* onServer(RealServer)()
        const workers = [yield* started(server.port), yield* started(server.port)]
        yield* eventually(
          Effect.map(beanstalkd.statsTube(TUBE), (stats) => assert.strictEqual(stats.currentWaiting, 2)),
          { within: "20 seconds" }
        )
        yield* beanstalkd.put(TUBE, "hello", { ttr: "2 seconds" })
        yield* eventually(
          Effect.map(beanstalkd.stats, (stats) => assert.isAbove(stats.cmdDelete, 0)),
          { within: "10 seconds" }
        )
        yield* eventually(areIn(beanstalkd, {}), { within: "20 seconds" })
        const output = workers.map((worker) => worker.output()).join("")
        assert.isAtLeast(output.split("began").length - 1, 1)
        assert.isAtMost(output.split("began").length - 1, 2)
        yield* eventually(Effect.sync(() => {
          const all = workers.map((worker) => worker.output()).join("")
          assert.match(all, /its time ran out, since the event loop of this process was blocked for 3(\.\d)? s/)
        }))
      }),
    60_000
  )
})

describe("a handler that succeeds although its lease has run out unnoticed", () => {
  const unnoticed = Effect.fnUntraced(function*() {
    const server = yield* Server.makeMemory()
    const honest = yield* Client.make(server.clientOptions)
    const oddities: OddDialer.Oddities = { refused: new Set(["touch"]), answer: "INTERNAL_ERROR" }
    const client = yield* Client.make({ dialer: OddDialer.refusing(server.clientOptions.dialer!, oddities) })
    let runs = 0
    const begin = work(() => Effect.andThen(Effect.sync(() => runs++), Effect.sleep("3 seconds"))).pipe(
      Effect.provideService(Client.Beanstalkd, client)
    )
    return { honest, begin, runs: () => runs }
  })

  it.effect("has its job deleted if nobody else has it", () =>
    Effect.gen(function*() {
      const { begin, honest, runs } = yield* unnoticed()
      yield* honest.put(TUBE, "hello", { ttr: "1 second" })
      yield* begin
      yield* TestClock.adjust("2 seconds")
      yield* areIn(honest, { ready: 1 })
      yield* TestClock.adjust("1 second")
      yield* areIn(honest, {})
      assert.strictEqual(runs(), 1)
    }).pipe(Effect.scoped, silently))

  it.effect("has its job deleted without a second run when the worker reserves it again", () =>
    Effect.gen(function*() {
      const { begin, honest, runs } = yield* unnoticed()
      yield* honest.put(TUBE, "hello", { ttr: "1 second" })
      yield* begin
      yield* TestClock.adjust("2 seconds")
      yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* honest.connection
        yield* connection.watch(TUBE)
        yield* connection.run(commands.reserveWithTimeout, 0)
        yield* TestClock.adjust("500 millis")
        yield* connection.run(commands.touch, JobId.make(1))
        yield* TestClock.adjust("900 millis")
        yield* areIn(honest, { reserved: 1 })
      }))
      yield* TestClock.adjust("1 second")
      yield* areIn(honest, {})
      assert.strictEqual(runs(), 1)
    }).pipe(Effect.scoped, silently))
})

describe("a job that is finished", () => {
  const job = (body: string, reserves: number) =>
    ({ ref: { toString: () => "server/7" }, body: Buffer.from(body), known: { reserves } }) as never

  it("is the same one when it comes again, and none that has its id after a restart", () => {
    const finished = new FinishedJobs<never>()
    finished.add(job("a", 1), 10_000, { _tag: "Delete" })
    const verdict = (body: string, age: number, reserves: number) =>
      finished.verdictOn(job(body, reserves), { age, reserves }, 15_000)?._tag
    assert.isTrue(finished.has(job("a", 2)))
    assert.strictEqual(verdict("a", 5, 2), "Delete")
    assert.strictEqual(verdict("a", 4, 2), undefined, "it is younger than the one that was finished")
    assert.strictEqual(verdict("a", 5, 1), undefined, "it was not reserved before")
    assert.strictEqual(verdict("b", 5, 2), undefined, "its body is another one")
    finished.remove(job("a", 2))
    assert.isFalse(finished.has(job("a", 2)))
    assert.strictEqual(verdict("a", 5, 2), undefined)
  })

  it("is forgotten when 10,000 others have come after it", () => {
    const finished = new FinishedJobs<never>()
    const nth = (n: number) =>
      ({ ref: { toString: () => `server/${n}` }, body: Buffer.from("a"), known: undefined }) as never
    for (let n = 0; n <= 10_000; n++) finished.add(nth(n), 0, { _tag: "Delete" })
    assert.isFalse(finished.has(nth(0)))
    assert.isTrue(finished.has(nth(1)))
    finished.add(nth(1), 0, { _tag: "Delete" })
    finished.add(nth(0), 0, { _tag: "Delete" })
    assert.isTrue(finished.has(nth(1)), "it has come again since")
    assert.isFalse(finished.has(nth(2)))
  })
})
