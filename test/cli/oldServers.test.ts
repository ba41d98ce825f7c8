/**
 * Servers that lack commands: beanstalkd 1.11 and older have no `reserve-job`, and forks lack others. What can be done
 * without them is done; of the rest one line names the version that can.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Client } from "effect-beanstalkd"
import * as Cli from "../support/Cli.ts"
import { lacking } from "../support/OldServer.ts"
import * as RealServer from "../support/RealServer.ts"
import { areIn } from "../support/Workplace.ts"

const old = Effect.gen(function*() {
  const real = yield* RealServer.make()
  const client = yield* Client.make(real.clientOptions)
  const server = yield* lacking(real.port, /^reserve-job /)
  return { beanstalk: Cli.on(server), client, real, server }
})

RealServer.describeReal("a server without reserve-job", () => {
  it.live("move takes ready jobs by reserving them, and delayed ones by copying them", () =>
    Effect.gen(function*() {
      const { beanstalk, client, server } = yield* old
      yield* client.putAll("a", Array.from({ length: 600 }, (_, i) => `${i}`), { priority: 7, ttr: "90 seconds" })
      const { id } = yield* client.put("a", "later", { delay: "1 hour" })
      assert.deepStrictEqual(yield* beanstalk(["move", "a", "b"]), { code: 0, stdout: "601\n", stderr: "" })
      assert.isAbove(server.refused(), 0, "it asked whether the server has reserve-job")
      yield* areIn(client, {}, "a")
      yield* areIn(client, { ready: 600, delayed: 1 }, "b")
      assert.strictEqual((yield* client.peekReady("b")).text, "0")
      const first = yield* client.peekReady("b")
      assert.deepInclude(yield* client.statsJob(first.id), { pri: 7, ttr: 90 })
      assert.isAbove((yield* client.peekDelayed("b")).id, id)
    }).pipe(Effect.scoped))

  it.live("move copies the jobs of a paused tube, and those that are selected", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* old
      yield* client.putAll("a", ["one", "two", "three"])
      yield* client.pauseTube("a", "1 hour")
      assert.strictEqual((yield* beanstalk(["move", "a", "b", "--body", "two"])).stdout, "1\n")
      assert.strictEqual((yield* beanstalk(["move", "a", "b"])).stdout, "2\n")
      yield* areIn(client, { ready: 3 }, "b")
      yield* areIn(client, {}, "a")
    }).pipe(Effect.scoped))

  it.live("move cannot bury copies, says so, changes nothing, and moves them with --ready", () =>
    Effect.gen(function*() {
      const { beanstalk, client, real } = yield* old
      yield* client.put("a", "dead")
      yield* Cli.on(real)(["bury", "1"])
      const { code, stderr, stdout } = yield* beanstalk(["move", "a", "b"])
      assert.match(stderr, /^stopped: 0 of 1 job moved\nUNKNOWN_COMMAND: .* beanstalkd 1\.12 can; --ready .*\n$/)
      assert.deepStrictEqual([code, stdout], [1, "0\n"])
      yield* areIn(client, { buried: 1 }, "a")
      yield* areIn(client, {}, "b")
      assert.strictEqual((yield* beanstalk(["move", "a", "b", "--ready"])).stdout, "1\n")
      yield* areIn(client, { ready: 1 }, "b")
    }).pipe(Effect.scoped))

  it.live("bury takes a ready job by reserving, and leaves the jobs before it as they were", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* old
      yield* client.putAll("a", Array.from({ length: 100 }, (_, i) => `${i}`), { priority: 5 })
      assert.deepStrictEqual(yield* beanstalk(["bury", "90", "3"]), { code: 0, stdout: "", stderr: "" })
      yield* areIn(client, { ready: 98, buried: 2 }, "a")
      for (const id of [90, 3]) {
        const [stats] = Cli.ndjson(yield* beanstalk(["stats-job", `${id}`, "--json"]))
        assert.include(stats, { state: "buried", pri: 5 })
      }
      const [stats] = Cli.ndjson(yield* beanstalk(["stats-job", "89", "--json"]))
      assert.include(stats, { state: "ready", pri: 5, reserves: 1, releases: 1 }, "no crash of a worker")
    }).pipe(Effect.scoped))

  it.live("bury cannot take a delayed job, and names the version that can", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* old
      yield* client.put("a", "later", { delay: "1 hour" })
      const delayed = yield* beanstalk(["bury", "1"])
      assert.match(delayed.stderr, /^UNKNOWN_COMMAND: .*job 1, which is delayed.* beanstalkd 1\.12 can\n$/)
      assert.strictEqual(delayed.code, 1)
      yield* areIn(client, { delayed: 1 }, "a")
      yield* client.put("b", "paused")
      yield* client.pauseTube("b", "1 hour")
      assert.match((yield* beanstalk(["bury", "2"])).stderr, /paused tube b .* beanstalkd 1\.12 can\n$/)
      yield* areIn(client, { ready: 1 }, "b")
      assert.match((yield* beanstalk(["bury", "99"])).stderr, /^NOT_FOUND: no job 99 /)
    }).pipe(Effect.scoped))
})

RealServer.describeReal("a fork", () => {
  it.live("without lists and statistics: every command that does not need them works", () =>
    Effect.gen(function*() {
      const { port } = yield* RealServer.make()
      const fork = yield* lacking(port, /^(list-tube|stats|reserve-job )/)
      const beanstalk = Cli.on(fork)
      const printed = (args: ReadonlyArray<string>, stdout: string) =>
        Effect.map(beanstalk(args), (ended) => assert.deepStrictEqual(ended, { code: 0, stdout, stderr: "" }))
      yield* printed(["put", "x"], "1\n")
      yield* printed(["peek", "1", "--json"], "{\"body\":\"x\",\"id\":1}\n")
      yield* printed(["put", "-", "-u", "other"], "2\n")
      assert.strictEqual((yield* beanstalk(["put", "--lines"], { stdin: "y\nz\n" })).stdout, "3\n4\n")
      yield* printed(["reserve", "delete", "-t", "0", "--json"], "{\"body\":\"x\",\"id\":1}\n")
      yield* printed(["tail", "delete", "-t", "0", "-n", "1"], "3\tdefault\ty\n")
      yield* printed(["drain", "default"], "1\n")
      assert.strictEqual(
        (yield* beanstalk(["move", "other", "another"])).stderr.split("\n")[0],
        "stopped: 0 jobs moved"
      )
      const { stderr } = yield* beanstalk(["stats-job", "1"])
      assert.strictEqual(stderr, `UNKNOWN_COMMAND: 127.0.0.1:${fork.port} has no stats-job\n`)
    }).pipe(Effect.scoped))
})
