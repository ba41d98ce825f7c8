/**
 * A connection that is cut while commands on many jobs are at work, or a process that is killed: no job is lost, and what is
 * told of them is true, also of those of which nobody can know.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Client } from "effect-beanstalkd"
import * as Cli from "../support/Cli.ts"
import { eventually } from "../support/Eventually.ts"
import * as FaultProxy from "../support/FaultProxy.ts"
import * as RealServer from "../support/RealServer.ts"
import { statesOf } from "../support/Workplace.ts"

const JOBS = 600

/** The number of bytes of the server's answers after which the connection is cut, over the whole of a run. */
const CUTS = [5000, 20_000, 60_000, 90_000, 110_000, 140_000, 180_000]

const told = ({ stderr, stdout }: Cli.Ended) => ({
  done: Number(stdout),
  unsure: Number(/; (\d+) jobs? more may/.exec(stderr)?.[1] ?? 0)
})

const bodies = (port: number, ...tubes: ReadonlyArray<string>) =>
  Effect.map(
    Cli.on({ port })(["jobs", ...tubes, "--json"]),
    (ended) => Cli.ndjson(ended).map(({ body, tube }) => ({ body: String(body), tube: String(tube) }))
  )

const numbers = Array.from({ length: JOBS }, (_, i) => `${i}`)

RealServer.describeReal("a connection that is cut", () => {
  const run = Effect.fnUntraced(function*(cut: number, args: ReadonlyArray<string>) {
    const server = yield* RealServer.make()
    const client = yield* Client.make(server.clientOptions)
    yield* client.putAll("a", numbers)
    const proxy = yield* FaultProxy.make(server, { down: { cut: { after: cut, how: "reset" } } })
    const ended = yield* Cli.on(proxy)(args)
    yield* eventually(
      Effect.map(statesOf(client, "a"), ({ reserved }) => assert.strictEqual(reserved, 0, "the server notices the end"))
    )
    return { client, ended, server, wasCut: proxy.links.some(({ wasCut }) => wasCut !== undefined) }
  })

  it.live("drain has deleted what it says, and at most what it says to be unsure of", () =>
    Effect.gen(function*() {
      const codes: Array<number | null> = []
      for (const cut of CUTS) {
        const { client, ended, wasCut } = yield* run(cut, ["drain", "a"])
        const { done, unsure } = told(ended)
        const deleted = JOBS - (yield* statesOf(client, "a")).ready
        assert.isAtLeast(deleted, done, `cut after ${cut}`)
        assert.isAtMost(deleted, done + unsure, `cut after ${cut}`)
        if (wasCut) assert.match(ended.stderr, /^stopped: \d+ of 600 jobs deleted.*\nCONNECTION_LOST: /)
        codes.push(ended.code)
      }
      assert.include(codes, 4)
    }).pipe(Effect.scoped))

  it.live("move has lost no job, and at most those are in both tubes that it says", () =>
    Effect.gen(function*() {
      const codes: Array<number | null> = []
      for (const cut of CUTS) {
        const { ended, server } = yield* run(cut, ["move", "a", "b"])
        const { done, unsure } = told(ended)
        const all = yield* bodies(server.port, "a", "b")
        assert.sameMembers([...new Set(all.map(({ body }) => body))], numbers, `cut after ${cut}`)
        const moved = new Set(all.filter(({ tube }) => tube === "b").map(({ body }) => body))
        assert.isAtLeast(moved.size, done)
        assert.isAtMost(moved.size, done + unsure)
        assert.isAtMost(all.length - JOBS, unsure)
        codes.push(ended.code)
      }
      assert.include(codes, 4)
    }).pipe(Effect.scoped))
})

RealServer.describeReal("a process that is killed", () => {
  it.live("move: each job is in one of the tubes, or in both, and none stays reserved", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const client = yield* Client.make(server.clientOptions)
      const proxy = yield* FaultProxy.make(server, { up: { delay: 5 }, down: { delay: 5 } })
      yield* client.putAll("a", numbers)
      const move = yield* Cli.start(["--port", `${proxy.port}`, "move", "a", "b"])
      yield* eventually(
        Effect.map(statesOf(client, "b"), ({ ready }) => assert.isAbove(ready, 0)),
        { within: "20 seconds", every: "1 millis" }
      )
      yield* move.signal("SIGKILL")
      yield* move.ended
      yield* eventually(Effect.map(statesOf(client, "a"), ({ reserved }) => assert.strictEqual(reserved, 0)))
      const all = yield* bodies(server.port, "a", "b")
      assert.sameMembers([...new Set(all.map(({ body }) => body))], numbers)
      assert.isAtMost(all.length - JOBS, 256)
      const { code, stdout } = yield* Cli.on(server)(["move", "a", "b"])
      assert.deepStrictEqual([code, Number(stdout)], [0, all.filter(({ tube }) => tube === "a").length])
    }).pipe(Effect.scoped))
})
