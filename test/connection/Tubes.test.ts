/**
 * Fibers that share a connection share its tube in use as well. The connection decides when the bytes leave whether a
 * `use` must precede a command, and every command acts on the tube that it was issued for.
 */
import { assert, describe, it } from "@effect/vitest"
import { Connection, Protocol } from "effect-beanstalkd"
import { Effect, Fiber, Schema } from "effect"
import type * as Net from "node:net"
import * as FakeServer from "../support/FakeServer.ts"
import { commandsIn, placesOf, tubeServer } from "../support/scripted/Heard.ts"
import { connect, fails, put, seesClose, start } from "../support/scripted/Peer.ts"

/** The commands that came: bodies of puts, and the lines of the others. */
const saidTo = (server: FakeServer.Serving) =>
  commandsIn(server.received()).map(({ body, line }) => body ?? line).join(", ")

describe("a `use`", () => {
  it.live("goes before the first of the puts into another tube, and only there", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const connection = yield* connect(server)
      const tubes = ["a", "a", "b", "b", "default", undefined, "a"]
      yield* Effect.forEach(tubes, (tube, i) => put(connection, String(i), tube), { concurrency: "unbounded" })
      assert.strictEqual(saidTo(server), "use a, 0, 1, use b, 2, 3, use default, 4, 5, use a, 6")
    }))

  it.live("is not repeated in a later turn", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const connection = yield* connect(server)
      for (const body of ["1", "2", "3"]) yield* put(connection, body, "a")
      assert.strictEqual(saidTo(server), "use a, 1, 2, 3")
    }))

  it.live("brings back the tube that was chosen, for the commands that name none", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const connection = yield* connect(server)
      assert.strictEqual(yield* connection.use("mine"), "mine")
      yield* put(connection, "1", "theirs")
      yield* put(connection, "2")
      yield* put(connection, "3", "theirs")
      assert.strictEqual((yield* connection.peekReady).text, "mine")
      yield* put(connection, "4", "theirs")
      yield* connection.kick()
      assert.strictEqual(
        saidTo(server),
        "use mine, use theirs, 1, use mine, 2, use theirs, 3, use mine, peek-ready, use theirs, 4, use mine, kick 1"
      )
    }))

  it.live("is sent when it is asked for, also of the tube in use", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const connection = yield* connect(server)
      yield* put(connection, "1", "a")
      yield* connection.use("a")
      yield* put(connection, "2")
      assert.strictEqual(saidTo(server), "use a, 1, use a, 2")
    }))

  it.live("goes before list-tube-used, which tells the tube that was chosen and not the one of the last put", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const connection = yield* connect(server)
      yield* put(connection, "1", "theirs")
      assert.strictEqual(yield* connection.listTubeUsed, "default")
      yield* connection.use("mine")
      yield* put(connection, "2", "theirs")
      assert.strictEqual(yield* connection.listTubeUsed, "mine")
    }))

  const Op = Schema.Struct({
    kind: Schema.Literals(["put", "put", "use", "peekReady", "kick", "listTubeUsed"]),
    tube: Schema.UndefinedOr(Schema.Literals(["a", "b", "default"])),
    withdrawn: Schema.Literals([false, false, true])
  })
  const Ops = Schema.Array(Op).check(Schema.isMaxLength(40))
  const Room = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 8 }))

  const { kick, peekReady } = Protocol.commands
  /** Each kind of command, with the words by which the wire shows it. */
  const issue = (connection: Connection.Service, { kind, tube }: typeof Op.Type, n: number) => {
    const kinds: Record<typeof kind, { readonly says: string; readonly command: Effect.Effect<unknown, unknown> }> = {
      put: { says: `body ${n}`, command: put(connection, `body ${n}`, tube) },
      use: { says: "", command: connection.use(tube ?? "default") },
      kick: { says: `kick ${n}`, command: connection.run(kick, n, tube) },
      peekReady: { says: "peek-ready", command: Effect.map(connection.run(peekReady, tube), (job) => job.text) },
      listTubeUsed: { says: "list-tube-used", command: connection.listTubeUsed }
    }
    const { command, says } = kinds[kind]
    return Effect.map(start(command), (fiber) => ({ fiber, says }))
  }

  it.live.prop(
    "is there where it must be and nowhere else, whoever is withdrawn",
    [Ops, Room],
    ([ops, room]) =>
      Effect.gen(function*() {
        const server = yield* tubeServer
        const connection = yield* connect(server, { maxUnanswered: room })
        const issued = yield* Effect.forEach(
          ops,
          (op, n) => Effect.map(issue(connection, op, n), (issued) => ({ ...op, ...issued }))
        )
        yield* Fiber.interruptAll(issued.filter(({ withdrawn }) => withdrawn).map(({ fiber }) => fiber))

        // The expectation: the tube of each command, and the number of `use` that it takes.
        let chosen = "default"
        let used = "default"
        let uses = 0
        const asked: Array<{ readonly says: string; readonly tube: string }> = []
        for (const { fiber, kind, says, tube } of issued.filter(({ withdrawn }) => !withdrawn)) {
          const answer = yield* Fiber.join(fiber)
          if (kind === "use") chosen = tube ?? "default"
          const wanted = kind === "use" || kind === "listTubeUsed" ? chosen : tube ?? chosen
          if (kind === "use" || wanted !== used) uses++
          used = wanted
          // Some replies name the tube, too.
          if (typeof answer === "string") assert.strictEqual(answer, wanted)
          if (kind !== "use") asked.push({ says, tube: wanted })
        }

        const heard = placesOf(commandsIn(server.received()))
        const others = heard.filter(({ line }) => !line.startsWith("use "))
        assert.deepStrictEqual(others.map(({ body, line, tube }) => ({ says: body ?? line, tube })), asked)
        assert.strictEqual(heard.length - others.length, uses)
      }).pipe(Effect.scoped)
  )
})

