/**
 * A server, or a proxy in front of one that is down, that accepts connections and closes them at once. Whatever the
 * `reconnect` Schedule says, and whatever is asked of the pool meanwhile, it is dialed at most twenty times a second: ten
 * times for the exclusive connections, and ten times for the shared one.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Latch, Schedule } from "effect"
import { type Connection, Errors, Pool, Protocol } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { internals } from "../../src/internal/pool/internals.ts"
import type { Dialer } from "../../src/internal/connection/transport.ts"
import { start } from "../support/scripted/Peer.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { eventually } from "../support/Eventually.ts"

const schedules: Record<string, Schedule.Schedule<unknown, Errors.BeanstalkdError>> = {
  "never pauses": Schedule.forever,
  "has ended before it began": Schedule.recurs(0),
  "never pauses, and ends": Schedule.recurs(3),
  "pauses for a millisecond": Schedule.spaced("1 millis"),
  "pauses for 100 milliseconds, and ends": Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(3)]),
  "is the default one": Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")])
}

/** A server in memory that closes connections, after a greeting if there is one. It tells when it was dialed. */
const closing = (greeting = "") => {
  const times: Array<number> = []
  const dialer: Dialer = {
    server: "closing",
    open: (handlers) =>
      Effect.gen(function*() {
        times.push(yield* Clock.currentTimeMillis)
        const close = Effect.sync(() => {
          if (greeting !== "") handlers.onData(Buffer.from(greeting))
          handlers.onClose(new Errors.ConnectionClosed({ detail: "the server closed it" }))
        })
        yield* Effect.forkDetach(Effect.andThen(Effect.yieldNow, close))
        return { write: () => true, destroy: () => {} }
      })
  }
  return { dialer, times }
}

/** The most dials in any second. */
const most = (times: ReadonlyArray<number>): number =>
  Math.max(0, ...times.map((begin) => times.filter((time) => time >= begin && time < begin + 1000).length))

const pass = (seconds: number) =>
  Effect.forEach(Array.from({ length: seconds * 100 }), () => TestClock.adjust("10 millis"), { discard: true })

/** Asks for it in a loop, whatever comes of it. */
const again = <A, E>(effect: Effect.Effect<A, E>) =>
  start(Effect.forever(Effect.andThen(Effect.exit(effect), Effect.sleep("1 millis"))))

const ask = ({ listTubeUsed }: Connection.Service) => listTubeUsed

const command = (pool: Pool.Service) => internals(pool).shared.run(Protocol.commands.listTubes)

describe("a server that closes connections at once", () => {
  for (const [name, reconnect] of Object.entries(schedules)) {
    describe(`with a Schedule that ${name}`, () => {
      it.effect("is dialed at most 20 times a second for connections that are kept open", () =>
        Effect.gen(function*() {
          const { dialer, times } = closing()
          const pool = yield* Pool.make({ dialer, reconnect, minConnections: 2 })
          yield* Effect.exit(internals(pool).shared.connect)
          yield* pass(5)
          assert.isAtLeast(times.length, 3)
          assert.isAtMost(most(times), 20)
        }))

      // With a tube to use, a connection that is closed at once is a dial that failed.
      it.effect.each([undefined, "jobs"])(
        "is dialed at most 20 times a second while borrowers and commands come in a loop (use: %s)",
        (use) =>
          Effect.gen(function*() {
            const { dialer, times } = closing()
            const pool = yield* Pool.make({ dialer, reconnect, minConnections: 2, commandTimeout: "2 seconds", use })
            for (let n = 0; n < 10; n++) {
              yield* again(pool.use(ask))
              yield* again(command(pool))
            }
            yield* pass(5)
            assert.isAtLeast(times.length, 10)
            assert.isAtMost(most(times), 20)
          })
      )
    })
  }

  it.effect.each([["mail server", "220 mail.example.com ESMTP\r\n"], [
    "web server",
    "HTTP/1.1 400 Bad Request\r\n\r\n"
  ]])(
    "is dialed no more often if it is a %s",
    ([, greeting]) =>
      Effect.gen(function*() {
        const { dialer, times } = closing(greeting)
        const pool = yield* Pool.make({ dialer, reconnect: Schedule.forever, minConnections: 2 })
        yield* again(pool.use(ask))
        yield* again(command(pool))
        yield* pass(5)
        assert.isAtMost(most(times), 20)
      })
  )

  it.effect("is not dialed any more once the Schedule has ended, before somebody borrows", () =>
    Effect.gen(function*() {
      const { dialer, times } = closing()
      const pool = yield* Pool.make({ dialer, reconnect: Schedule.recurs(3), minConnections: 2 })
      yield* pass(5)
      const before = times.length
      assert.isAtMost(before, 2 + 3)
      yield* pass(60)
      assert.strictEqual(times.length, before)
      yield* Effect.exit(pool.use(ask))
      yield* pass(60)
      assert.isAbove(times.length, before)
      assert.isAtMost(times.length, before + 1 + 3)
    }))

  it.effect("is dialed for a borrower whose predecessors have used up the Schedule, and serves it if it is well again", () =>
    Effect.gen(function*() {
      const isWell = { value: false }
      const dialer: Dialer = {
        server: "moody",
        open: (handlers) =>
          Effect.gen(function*() {
            const close = Effect.sync(() => {
              if (!isWell.value) handlers.onClose(new Errors.ConnectionClosed({ detail: "the server closed it" }))
            })
            yield* Effect.forkDetach(Effect.andThen(Effect.yieldNow, close))
            const answer = () => queueMicrotask(() => handlers.onData(Buffer.from("USING default\r\n")))
            return { write: () => (answer(), true), destroy: () => {} }
          })
      }
      const pool = yield* Pool.make({ dialer, reconnect: Schedule.recurs(0), minConnections: 2 })
      yield* pass(1)
      assert.deepInclude(yield* pool.stats, { idle: 0, used: 0 })
      isWell.value = true
      yield* pass(1)
      assert.deepInclude(yield* pool.stats, { idle: 0, used: 0 })
      assert.strictEqual(yield* pool.use(ask), "default")
      yield* pass(1)
      // Now there are as many as should be kept open.
      yield* eventually(Effect.map(pool.stats, (stats) => assert.deepInclude(stats, { idle: 2, used: 0 })))
    }))

  it.live("behind a socket is dialed at most 20 times a second, in real time", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      const dialed = yield* Latch.make()
      const server = yield* FakeServer.serve((socket) => {
        times.push(performance.now())
        socket.destroy()
        if (times.length === 60) dialed.openUnsafe()
      })
      const pool = yield* Pool.make({ port: server.port, reconnect: Schedule.forever, minConnections: 2 })
      const loops = [yield* again(pool.use(ask)), yield* again(command(pool))]
      yield* dialed.await
      for (const loop of loops) loop.interruptUnsafe()
      // Connections that this process was too busy to accept come a little closer together than they were dialed.
      assert.isAtLeast(times.at(-1)! - times[0]!, 2_800)
      assert.isAtMost(most(times), 22)
    }))
})
