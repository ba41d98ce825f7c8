/**
 * A job that is larger than `maxReplySize`, on one connection: its body is dropped as it comes, and only the command that
 * asked for it fails.
 */
import { assert, describe, it } from "@effect/vitest"
import { Connection, Errors } from "effect-beanstalkd"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { Dialer, Handlers } from "../../src/internal/connection/transport.ts"
import { id, jobStats, rows } from "../support/scripted/Commands.ts"
import { errorOf, hears, isAlive, isDead, isFailure, onSilent, says, start } from "../support/scripted/Peer.ts"

const body = "x".repeat(2000)

const askers =
  (["peek", "peekReady", "peekDelayed", "peekBuried", "reserve", "reserveWithTimeout", "reserveJob"] as const)
    .map((name) => ({ name, row: rows[name] }))

describe("a job larger than maxReplySize", () => {
  it.live.each(askers)(
    "fails $name with its id, its size and the limit, and nothing else",
    ({ row }) =>
      Effect.gen(function*() {
        const { connection, server } = yield* onSilent({ maxReplySize: 1000 })
        const command = row.sends.split(/ |\r/)[0]!
        const looking = yield* start(row.issue(connection) as Effect.Effect<unknown, unknown>)
        yield* hears(server, row.sends)
        yield* says(server, `${row.reply.split(" ")[0]} 7 2000\r\n${body}\r\n`)
        const error = yield* errorOf(looking)
        assert(error instanceof Errors.ReplyTooLarge)
        assert.deepInclude(error, { command, server: connection.server, id: id(7), size: 2000, limit: 1000 })
        assert.strictEqual(
          error.message,
          `${command}: job 7 on ${connection.server} has 2000 bytes, and maxReplySize allows 1000`
        )
        yield* isAlive(connection, server)
      })
  )

  it.live("is not taken for another one that was asked for", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent({ maxReplySize: 1000 })
      const peeking = yield* start(connection.peek(id(8)))
      yield* hears(server, "peek 8\r\n")
      yield* says(server, `FOUND 7 2000\r\n${body}\r\n`)
      isFailure(yield* errorOf(peeking), { reason: "UnexpectedReply", sent: true })
      yield* isDead(connection, server)
    }))

  it.effect("has all the time that its body takes, as long as its bytes arrive", () =>
    Effect.gen(function*() {
      let say: Handlers["onData"] = () => {}
      const dialer: Dialer = {
        server: "slow",
        open: (handlers) =>
          Effect.sync(() => {
            say = (bytes) => handlers.onData(bytes)
            return { write: () => true, destroy: () => {} }
          })
      }
      const connection = yield* Connection.make({ dialer, maxReplySize: 1000 })
      const peek = yield* start(connection.peek(id(7)))
      yield* TestClock.adjust(0)
      const pieces = 100
      say(Buffer.from(`FOUND 7 ${pieces * 70_000}\r\n`))
      for (let n = 0; n < pieces; n++) {
        yield* TestClock.adjust("9 seconds")
        assert.isUndefined(peek.pollUnsafe())
        say(Buffer.alloc(70_000))
      }
      say(Buffer.from("\r\n"))
      assert.instanceOf(yield* errorOf(peek), Errors.ReplyTooLarge)
      assert.isFalse(yield* connection.closed)
    }))

  it.live("is released when nobody waits for it any more", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent({ maxReplySize: 1000 })
      const reserving = yield* start(connection.reserveJob(id(7)))
      yield* hears(server, "reserve-job 7\r\n")
      reserving.interruptUnsafe()
      yield* says(server, `RESERVED 7 2000\r\n${body}\r\n`)
      yield* hears(server, "reserve-job 7\r\nstats-job 7\r\n")
      yield* says(server, jobStats(5))
      yield* hears(server, "reserve-job 7\r\nstats-job 7\r\nrelease 7 5 0\r\n")
    }))
})