describe("tubes chosen at construction", () => {
  /** Answers every command with the right words, and keeps the pieces as they came. */
  const chooser = Effect.gen(function*() {
    const pieces: Array<string> = []
    const answer = (line: string) =>
      line.startsWith("use ") ? `USING ${line.slice("use ".length)}\r\n` : "WATCHING 1\r\n"
    const server = yield* FakeServer.serve((socket: Net.Socket) => {
      socket.on("data", (piece: Buffer) => {
        pieces.push(piece.toString("latin1"))
        socket.write(commandsIn(pieces.at(-1)!).map(({ line }) => answer(line)).join(""))
      })
    })
    return { pieces, server }
  })

  const choices: ReadonlyArray<{ readonly options: Connection.Options; readonly sends: string }> = [
    { options: { use: "jobs" }, sends: "use jobs\r\n" },
    { options: { watch: "jobs" }, sends: "watch jobs\r\nignore default\r\n" },
    { options: { watch: ["a", "b"] }, sends: "watch a\r\nwatch b\r\nignore default\r\n" },
    { options: { watch: ["a", "default"] }, sends: "watch a\r\n" },
    { options: { use: "jobs", watch: ["a", "b"] }, sends: "use jobs\r\nwatch a\r\nwatch b\r\nignore default\r\n" }
  ]
  it.live.each(choices)(
    "$options leave in one piece, before anything else",
    ({ options, sends }) =>
      Effect.gen(function*() {
        const { pieces, server } = yield* chooser
        const connection = yield* connect(server, options)
        assert.deepStrictEqual(pieces, [sends])
        assert.isFalse(yield* connection.closed)
      })
  )

  it.live("are none without options, or with those that a connection has anyway", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      for (const options of [{}, { use: undefined, watch: undefined }, { watch: [] }, { watch: "default" }]) {
        const connection = yield* connect(server, options)
        assert.strictEqual(yield* connection.listTubeUsed, "default")
      }
      for (const conn of [0, 1, 2, 3]) assert.strictEqual(server.received(conn), "list-tube-used\r\n")
    }))

  it.live("are those of puts that name none", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const connection = yield* connect(server, { use: "mine" })
      yield* put(connection, "1")
      yield* put(connection, "2", "theirs")
      yield* put(connection, "3")
      assert.strictEqual(yield* connection.listTubeUsed, "mine")
      assert.strictEqual(saidTo(server), "use mine, 1, use theirs, 2, use mine, 3, list-tube-used")
    }))

  it.live("come with the layer too", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const used = Effect.flatMap(Connection.Connection, (connection) => connection.listTubeUsed)
      const layer = Connection.layer({ port: server.port, use: "mine" })
      assert.strictEqual(yield* Effect.provide(used, layer), "mine")
      yield* seesClose(server)
    }))

  it.live("fail the opening when the server will not have them, and leave no socket behind", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.make([{ expect: "watch a\r\n" }, { reply: "NOT_IGNORED\r\n" }])
      const opening = connect(server, { watch: ["a", "default"] })
      yield* fails(opening, { reason: "UnexpectedReply", sent: false, command: "connect" })
      yield* seesClose(server)
    }))
})

describe("many fibers", () => {
  it.live("put into many tubes over one connection, and each job gets where it belongs", () =>
    Effect.gen(function*() {
      const server = yield* tubeServer
      const connection = yield* connect(server)
      const jobs = Array.from({ length: 500 }, (_, n) => ({ body: `job ${n}`, tube: `tube-${(n * 7) % 5}` }))
      const worker = Effect.fnUntraced(function*(own: typeof jobs) {
        for (const { body, tube } of own) yield* put(connection, body, tube)
      })
      const shares = Array.from({ length: 20 }, (_, n) => jobs.filter((_, i) => i % 20 === n))
      yield* Effect.forEach(shares, worker, { concurrency: "unbounded" })
      const placed = placesOf(commandsIn(server.received())).flatMap(({ body, tube }) =>
        body === undefined ? [] : [{ body, tube }]
      )
      assert.sameDeepMembers(placed, jobs)
    }))
})
