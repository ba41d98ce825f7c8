/**
 * The real server, killed and started again under a client that is used by many: nobody hangs, nothing is lost that was
 * promised, and what an error says about a command is what the server knows of it.
 */
import { assert, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Schedule } from "effect"
import { Client, Errors, Protocol } from "effect-beanstalkd"
import { eventually } from "../support/Eventually.ts"
import { onServer } from "../support/Fixture.ts"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"

const TUBE = "work"

const isUp = (beanstalkd: Client.Service, up: boolean) =>
  eventually(Effect.map(beanstalkd.poolStats, ({ shared }) => assert.strictEqual(shared, up)))

const open = onServer(RealServer)

/** Puts bodies that are all different until it is told to stop, and notes what became of each. */
const makePutters = (beanstalkd: Client.Service) => {
  const noted = { acknowledged: new Set<string>(), sent: new Set<string>(), unsent: new Set<string>() }
  const end = { isNear: false }
  const putter = Effect.fnUntraced(function*(name: number) {
    for (let n = 0; !end.isNear; n++) {
      const body = `${name}-${n}`
      const exit = yield* Effect.exit(beanstalkd.put(TUBE, body))
      if (Exit.isSuccess(exit)) {
        noted.acknowledged.add(body)
        continue
      }
      const error = yield* Effect.flip(exit)
      assert.instanceOf(error, Errors.BeanstalkdError)
      assert.isTrue(error.isRetryable)
      const { sent, unsent } = noted
      ;(error.sent ? sent : unsent).add(body)
    }
    // One more, which nothing gets in the way of.
    const body = `${name}-last`
    yield* beanstalkd.put(TUBE, body)
    noted.acknowledged.add(body)
  })
  const stop = Effect.sync(() => {
    end.isNear = true
  })
  /** Waits until so many more have ended in this way. */
  const more = (which: keyof typeof noted, n: number) => {
    const goal = noted[which].size + n
    return eventually(Effect.sync(() => assert.isAtLeast(noted[which].size, goal)), { within: "10 seconds" })
  }
  return { noted, putter, stop, more }
}

/** The bodies of all jobs, without the library: each id is peeked, up to that of a new job. */
const allBodies = Effect.fnUntraced(function*({ raw }: RealServer.RealServer) {
  const newest = Number(/INSERTED (\d+)/.exec(yield* raw("put 0 0 1 0\r\n"))![1])
  const answers = yield* raw(Array.from({ length: newest - 1 }, (_, i) => `peek ${i + 1}`).join("\r\n"))
  const bodies: Array<string> = []
  for (let at = 0; at < answers.length;) {
    const line = answers.slice(at, answers.indexOf("\r\n", at))
    at += line.length + 2
    const size = /^FOUND \d+ (\d+)$/.exec(line)?.[1]
    if (size === undefined) continue
    bodies.push(answers.slice(at, at + Number(size)))
    at += Number(size) + 2
  }
  return bodies
})

/** A server that is killed as it writes to its binlog can bring back the last job with zeros for a body. */
const isTorn = (body: string) => /^\0+$/.test(body)

