/**
 * A fiber is interrupted while its command is on its way: the other fibers notice nothing, and no job is lost.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Connection, Errors } from "effect-beanstalkd"
import { Effect, Exit, Fiber, Schema } from "effect"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { id, jobStats, type Row, rows, table, withBody } from "../support/scripted/Commands.ts"
import { commandsIn } from "../support/scripted/Heard.ts"
import {
  connect,
  errorOf,
  hears,
  isAlive,
  isDead,
  isFailure,
  onSilent,
  put,
  putLine,
  says,
  seesClose,
  start
} from "../support/scripted/Peer.ts"

/** Issues a command and withdraws it in the same tick, before a byte can have left. */
const withdraw = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  yield* Fiber.interrupt(yield* start(effect))
})

/** Issues a command and interrupts it when the server has heard it. */
const abandon = Effect.fnUntraced(
  function*<A, E>(server: FakeServer.Serving, effect: Effect.Effect<A, E>, sends: string) {
    const before = server.received()
    const fiber = yield* start(effect)
    yield* hears(server, before + sends)
    yield* Fiber.interrupt(fiber)
  }
)

/** The bytes that the server hears next, and its reply. */
const exchange = Effect.fnUntraced(function*(server: FakeServer.Serving, before: string, sends: string, reply: string) {
  yield* hears(server, before + sends)
  yield* says(server, reply)
})

describe("interrupted before it has left", () => {
  it.live.each(table)(
    "$name is never sent, and the next command has its own answer",
    ({ issue }) =>
      Effect.gen(function*() {
        const { connection, server } = yield* onSilent()
        yield* withdraw(issue(connection))
        yield* isAlive(connection, server)
        assert.strictEqual(server.received(), "list-tubes-watched\r\n")
      })
  )

  it.live("a command out of the middle of a turn is missing there, and the others have their own answers", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], (n) => start(connection.peek(id(n))))
      yield* Fiber.interruptAll([fibers[0]!, fibers[2]!, fibers[4]!])
      yield* hears(server, "peek 2\r\npeek 4\r\n")
      yield* says(server, withBody("FOUND 2", "two") + withBody("FOUND 4", "four"))
      assert.strictEqual((yield* Fiber.join(fibers[1]!)).text, "two")
      assert.strictEqual((yield* Fiber.join(fibers[3]!)).text, "four")
    }))

  it.live("a command that waits for room is never sent", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent({ maxUnanswered: 1 })
      const first = yield* start(connection.touch(id(1)))
      const second = yield* start(connection.touch(id(2)))
      const third = yield* start(connection.touch(id(3)))
      yield* hears(server, "touch 1\r\n")
      yield* Fiber.interrupt(second)
      yield* says(server, "TOUCHED\r\n")
      yield* Fiber.join(first)
      yield* exchange(server, "touch 1\r\n", "touch 3\r\n", "TOUCHED\r\n")
      yield* Fiber.join(third)
    }))

  const tube = "a"
  it.live("a put does not take along the `use` that the put behind it relies on", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const first = yield* start(put(connection, "1", tube))
      const second = yield* start(put(connection, "2", tube))
      yield* Fiber.interrupt(first)
      yield* exchange(server, "", `use a\r\n${putLine("2")}`, "USING a\r\nINSERTED 2\r\n")
      assert.strictEqual(yield* Fiber.join(second), id(2))
      // The same in ticks of their own, one withdrawn before the other is issued.
      yield* withdraw(put(connection, "3", "b"))
      const fourth = yield* start(put(connection, "4", "b"))
      yield* hears(server, `use a\r\n${putLine("2")}use b\r\n${putLine("4")}`)
      yield* says(server, "USING b\r\nINSERTED 4\r\n")
      assert.strictEqual(yield* Fiber.join(fourth), id(4))
    }))

  it.live("a put leaves no `use` behind for the puts into the tube before", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      yield* withdraw(put(connection, "1", tube))
      const second = yield* start(put(connection, "2"))
      yield* exchange(server, "", putLine("2"), "INSERTED 2\r\n")
      assert.strictEqual(yield* Fiber.join(second), id(2))
    }))

  it.live("a `use` has chosen nothing", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const use = yield* start(connection.use(tube))
      const second = yield* start(put(connection, "2"))
      yield* Fiber.interrupt(use)
      yield* exchange(server, "", putLine("2"), "INSERTED 2\r\n")
      assert.strictEqual(yield* Fiber.join(second), id(2))
    }))
})

