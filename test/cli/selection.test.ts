/**
 * `drain`, `move` and `kick` on selected jobs: they take exactly these, and `drain` asks whoever sits at a terminal.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Client } from "effect-beanstalkd"
import * as Cli from "../support/Cli.ts"
import { eventually } from "../support/Eventually.ts"
import { areIn } from "../support/Workplace.ts"
import { describeAnyServer, describeServers } from "./servers.ts"

describeServers("selected jobs", (make) => {
  const open = Effect.gen(function*() {
    const server = yield* make
    return { beanstalk: Cli.on(server), client: yield* Client.make({ port: server.port }), server }
  })

  it.live("are chosen by state, body, id and number", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* open
      yield* client.putAll("a", Array.from({ length: 20 }, (_, i) => i % 2 === 0 ? "spam" : "ham"))
      yield* beanstalk(["bury", "1", "2", "3", "4"])
      yield* client.put("a", "spam later", { delay: "1 hour" })
      yield* client.put("b", "spam")
      const count = (...args: ReadonlyArray<string>) => Effect.map(beanstalk(args), ({ stdout }) => Number(stdout))
      assert.strictEqual(yield* count("drain", "a", "--body", "spam", "--state", "ready", "-n", "3"), 3)
      yield* areIn(client, { ready: 13, buried: 4, delayed: 1 }, "a")
      assert.strictEqual(yield* count("kick", "-u", "a", "--body", "ham"), 2)
      yield* areIn(client, { ready: 15, buried: 2, delayed: 1 }, "a")
      assert.strictEqual(yield* count("kick", "-u", "a", "--state", "delayed"), 1)
      assert.strictEqual(yield* count("move", "a", "c", "--body", "spam", "--state", "buried", "-n", "1"), 1)
      yield* areIn(client, { buried: 1 }, "c")
      assert.strictEqual(yield* count("move", "a", "d", "--ids", "10,12-14"), 4)
      yield* areIn(client, { ready: 4 }, "d")
      assert.strictEqual(yield* count("drain", "a", "--older", "1 hour"), 0)
      yield* eventually(Effect.map(client.statsJob(20 as never), ({ age }) => assert.isAtLeast(age, 1)))
      assert.isAbove(yield* count("drain", "a", "--older", "1"), 0)
      yield* areIn(client, { ready: 1 }, "b")
    }).pipe(Effect.scoped))

  it.live("that are named and not there are told", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* open
      yield* client.put("a", "x")
      yield* client.put("b", "x")
      yield* client.put("a", "y", { priority: 0 })
      yield* client.reserve("a")
      const { code, stderr, stdout } = yield* beanstalk(["drain", "a", "--ids", "1-4"])
      assert.deepStrictEqual([code, stdout], [0, "1\n"])
      assert.match(
        stderr,
        /^NOT_FOUND: job 2 is not in the tube a, but in b\nRESERVED: job 3 is reserved .*\nNOT_FOUND: no job 4 on .*\n$/
      )
    }).pipe(Effect.scoped))

  it.live("are only counted with --dry-run", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* open
      yield* client.putAll("a", ["x", "y", "z"])
      yield* beanstalk(["bury", "1"])
      for (const command of [["drain", "a"], ["move", "a", "b"]]) {
        const dry = yield* beanstalk([...command, "--dry-run"])
        assert.match(dry.stderr, /^dry run: no job was (deleted|moved)\n$/)
        assert.deepStrictEqual([dry.code, dry.stdout], [0, "3\n"])
        assert.strictEqual((yield* beanstalk([...command, "--dry-run", "--body", "y"])).stdout, "1\n")
        assert.strictEqual((yield* beanstalk([...command, "--dry-run", "-n", "2"])).stdout, "2\n")
      }
      assert.strictEqual((yield* beanstalk(["kick", "-u", "a", "--dry-run"])).stdout, "1\n")
      yield* areIn(client, { ready: 2, buried: 1 }, "a")
      yield* areIn(client, {}, "b")
    }).pipe(Effect.scoped))

  it.live("are found far apart, in many priorities, among those of other tubes", () =>
    Effect.gen(function*() {
      const { beanstalk, client } = yield* open
      const put = (tube: string, n: number, priority: number) =>
        client.putAll(tube, Array.from({ length: n }, () => "x"), { priority })
      for (let round = 0; round < 5; round++) {
        yield* put("a", 50, round % 2)
        yield* put("other", 1500, 0)
        yield* put("a", 1, 1000 - round)
      }
      assert.strictEqual((yield* beanstalk(["drain", "a", "-n", "100"])).stdout, "100\n")
      assert.strictEqual((yield* beanstalk(["move", "a", "b"])).stdout, "155\n")
      yield* areIn(client, {}, "a")
      yield* areIn(client, { ready: 155 }, "b")
      yield* areIn(client, { ready: 7500 }, "other")
    }).pipe(Effect.scoped))
})

describeAnyServer("drain", (make) => {
  const describeTerminal = Cli.hasTerminal ? describe : describe.skip
  describeTerminal("on a terminal", () => {
    it.live("asks, and deletes only after a yes", () =>
      Effect.gen(function*() {
        const { port } = yield* make
        const client = yield* Client.make({ port })
        yield* client.putAll("a", ["x", "y"])
        const drain = (...flags: ReadonlyArray<string>) => Cli.inTerminal(["--port", `${port}`, "drain", "a", ...flags])
        const QUESTION = `Delete 2 jobs of the tube a on 127.0.0.1:${port}? [y/N] `
        for (const answer of ["\n", "n\n", "what\n", "\u0004"]) {
          const asked = yield* drain()
          yield* asked.shows(QUESTION)
          yield* asked.type(answer)
          const { code, stdout } = yield* asked.ended
          assert.include(stdout, "nothing was changed")
          assert.strictEqual(code, 1)
        }
        const interrupted = yield* drain("-n", "1")
        yield* interrupted.shows("Delete selected 1 job of")
        yield* interrupted.type("\u0003")
        assert.strictEqual((yield* interrupted.ended).code, 130)
        yield* areIn(client, { ready: 2 }, "a")
        const asked = yield* drain()
        yield* asked.shows(QUESTION)
        yield* asked.type("y\n")
        assert.strictEqual((yield* asked.ended).code, 0)
        yield* areIn(client, {}, "a")
        yield* client.put("a", "z")
        const unasked = yield* (yield* drain("--yes")).ended
        assert.notInclude(unasked.stdout, "?")
        assert.strictEqual(unasked.code, 0)
        yield* areIn(client, {}, "a")
      }).pipe(Effect.scoped))
  })
})
