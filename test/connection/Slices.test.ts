/**
 * A reserve that waits is sent in slices of at most 30 seconds, and is but one to who waits.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { withBody } from "../support/scripted/Commands.ts"
import { errorOf, hears, isAlive, onSilent, says, start } from "../support/scripted/Peer.ts"

const line = (seconds: number) => `reserve-with-timeout ${seconds}\r\n`

const waits: ReadonlyArray<readonly [seconds: number, slices: ReadonlyArray<number>]> = [
  [0, [0]],
  [1, [1]],
  [29, [29]],
  [30, [30]],
  [31, [30, 1]],
  [60, [30, 30]],
  [75, [30, 30, 15]]
]

describe("a reserve that waits", () => {
  it.live.each(waits)("%d seconds in vain sends %j", ([seconds, slices]) =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const waiting = yield* start(connection.reserveWithTimeout(`${seconds} seconds`))
      let sent = ""
      for (const slice of slices) {
        sent += line(slice)
        yield* hears(server, sent)
        assert.isUndefined(waiting.pollUnsafe())
        yield* says(server, "TIMED_OUT\r\n")
      }
      const error = yield* errorOf(waiting)
      assert.deepInclude(error, { _tag: "TimedOut", timeoutSeconds: seconds })
      yield* isAlive(connection, server)
      assert.strictEqual(server.received(), `${sent}list-tubes-watched\r\n`)
    }))

  it.live("for ever sends one after the other, until there is a job", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const waiting = yield* start(connection.reserveWithTimeout())
      for (let times = 1; times <= 5; times++) {
        yield* hears(server, line(30).repeat(times))
        yield* says(server, times < 5 ? "TIMED_OUT\r\n" : withBody("RESERVED 7", "hello"))
      }
      assert.strictEqual((yield* Fiber.join(waiting)).text, "hello")
    }))
})
