/**
 * Cases from the suites of other clients: the words of a server, and the outcome that a client must make of them.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Connection, Errors } from "effect-beanstalkd"
import { Effect, Fiber } from "effect"
import { readFileSync } from "node:fs"
import * as FakeServer from "../support/FakeServer.ts"
import { id, list } from "../support/scripted/Commands.ts"
import { connect, fails, isDead, start } from "../support/scripted/Peer.ts"

interface Scenario {
  readonly name: string
  readonly script: FakeServer.Script
}

const scenarios: ReadonlyArray<Scenario> = JSON.parse(
  readFileSync(new URL("../fixtures/client.json", import.meta.url), "utf8")
)

const scriptOf = (name: string): FakeServer.Script => {
  const scenario = scenarios.find((scenario) => scenario.name === name)
  assert.isDefined(scenario, `no scenario ${name}`)
  return scenario.script
}

interface Case {
  readonly play: (connection: Connection.Service) => Effect.Effect<void, unknown>
  /** Whether the connection can still be trusted. */
  readonly after: "alive" | "dead"
}

const asScripted = { priority: 1024, ttr: "60 seconds" } as const

const cases: Record<string, Case> = {
  "reply-line-in-pieces": {
    play: Effect.fnUntraced(function*({ watch }) {
      assert.strictEqual(yield* watch("foo"), 23)
    }),
    after: "alive"
  },
  "body-in-pieces": {
    play: Effect.fnUntraced(function*({ reserve }) {
      const job = yield* reserve
      assert.deepStrictEqual([job.id, job.text], [id(9), "test\r\ntest"])
    }),
    after: "alive"
  },
  "end-of-stream-instead-of-a-reply": {
    play: Effect.fnUntraced(function*(connection) {
      const first = yield* start(connection.delete(id(1)))
      // It has one answer to wait for, so the one behind it stays where it is.
      const queued = yield* start(connection.delete(id(2)))
      yield* fails(Fiber.join(first), { reason: "ConnectionClosed", sent: true, command: "delete" })
      yield* fails(Fiber.join(queued), { reason: "ConnectionClosed", sent: false, command: "delete" })
    }),
    after: "dead"
  },
  "end-of-stream-inside-a-body": {
    play: ({ peek }) => fails(peek(id(1)), { reason: "ConnectionClosed", sent: true, command: "peek" }),
    after: "dead"
  },
  "unknown-reply": {
    play: Effect.fnUntraced(function*({ put }) {
      const { reason } = yield* fails(put("hello", asScripted), { reason: "UnexpectedReply", sent: true })
      assert.instanceOf(reason, Errors.UnexpectedReply)
      assert.strictEqual(reason.reply, "FOO 1 2 3")
    }),
    after: "dead"
  },
  "release-buried": {
    play: Effect.fnUntraced(function*({ release }) {
      const error = yield* Effect.flip(release(id(9), { priority: 13, delay: "21 seconds" }))
      assert.instanceOf(error, Errors.JobBuried)
      assert.strictEqual(error.id, id(9))
    }),
    after: "alive"
  },
  "server-errors-to-put": {
    play: Effect.fnUntraced(function*({ put }) {
      const tags = yield* Effect.forEach(
        Array.from({ length: 6 }),
        () =>
          Effect.map(
            Effect.flip(put("hello", asScripted)),
            (error) => error._tag === "BeanstalkdError" ? error.reason._tag : error._tag
          )
      )
      assert.deepStrictEqual(
        tags,
        ["OutOfMemory", "InternalError", "Draining", "ExpectedCrlf", "JobTooBig", "BadFormat"]
      )
    }),
    after: "alive"
  },
  "two-replies-in-one-packet": {
    play: Effect.fnUntraced(function*({ put, use }) {
      const answers = yield* Effect.all([put("a", asScripted), use("foo")], { concurrency: "unbounded" })
      assert.deepStrictEqual(answers, [id(5), "foo"])
    }),
    after: "alive"
  },
  "a-failed-command-does-not-block-the-next": {
    play: Effect.fnUntraced(function*(connection) {
      const error = yield* Effect.flip(connection.delete(id(1)))
      assert.instanceOf(error, Errors.NotFound)
      assert.deepInclude(error, { command: "delete", id: id(1) })
      yield* connection.delete(id(2))
      assert.strictEqual(yield* connection.listTubeUsed, "default")
    }),
    after: "alive"
  },
  "yaml-of-1.12": {
    play: Effect.fnUntraced(function*(connection) {
      const stats = yield* connection.stats
      assert.deepInclude(stats, {
        currentJobsReady: 1,
        version: "1.12",
        rusageUtime: 0.012345,
        draining: false,
        id: "0123456789012345",
        hostname: "vm",
        os: "#1 SMP Debian 6.1: x",
        platform: "x86_64"
      })
    }),
    after: "alive"
  },
  "yaml-of-1.13": {
    play: Effect.fnUntraced(function*({ statsJob, statsTube }) {
      assert.strictEqual((yield* statsTube("default")).name, "default")
      assert.deepInclude(yield* statsJob(id(12)), { id: id(12), tube: "110234", state: "reserved" })
    }),
    after: "alive"
  },
  "stats-job-gone-after-reserve": {
    play: Effect.fnUntraced(function*({ reserveWithTimeout, statsJob }) {
      const job = yield* reserveWithTimeout("4 seconds")
      assert.deepStrictEqual([job.id, job.text], [id(13), "Hello World"])
      assert.instanceOf(yield* Effect.flip(statsJob(job.id)), Errors.NotFound)
    }),
    after: "alive"
  }
}

/** Cases about connections that are lent and replaced: the tests of `Pool` have them. */
const notYet = [
  "pool-hands-out-connections-first-come-first-served",
  "pool-replaces-a-dead-connection"
]

describe("what other clients had to learn", () => {
  for (const [name, { after, play }] of Object.entries(cases)) {
    it.live(name, () =>
      Effect.gen(function*() {
        const oneMore = [{ expect: "list-tubes-watched\r\n" }, { reply: list }]
        const script = scriptOf(name)
        const server = yield* FakeServer.make(after === "alive" ? [...script, ...oneMore] : script)
        // One command at a time: what the script wants to see pipelined is two.
        const connection = yield* connect(server, { maxUnanswered: name === "two-replies-in-one-packet" ? 2 : 1 })
        yield* play(connection)
        if (after === "alive") {
          assert.deepStrictEqual(yield* connection.listTubesWatched, ["default"])
          assert.isFalse(yield* connection.closed)
        } else {
          yield* isDead(connection, server)
        }
        yield* server.done
        assert.strictEqual(server.connections(), 1)
      }))
  }

  it.live("connection-refused", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.make(scriptOf("connection-refused"))
      yield* server.done
      const error = yield* fails(connect(server), { reason: "OpenError", sent: false, command: "connect" })
      assert.isTrue(error.isRetryable)
      assert.include(error.message, "ECONNREFUSED")
    }))

  it("has a test for each of them, but for those of the pool", () => {
    assert.sameMembers(
      [...Object.keys(cases), "connection-refused", ...notYet],
      scenarios.map((scenario) => scenario.name)
    )
    assert.deepStrictEqual(notYet, [
      "pool-hands-out-connections-first-come-first-served",
      "pool-replaces-a-dead-connection"
    ])
  })
})