describe("interrupted after it has left", () => {
  const alone = new Set(["reserve", "reserveWithTimeout", "reserveJob", "quit"])
  const dropped = table.filter(({ name }) => !alone.has(name))

  it.live.each(dropped)(
    "$name has its answer read and dropped, and the next command gets its own",
    ({ issue, reply, sends }) =>
      Effect.gen(function*() {
        const { connection, server } = yield* onSilent()
        yield* abandon(server, issue(connection), sends)
        yield* says(server, reply)
        yield* isAlive(connection, server)
      })
  )

  it.live("an answer of which a part had come is dropped too", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const lost = yield* start(connection.peek(id(1)))
      const behind = yield* start(connection.peek(id(2)))
      yield* hears(server, "peek 1\r\npeek 2\r\n")
      for (const byte of "FOUND 1 16\r\nDELETED\r\n") yield* says(server, byte)
      yield* Fiber.interrupt(lost)
      for (const byte of `DELETED\r\n${withBody("FOUND 2", "mine")}`) yield* says(server, byte)
      assert.strictEqual((yield* Fiber.join(behind)).text, "mine")
      yield* isAlive(connection, server)
    }))

  it.live("a `use` has taken effect: what follows relies on it", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      yield* abandon(server, connection.use("a"), "use a\r\n")
      const second = yield* start(put(connection, "2"))
      yield* exchange(server, "use a\r\n", putLine("2"), "USING a\r\nINSERTED 2\r\n")
      assert.strictEqual(yield* Fiber.join(second), id(2))
    }))

  it.live("a command whose answer is nonsense still ends the connection", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      yield* abandon(server, connection.delete(id(1)), "delete 1\r\n")
      const behind = yield* start(connection.delete(id(2)))
      yield* hears(server, "delete 1\r\ndelete 2\r\n")
      yield* says(server, "FOO\r\nDELETED\r\n")
      isFailure(yield* errorOf(behind), { reason: "ConnectionClosed", sent: true })
      yield* isDead(connection, server)
    }))
})

describe("a reserve that waits", () => {
  const waits: ReadonlyArray<{
    readonly name: string
    readonly issue: (connection: Connection.Service) => Effect.Effect<unknown, unknown>
    readonly sends: string
  }> = [
    { name: "reserve", issue: (_) => _.reserve, sends: "reserve\r\n" },
    { name: "with a timeout", issue: (_) => _.reserveWithTimeout("9 seconds"), sends: "reserve-with-timeout 9\r\n" },
    { name: "without end", issue: (_) => _.reserveWithTimeout(), sends: "reserve-with-timeout 30\r\n" }
  ]

  it.live.each(waits)(
    "closes the connection at once when it is interrupted ($name)",
    ({ issue, sends }) =>
      Effect.gen(function*() {
        const { connection, server } = yield* onSilent({ maxUnanswered: 2 })
        const waiting = yield* start(issue(connection))
        const behind = yield* start(connection.delete(id(1)))
        const queued = yield* start(connection.delete(id(2)))
        yield* hears(server, `${sends}delete 1\r\n`)
        yield* Fiber.interrupt(waiting)
        assert.isTrue(yield* connection.closed)
        yield* seesClose(server)
        isFailure(yield* errorOf(behind), { reason: "ConnectionClosed", sent: true })
        const { message } = isFailure(yield* errorOf(queued), { reason: "ConnectionClosed", sent: false })
        assert.include(message, "interrupted")
        yield* isDead(connection, server)
      })
  )

  it.live("closes it in a later slice too", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const waiting = yield* start(connection.reserveWithTimeout("40 seconds"))
      yield* exchange(server, "", "reserve-with-timeout 30\r\n", "TIMED_OUT\r\n")
      yield* hears(server, "reserve-with-timeout 30\r\nreserve-with-timeout 10\r\n")
      yield* Fiber.interrupt(waiting)
      yield* isDead(connection, server)
    }))

  it.live("closes it also when a part of the job has come already", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const waiting = yield* start(connection.reserveWithTimeout("9 seconds"))
      yield* exchange(server, "", "reserve-with-timeout 9\r\n", "RESERVED 7 5\r\nhel")
      yield* Fiber.interrupt(waiting)
      yield* isDead(connection, server)
    }))

  it.live("is merely withdrawn while it waits for room", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent({ maxUnanswered: 1 })
      const first = yield* start(connection.touch(id(1)))
      const waiting = yield* start(connection.reserve)
      yield* hears(server, "touch 1\r\n")
      yield* Fiber.interrupt(waiting)
      yield* says(server, "TOUCHED\r\n")
      yield* Fiber.join(first)
      yield* isAlive(connection, server)
    }))
})

