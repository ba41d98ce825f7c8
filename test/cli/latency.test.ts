/**
 * Commands on many jobs over a network with a round trip of 20 ms: they do not wait for one job after the other. One round
 * trip per job would take 40 seconds for these jobs, and moving one took four.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Client } from "effect-beanstalkd"
import * as Cli from "../support/Cli.ts"
import { eventually } from "../support/Eventually.ts"
import * as FaultProxy from "../support/FaultProxy.ts"
import * as RealServer from "../support/RealServer.ts"
import { areIn } from "../support/Workplace.ts"

const JOBS = 2000
const WITHIN_MILLIS = 10_000

const distant = Effect.gen(function*() {
  const server = yield* RealServer.make()
  const client = yield* Client.make(server.clientOptions)
  const proxy = yield* FaultProxy.make(server, { up: { delay: 10 }, down: { delay: 10 } })
  const bodies = Array.from({ length: JOBS }, (_, i) => `${i}`)
  const fill = (tube: string) => client.putAll(tube, bodies)
  const beanstalk = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
    const began = Date.now()
    const ended = yield* Cli.on(proxy)(args)
    assert.isBelow(Date.now() - began, WITHIN_MILLIS, args.join(" "))
    return ended
  })
  return { server, client, proxy, fill, beanstalk }
})

const counted = (count: number) => ({ code: 0, stdout: `${count}\n`, stderr: "" })

RealServer.describeReal("20 ms away", () => {
  it.live("drain deletes 2,000 jobs in less than 10 seconds", () =>
    Effect.gen(function*() {
      const { beanstalk, client, fill } = yield* distant
      yield* fill("a")
      assert.deepStrictEqual(yield* beanstalk("drain", "a"), counted(JOBS))
      yield* areIn(client, {}, "a")
    }).pipe(Effect.scoped))

  it.live("move moves 2,000 jobs in less than 10 seconds, whether they are ready, buried or delayed", () =>
    Effect.gen(function*() {
      const { beanstalk, client, fill, server } = yield* distant
      yield* fill("a")
      assert.deepStrictEqual(yield* beanstalk("move", "a", "b"), counted(JOBS))
      yield* areIn(client, { ready: JOBS }, "b")
      yield* Cli.on(server)(["tail", "bury", "-w", "b", "-t", "0"])
      yield* areIn(client, { buried: JOBS }, "b")
      assert.deepStrictEqual(yield* beanstalk("move", "b", "c"), counted(JOBS))
      yield* areIn(client, { buried: JOBS }, "c")
      yield* client.putAll("d", Array.from({ length: JOBS }, () => "x"), { delay: "1 hour" })
      assert.deepStrictEqual(yield* beanstalk("move", "d", "e"), counted(JOBS))
      yield* areIn(client, { delayed: JOBS }, "e")
    }).pipe(Effect.scoped))

  it.live("tail delete prints and deletes 2,000 jobs in less than 10 seconds, each once and in order", () =>
    Effect.gen(function*() {
      const { beanstalk, client, fill } = yield* distant
      yield* fill("a")
      const { code, stdout } = yield* beanstalk("tail", "delete", "-w", "a", "-n", `${JOBS}`, "--json")
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(
        stdout.trim().split("\n").map((line): string => JSON.parse(line).body),
        Array.from({ length: JOBS }, (_, i) => `${i}`)
      )
      yield* areIn(client, {}, "a")
    }).pipe(Effect.scoped))

  it.live("what is interrupted has done exactly what it says", () =>
    Effect.gen(function*() {
      const { client, fill, proxy } = yield* distant
      for (const [args, done] of [[["drain", "a"], "deleted"], [["move", "a", "b"], "moved"]] as const) {
        yield* fill("a")
        const running = yield* Cli.start(["--port", `${proxy.port}`, ...args])
        const { currentJobsReady: before } = yield* client.statsTube("a")
        yield* eventually(
          Effect.gen(function*() {
            assert.isBelow((yield* client.statsTube("a")).currentJobsReady, before)
          }),
          { within: "20 seconds", every: "1 millis" }
        )
        yield* running.signal("SIGINT")
        const { code, stderr, stdout } = yield* running.ended
        const count = Number(stdout)
        assert.strictEqual(code, 130)
        assert.isBelow(count, before)
        assert.strictEqual(stderr, `interrupted: ${count} of ${before} jobs ${done}\n`)
        yield* areIn(client, { ready: before - count }, "a")
        if (done === "moved") yield* areIn(client, { ready: count }, "b")
      }
    }).pipe(Effect.scoped))
})
