/**
 * The end of a program with workers: in order when one of them cannot go on, and when whoever stops it does not want to wait.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { eventually } from "../support/Eventually.ts"
import { onMemory, onServer } from "../support/Fixture.ts"
import * as RealServer from "../support/RealServer.ts"
import * as Runtime from "../support/Runtime.ts"
import { tempDir } from "../support/TempDir.ts"
import { areIn, keepLog, TUBE, work } from "../support/Workplace.ts"
import { service } from "./Processes.ts"

const program = fileURLToPath(new URL("programs/TwoServers.ts", import.meta.url))

const start = (...args: ReadonlyArray<string | number>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [program, ...args.map(String)], { stdio: ["ignore", "pipe", "pipe"] })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child) => {
      let output = ""
      let errors = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => output += text)
      child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text)
      const exit = Effect.callback<number | null>((resume) => {
        child.once("close", (code) => resume(Effect.succeed(code)))
      })
      return { output: () => output, errors: () => errors, exit }
    }
  )

RealServer.describeReal("a program with two workers on two servers, of which one is gone for good", () => {
  it.live.each(["merged", "provided"])(
    "ends in order with exit code 1 when its layers are %s: the other handler finishes, and finalizers run",
    (how) =>
      Effect.gen(function*() {
        const a = yield* RealServer.make()
        const { beanstalkd, server } = yield* onServer(RealServer)()
        const { errors, exit, output } = yield* start(a.port, server.port, how)
        const ended = yield* Effect.forkScoped(exit)
        yield* beanstalkd.put("b", "hello")
        yield* eventually(Effect.sync(() => assert.include(output(), "b begins")), { within: "20 seconds" })
        yield* a.kill
        assert.strictEqual(yield* Fiber.join(ended), 1, errors())
        const lines = output().split("\n").filter((line) => /^(b |the )/.test(line))
        // Layers that were built side by side are closed side by side.
        const sorted = how === "merged" ? lines.toSorted() : lines
        assert.deepStrictEqual(sorted, ["b begins", "b is done", "the database is closed"])
        yield* areIn(beanstalkd, {}, "b")
      }),
    40_000
  )
}, { concurrent: true })

RealServer.describeReal("a worker service that gets a second signal", () => {
  it.live("interrupts its handlers at once, and releases their jobs", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* onServer(RealServer)()
      yield* beanstalkd.put(TUBE, "never")
      const { child, exited, told } = yield* service(server.port, yield* tempDir, { shutdownTimeout: "1 hour" })
      yield* eventually(Effect.sync(() => assert.strictEqual(told("began").length, 1)), { within: "20 seconds" })
      Runtime.signal(child, "SIGTERM")
      const isStopping = Effect.map(beanstalkd.statsTube(TUBE), (stats) => assert.strictEqual(stats.currentWatching, 1))
      yield* eventually(isStopping, { within: "10 seconds" })
      assert.isNull(child.exitCode)
      yield* eventually(
        Effect.sync(() => {
          Runtime.signal(child, "SIGTERM")
          assert.strictEqual(told("interrupted").length, 1)
        }),
        { within: "10 seconds" }
      )
      yield* exited
      assert.strictEqual(child.exitCode, 130)
      yield* areIn(beanstalkd, { ready: 1 })
    }), 40_000)

  it.live(
    "of the same moment, as npm passes on that of the terminal, lets its handlers end",
    () =>
      Effect.gen(function*() {
        const { beanstalkd, server } = yield* onServer(RealServer)()
        yield* beanstalkd.put(TUBE, "until SIGTERM")
        const { child, exited, told } = yield* service(server.port, yield* tempDir, { shutdownTimeout: "1 hour" })
        yield* eventually(Effect.sync(() => assert.strictEqual(told("began").length, 1)), { within: "20 seconds" })
        Runtime.signal(child, "SIGTERM")
        yield* Effect.sleep("10 millis")
        Runtime.signal(child, "SIGTERM")
        yield* exited
        assert.strictEqual(told("interrupted").length, 0)
        yield* areIn(beanstalkd, {})
      }),
    40_000
  )
})

describe("a shutdown", () => {
  it.effect("waits no longer than forceAfter for a handler that cannot be interrupted, says so, and gives its job back", () => {
    const { log, logged } = keepLog()
    return onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      const { id } = yield* beanstalkd.put(TUBE, "hello")
      const worker = yield* work(() => Effect.uninterruptible(Effect.sleep("1 hour")), {
        shutdownTimeout: "5 seconds",
        forceAfter: "3 seconds"
      })
      yield* Effect.forkScoped(Fiber.interrupt(worker), { startImmediately: true })
      yield* TestClock.adjust("7999 millis")
      assert.isUndefined(worker.pollUnsafe())
      yield* areIn(beanstalkd, { reserved: 1 })
      yield* TestClock.adjust("1 millis")
      assert.isDefined(worker.pollUnsafe())
      assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", releases: 1 })
      assert.strictEqual(yield* server.connectionCount, 1)
      const errors = log.filter(({ level }) => level === "Error")
      assert.strictEqual(errors.length, 1)
      assert.include(errors[0]!.message, "1 handlers cannot be interrupted within 3 s (jobs 1)")
      yield* TestClock.adjust("1 hour")
    })).pipe(logged)
  })
})