describe("a job that nobody waits for any more", () => {
  interface Look extends Row {
    readonly name: string
    readonly miss: string
  }
  const look: Look = { name: "reserveWithTimeout(0)", ...rows.reserveWithTimeout, miss: "TIMED_OUT\r\n" }
  const looks = [look, { name: "reserveJob", ...rows.reserveJob, miss: "NOT_FOUND\r\n" }]

  /** A job for the interrupted fiber. The client asks for its priority, to release it. */
  const orphan = Effect.fnUntraced(function*(look: Look) {
    const { connection, server } = yield* onSilent()
    yield* abandon(server, look.issue(connection), look.sends)
    yield* exchange(server, look.sends, "", look.reply)
    const asked = `${look.sends}stats-job 7\r\n`
    yield* hears(server, asked)
    return { asked, connection, server }
  })

  for (const look of looks) {
    for (const priority of [0, 77, 4_294_967_295]) {
      it.live(`is released with its own priority ${priority} (${look.name}), and the connection lives`, () =>
        Effect.gen(function*() {
          const { asked, connection, server } = yield* orphan(look)
          yield* exchange(server, asked, "", jobStats(priority))
          yield* exchange(server, asked, `release 7 ${priority} 0\r\n`, "RELEASED\r\n")
          yield* isAlive(connection, server)
        }))
    }

    it.live(`is nobody's business when there was none (${look.name})`, () =>
      Effect.gen(function*() {
        const { connection, server } = yield* onSilent()
        yield* abandon(server, look.issue(connection), look.sends)
        yield* says(server, look.miss)
        yield* isAlive(connection, server)
        assert.strictEqual(server.received(), `${look.sends}list-tubes-watched\r\n`)
      }))
  }

  it.live("is let go when the server says that it is gone", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* orphan(look)
      yield* says(server, "NOT_FOUND\r\n")
      yield* isAlive(connection, server)
    }))

  const ends = [
    { name: "is let go when it is gone before its release", reply: "NOT_FOUND\r\n" },
    { name: "is let go when the server can only bury it", reply: "BURIED\r\n" }
  ]
  it.live.each(ends)("$name", ({ reply }) =>
    Effect.gen(function*() {
      const { asked, connection, server } = yield* orphan(look)
      yield* says(server, jobStats(5))
      yield* exchange(server, asked, "release 7 5 0\r\n", reply)
      yield* isAlive(connection, server)
    }))

  it.live.each(["FOO\r\n", "INTERNAL_ERROR\r\n", "TOUCHED\r\n", withBody("OK", "nothing")])(
    "goes back with the connection when its priority is answered with %j",
    (reply) =>
      Effect.gen(function*() {
        const { connection, server } = yield* orphan(look)
        yield* says(server, reply)
        yield* seesClose(server)
        yield* isDead(connection, server)
      })
  )

  it.live.each(["FOO\r\n", "INTERNAL_ERROR\r\n", "DELETED\r\n"])(
    "goes back with the connection when its release is answered with %j",
    (reply) =>
      Effect.gen(function*() {
        const { asked, connection, server } = yield* orphan(look)
        yield* says(server, jobStats(5))
        yield* exchange(server, asked, "release 7 5 0\r\n", reply)
        yield* seesClose(server)
        yield* isDead(connection, server)
      })
  )

  it.live("does not mix up the answers to the commands around it", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      const before = yield* start(connection.peek(id(1)))
      const lost = yield* Effect.forEach([1, 2], () => start(connection.reserveWithTimeout(0)))
      const after = yield* start(connection.peek(id(2)))
      const sent = "peek 1\r\nreserve-with-timeout 0\r\nreserve-with-timeout 0\r\npeek 2\r\n"
      yield* hears(server, sent)
      yield* Fiber.interruptAll(lost)
      yield* says(server, withBody("FOUND 1", "one"))
      yield* says(server, withBody("RESERVED 7", "a") + withBody("RESERVED 8", "b") + withBody("FOUND 2", "two"))
      assert.strictEqual((yield* Fiber.join(before)).text, "one")
      assert.strictEqual((yield* Fiber.join(after)).text, "two")
      yield* exchange(server, sent, "stats-job 7\r\nstats-job 8\r\n", jobStats(70) + jobStats(80, 8))
      yield* hears(server, `${sent}stats-job 7\r\nstats-job 8\r\nrelease 7 70 0\r\nrelease 8 80 0\r\n`)
      yield* says(server, "RELEASED\r\nRELEASED\r\n")
      yield* isAlive(connection, server)
    }))

  it.live("goes back with the connection when the Scope closes before it could be released", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.recorder()
      const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
        const connection = yield* connect(server)
        yield* abandon(server, look.issue(connection), look.sends)
        yield* exchange(server, look.sends, "", look.reply)
        yield* hears(server, `${look.sends}stats-job 7\r\n`)
      })))
      assert.isTrue(Exit.isSuccess(exit))
      yield* seesClose(server)
    }))

  it.live("has no other end than the deadline when the server is silent about it", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent({ commandTimeout: "50 millis" })
      yield* abandon(server, look.issue(connection), look.sends)
      yield* says(server, look.reply)
      yield* seesClose(server)
      const { reason } = isFailure(yield* Effect.flip(connection.listTubeUsed), {
        reason: "ConnectionClosed",
        sent: false
      })
      assert.instanceOf(reason.cause, Errors.CommandTimeout)
    }))

  /** Hands out a new job for each reserve, and keeps account of them. */
  const hander = Effect.gen(function*() {
    const handed: Array<number> = []
    const released: Array<number> = []
    const answer = (line: string): string => {
      const [name, number] = line.split(" ")
      if (name === "stats-job") return jobStats(5, Number(number))
      if (name === "release") {
        released.push(Number(number))
        return "RELEASED\r\n"
      }
      handed.push(handed.length + 1)
      return withBody(`RESERVED ${handed.length}`, "x")
    }
    const server = yield* FakeServer.serve((socket) => {
      socket.on("data", (piece: Buffer) => {
        socket.write(commandsIn(piece.toString("latin1")).map(({ line }) => answer(line)).join(""))
      })
    })
    return { handed, released, server }
  })

  const turn = Effect.callback<void>((resume) => {
    setImmediate(() => resume(Effect.void))
  })
  const Patience = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })))

  it.live.prop(
    "is with a fiber or back at the server, whenever that fiber went away",
    [Patience],
    ([patience]) =>
      Effect.gen(function*() {
        const { handed, released, server } = yield* hander
        const connection = yield* connect(server, { maxUnanswered: 3 })
        const fibers = yield* Effect.forEach(patience, (turns) =>
          start(Effect.gen(function*() {
            const fiber = yield* start(connection.reserveWithTimeout(0))
            yield* Effect.repeat(turn, { times: turns })
            yield* Fiber.interrupt(fiber)
            return yield* Fiber.await(fiber)
          })))
        const exits = yield* Fiber.joinAll(fibers)
        const got = exits.flatMap((exit) => Exit.isSuccess(exit) ? [exit.value.id] : [])
        yield* eventually(Effect.sync(() => assert.sameMembers([...got, ...released], handed)))
        assert.isFalse(yield* connection.closed)
      }).pipe(Effect.scoped)
  )
})
