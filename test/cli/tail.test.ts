/**
 * `tail`: what it prints it settles, what it does not print it leaves, and it outlives the server.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Client } from "effect-beanstalkd"
import * as Cli from "../support/Cli.ts"
import { eventually } from "../support/Eventually.ts"
import * as FaultProxy from "../support/FaultProxy.ts"
import * as RealServer from "../support/RealServer.ts"
import { areIn } from "../support/Workplace.ts"

const open = Effect.gen(function*() {
  const server = yield* RealServer.make()
  const client = yield* Client.make(server.clientOptions)
  const start = (...args: ReadonlyArray<string>) => Cli.start(["--port", `${server.port}`, "tail", ...args])
  return { beanstalk: Cli.on(server), client, server, start }
})

const soon = { within: "20 seconds" } as const

RealServer.describeReal("tail", () => {
  it.live("goes on when the server is back, and says so", () =>
    Effect.gen(function*() {
      const { beanstalk, client, server, start } = yield* open
      yield* client.put("a", "one")
      const tail = yield* start("delete", "-w", "a")
      yield* tail.shows("1\ta\tone\n")
      yield* eventually(Effect.map(client.stats, (stats) => assert.strictEqual(stats.cmdDelete, 1)), soon)
      yield* server.kill
      yield* tail.shows(/RECONNECTING: CONNECTION_LOST: .*\n/)
      yield* server.restart
      yield* tail.shows(/RECONNECTED: .* is back\n/)
      yield* beanstalk(["put", "-u", "a", "two"])
      yield* tail.shows("\ta\ttwo\n")
      yield* tail.signal("SIGINT")
      const { code, stderr } = yield* tail.ended
      assert.strictEqual(code, 130)
      assert.match(stderr, /^RECONNECTING: .*\nRECONNECTED: .*\ninterrupted: 2 jobs shown, each ended with delete\n$/)
    }).pipe(Effect.scoped))

  it.live("whose server was never there fails at once", () =>
    Effect.gen(function*() {
      const { beanstalk, server } = yield* open
      yield* server.kill
      assert.deepInclude(yield* beanstalk(["tail", "delete"]), { code: 4, stdout: "" })
    }).pipe(Effect.scoped))

  it.live("ends at its timeout although the server is away", () =>
    Effect.gen(function*() {
      const { server, start } = yield* open
      const tail = yield* start("delete", "-w", "a", "-t", "2")
      yield* eventually(Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-waiting"], "1")), soon)
      yield* server.kill
      assert.strictEqual((yield* tail.ended).code, 0)
    }).pipe(Effect.scoped))

  it.live("takes no job from default, and no more jobs than -n says", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* open
      yield* client.put("default", "not this")
      yield* client.putAll("a", Array.from({ length: 100 }, (_, i) => `${i}`))
      yield* client.put("b", "other", { priority: 0 })
      const { code, stdout } = yield* beanstalk(["tail", "release", "-w", "a", "-w", "b", "-n", "40", "-d", "1000"])
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(stdout.split("\n").slice(0, 3), ["102\tb\tother", "2\ta\t0", "3\ta\t1"])
      yield* areIn(client, { ready: 61, delayed: 39 }, "a")
      yield* areIn(client, { delayed: 1 }, "b")
      yield* areIn(client, { ready: 1 }, "default")
      assert.deepInclude(yield* client.statsJob(102 as never), { pri: 0 })
      const untouched = yield* client.peekReady("a")
      assert.deepInclude(yield* client.statsJob(untouched.id), { reserves: 0 })
    }).pipe(Effect.scoped))

  it.live("that is interrupted has ended exactly the jobs that it says", () =>
    Effect.gen(function*() {
      const { client, server } = yield* open
      const proxy = yield* FaultProxy.make(server, { up: { delay: 10 }, down: { delay: 10 } })
      yield* client.putAll("a", Array.from({ length: 2000 }, (_, i) => `${i}`))
      const tail = yield* Cli.start(["--port", `${proxy.port}`, "tail", "delete", "-w", "a"])
      yield* tail.shows("\ta\t100\n")
      yield* tail.signal("SIGINT")
      const { code, stderr, stdout } = yield* tail.ended
      const shown = Number(/^interrupted: (\d+) jobs shown/.exec(stderr)![1])
      assert.strictEqual(code, 130)
      assert.isBelow(shown, 2000)
      yield* eventually(areIn(client, { ready: 2000 - shown }, "a"))
      // What was printed last may not be deleted yet, and comes again.
      assert.isAtLeast(stdout.trim().split("\n").length, shown)
      assert.strictEqual((yield* client.stats).jobTimeouts, 0)
    }).pipe(Effect.scoped))
})