RealServer.describeReal("a server that is killed and started again", () => {
  it.live("under 200 fibers that put: none hangs, and every error says truly whether its put was sent", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make({ binlogDir: yield* tempDir, args: ["-f0"] })
      // Less than the server is away the first time.
      const beanstalkd = yield* Client.make({ port: server.port, commandTimeout: "400 millis" })
      const { more, noted, putter, stop } = makePutters(beanstalkd)
      const putters = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, n) => n),
        (n) => Effect.forkChild(putter(n))
      )
      yield* more("acknowledged", 1_000)
      yield* server.kill
      yield* more("unsent", 200)
      yield* server.restart
      for (let times = 0; times < 3; times++) {
        yield* more("acknowledged", 500)
        yield* server.restart
      }
      yield* more("acknowledged", 500)
      yield* stop
      yield* Effect.timeout(Effect.forEach(putters, Fiber.join, { discard: true }), "5 seconds")

      const all = yield* allBodies(server)
      const exist = all.filter((body) => !isTorn(body))
      assert.isAtMost(all.length - exist.length, 4, "torn, one for each kill")
      const { acknowledged, sent, unsent } = noted
      const existing = new Set(exist)
      assert.strictEqual(exist.length, existing.size, "none is there twice")
      assert.deepStrictEqual([...acknowledged].filter((body) => !existing.has(body)), [], "promised, but not there")
      assert.deepStrictEqual([...unsent].filter((body) => existing.has(body)), [], "not sent, but there")
      assert.deepStrictEqual(exist.filter((body) => !acknowledged.has(body) && !sent.has(body)), [], "from nowhere")
      assert.isAtLeast(unsent.size, 200)
      assert.isAbove(sent.size, 0)
    }))

  it.live("is as good as before for the same layer: put, reserve, settle", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const roundTrip = Effect.gen(function*() {
        const beanstalkd = yield* Client.Beanstalkd
        const { id } = yield* beanstalkd.put(TUBE, "x")
        const job = yield* beanstalkd.reserve(TUBE, { timeout: "5 seconds" })
        assert.strictEqual(job.id, id)
        yield* job.delete
        return yield* beanstalkd.poolStats
      }).pipe(Effect.scoped)
      const program = Effect.gen(function*() {
        assert.deepInclude(yield* roundTrip, { opened: 2, lost: 0 })
        for (let times = 0; times < 3; times++) yield* server.restart
        assert.deepInclude(yield* roundTrip, { idle: 1, used: 0, waiting: 0, shared: true })
      })
      yield* Effect.provide(program, Client.layer({ port: server.port }))
    }))

  it.live("makes the commands wait that are issued meanwhile, which succeed when it is back", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open()
      yield* server.kill
      yield* isUp(beanstalkd, false)
      const puts = yield* Effect.forkChild(
        Effect.forEach(["a", "b", "c"], (body) => beanstalkd.put(TUBE, body), { concurrency: "unbounded" })
      )
      const reserve = yield* Effect.forkChild(Effect.scoped(beanstalkd.reserve(TUBE)))
      yield* server.restart
      assert.strictEqual((yield* Fiber.join(puts)).length, 3)
      assert.include(["a", "b", "c"], (yield* Fiber.join(reserve)).text)
    }))

  it.live("makes them fail within the command timeout, not sent, when it stays away longer", () =>
    Effect.gen(function*() {
      const options = { commandTimeout: "500 millis", reconnect: Schedule.spaced("400 millis") } as const
      const { beanstalkd, server } = yield* open(options)
      yield* server.kill
      yield* isUp(beanstalkd, false)
      const before = yield* Clock.currentTimeMillis
      const commands: Record<string, Effect.Effect<unknown, { readonly _tag: string }>> = {
        put: beanstalkd.put(TUBE, "x"),
        stats: beanstalkd.stats,
        reserve: Effect.scoped(beanstalkd.reserve(TUBE)),
        "reserve with a timeout": Effect.scoped(beanstalkd.reserve(TUBE, { timeout: 0 })),
        "reserve of a job": Effect.scoped(beanstalkd.reserveJob(Protocol.JobId.make(1)))
      }
      const ended = yield* Effect.forEach(Object.entries(commands), ([name, command]) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(command)
          return { name, error, after: (yield* Clock.currentTimeMillis) - before }
        }), { concurrency: "unbounded" })
      for (const { after, error, name } of ended) {
        assert.instanceOf(error, Errors.BeanstalkdError, name)
        assert.deepStrictEqual([error.sent, error.isRetryable], [false, true], name)
        // Not as late as the dial after that.
        assert.isTrue(after >= 450 && after < 750, `${name} took ${after} ms`)
      }
    }))

  it.live("ends a reserve that waits, which says that it was sent; the next waits on the new server", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open()
      const reserve = yield* Effect.forkChild(Effect.scoped(beanstalkd.reserve(TUBE)))
      yield* eventually(Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-waiting"], "1")))
      yield* server.restart
      const error = yield* Effect.flip(Fiber.join(reserve))
      assert.instanceOf(error, Errors.BeanstalkdError)
      assert.deepStrictEqual([error.sent, error.isRetryable], [true, true])
      const again = yield* Effect.forkChild(Effect.scoped(beanstalkd.reserve(TUBE)))
      yield* beanstalkd.put(TUBE, "x")
      assert.strictEqual((yield* Fiber.join(again)).text, "x")
    }))
})

RealServer.describeReal("a server that stands still", () => {
  it.live("makes what was sent fail after the command timeout, and is used again when it goes on", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open({ commandTimeout: "300 millis" })
      yield* beanstalkd.put(TUBE, "before")
      yield* server.stop
      const error = yield* Effect.flip(beanstalkd.put(TUBE, "meanwhile"))
      assert.instanceOf(error, Errors.BeanstalkdError)
      assert.deepStrictEqual([error.sent, error.reason._tag], [true, "CommandTimeout"])
      yield* server.cont
      yield* Effect.retry(beanstalkd.put(TUBE, "after"), { times: 3 })
      // The first put had reached the server, as its error allows.
      assert.sameMembers(yield* allBodies(server), ["before", "meanwhile", "after"])
    }))
})
