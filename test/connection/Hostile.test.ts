/**
 * Broken and malicious servers: the command that gets such a reply fails, the connection ends, and nothing else happens
 * to the process.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Connection, Errors } from "effect-beanstalkd"
import { Effect, Exit, Fiber, Schema } from "effect"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { id, type Row, rows, table, withBody } from "../support/scripted/Commands.ts"
import {
  connect,
  dies,
  errorOf,
  isDead,
  isFailure,
  onSilent,
  reasonAfterDeath,
  says,
  start
} from "../support/scripted/Peer.ts"
import * as Program from "../support/Program.ts"

const escaped: Array<unknown> = []
const catchEscaped = (error: unknown) => {
  escaped.push(error)
}
const escapes = ["uncaughtException", "unhandledRejection"] as const
beforeAll(() => escapes.forEach((event) => process.on(event, catchEscaped)))
afterAll(() => escapes.forEach((event) => process.off(event, catchEscaped)))

/** Answers each connection with the next of the `answers`, as soon as `question` has come on it. */
const answering = (question: string, answers: ReadonlyArray<string>) =>
  FakeServer.serve((socket, n) => {
    let received = ""
    socket.on("data", (bytes: Buffer) => {
      received += bytes.toString("latin1")
      if (received === question) socket.write(answers[n]!, "latin1")
    })
  })

/** One command, the server's reply to it, and the fate of the command and of the connection. */
const refused = Effect.fnUntraced(function*(row: Row, answer: string, options?: Connection.Options) {
  const server = yield* answering(row.sends, [answer])
  const connection = yield* connect(server, options)
  const command = yield* start(row.issue(connection))
  const error = isFailure(yield* errorOf(command), { reason: "UnexpectedReply", sent: true })
  assert.isFalse(error.isRetryable)
  yield* isDead(connection, server)
  return error
})

/** Well-formed replies, each to some command. */
const replies = [
  "INSERTED 7\r\n",
  "BURIED\r\n",
  "BURIED 7\r\n",
  "JOB_TOO_BIG\r\n",
  "DRAINING\r\n",
  "USING foo\r\n",
  withBody("RESERVED 7", "hello"),
  "DEADLINE_SOON\r\n",
  "TIMED_OUT\r\n",
  "NOT_FOUND\r\n",
  "DELETED\r\n",
  "RELEASED\r\n",
  "TOUCHED\r\n",
  "WATCHING 2\r\n",
  "NOT_IGNORED\r\n",
  withBody("FOUND 7", "hello"),
  "KICKED\r\n",
  "KICKED 7\r\n",
  withBody("OK", "---\n- foo\n"),
  "PAUSED\r\n"
]

/** No replies to anything. */
const nonsense = [
  "\r\n",
  "\0\r\n",
  "FOO 1 2 3\r\n",
  "deleted\r\n",
  " DELETED\r\n",
  "BAD_FORMAT 7\r\n",
  "\x16\x03\x01\x02\x00\r\n",
  "HTTP/1.1 400 Bad Request\r\n\r\n",
  "constructor\r\n",
  "__proto__ 7\r\n",
  "\n\r\n",
  "DELETED\rINSERTED 7\nTOUCHED\r\n"
]

/** The replies of the command itself, with a word too many or too few. */
const mangled = ({ reply }: Row): ReadonlyArray<string> => {
  const [line = "", ...rest] = reply.split("\r\n")
  const words = line.split(" ")
  const lines = [`${line} x`, `${line} `, words.slice(0, -1).join(" "), `${words[0]}  ${words.slice(1).join(" ")}`]
  return reply === "" ? [] : lines.map((line) => [line, ...rest].join("\r\n"))
}

const wrongAnswersTo = (row: Row): ReadonlyArray<string> => [
  ...replies.filter((reply) => !row.words.includes(reply.split(/[ \r]/)[0]!)),
  ...nonsense,
  ...mangled(row)
]

describe("a wrong answer", () => {
  const withAnswers = table.map((row) => ({ ...row, answers: wrongAnswersTo(row) }))

  it.live.each(withAnswers)(
    "to $name fails it and ends the connection for the others",
    ({ answers, issue, sends }) =>
      Effect.gen(function*() {
        // No command leaves after a quit.
        const isQuit = sends === "quit\r\n"
        const server = yield* answering(isQuit ? sends : `${sends}touch 2\r\n`, answers)
        for (const answer of answers) {
          yield* Effect.gen(function*() {
            const connection = yield* connect(server, { maxUnanswered: 2 })
            const culprit = yield* start(issue(connection))
            const behind = yield* start(connection.touch(id(2)))
            const queued = yield* start(connection.touch(id(3)))
            const said = `to ${JSON.stringify(answer)}`
            const { message, reason } = isFailure(
              yield* errorOf(culprit),
              { reason: "UnexpectedReply", sent: true },
              said
            )
            assert.include(message, "unexpected reply")
            const first = isFailure(yield* errorOf(behind), { reason: "ConnectionClosed", sent: !isQuit }, said)
            const second = isFailure(yield* errorOf(queued), { reason: "ConnectionClosed", sent: false }, said)
            assert.deepStrictEqual([first.reason.cause, second.reason.cause], [reason, reason])
            assert.strictEqual((yield* reasonAfterDeath(connection)).cause, reason)
          }).pipe(Effect.scoped)
        }
        yield* eventually(Effect.sync(() => assert.isTrue(server.sockets.every((socket) => socket.destroyed))))
        assert.strictEqual(server.connections(), answers.length)
      })
  )

  const { listTubeUsed, listTubes, peek, put, release, reserve, reserveJob, stats, statsJob, watch } = rows
  const details: ReadonlyArray<{ readonly what: string; readonly row: Row; readonly answer: string }> = [
    { what: "an id above 2^53 - 1", row: put, answer: "INSERTED 9007199254740992\r\n" },
    { what: "an id of 21 digits", row: put, answer: "INSERTED 100000000000000000000\r\n" },
    { what: "an id that is no number", row: put, answer: "INSERTED one\r\n" },
    { what: "a negative id", row: put, answer: "INSERTED -1\r\n" },
    { what: "an id with a fraction", row: put, answer: "INSERTED 1.5\r\n" },
    { what: "an id in hexadecimal", row: put, answer: "INSERTED 0x10\r\n" },
    { what: "an id in scientific notation", row: put, answer: "INSERTED 1e3\r\n" },
    { what: "a buried job without its id", row: put, answer: "BURIED\r\n" },
    { what: "an id where there is none", row: release, answer: "BURIED 7\r\n" },
    { what: "a reserved id above 2^53 - 1", row: reserve, answer: withBody("RESERVED 9007199254740993", "hello") },
    { what: "a found id that is no number", row: peek, answer: withBody("FOUND seven", "hello") },
    { what: "another job than was peeked at", row: peek, answer: withBody("FOUND 8", "hello") },
    { what: "another job than was to be reserved", row: reserveJob, answer: withBody("RESERVED 8", "hello") },
    { what: "the statistics of another job", row: statsJob, answer: rows.statsJob.reply.replace("id: 7", "id: 8") },
    { what: "a length that is no number", row: reserve, answer: "RESERVED 1 many\r\n" },
    { what: "a negative length", row: reserve, answer: "RESERVED 1 -1\r\n" },
    { what: "a length with a fraction", row: peek, answer: "FOUND 1 1.5\r\n" },
    { what: "no length", row: reserve, answer: "RESERVED 1 \r\n" },
    { what: "a length that no job can have", row: reserve, answer: "RESERVED 1 4294967296\r\n" },
    { what: "a length beyond any number", row: listTubes, answer: `OK ${"9".repeat(400)}\r\n` },
    { what: "a body longer than its length", row: peek, answer: "FOUND 1 3\r\nhello\r\n" },
    { what: "a body shorter than its length", row: peek, answer: "FOUND 1 7\r\nhello\r\nUSING default\r\n" },
    { what: "a body that ends with LF alone", row: peek, answer: "FOUND 1 5\r\nhello\n\r" },
    { what: "a count that is no number", row: watch, answer: "WATCHING two\r\n" },
    { what: "a tube that cannot be one", row: listTubeUsed, answer: "USING -x\r\n" },
    { what: "statistics of a job without an id", row: statsJob, answer: withBody("OK", "---\ntube: default\n") },
    { what: "a state that there is not", row: statsJob, answer: withBody("OK", "---\nid: 7\nstate: lost\n") },
    { what: "statistics that are no numbers", row: stats, answer: withBody("OK", "---\ncurrent-jobs-ready: many\n") },
    { what: "statistics that are none", row: stats, answer: withBody("OK", "hello") },
    { what: "a list that is none", row: listTubes, answer: withBody("OK", "hello") }
  ]
  it.live.each(details)("$what is an error, not a guess", ({ answer, row }) => refused(row, answer))

  it.live("the largest id that a number holds is one", () =>
    Effect.gen(function*() {
      const server = yield* answering(put.sends, ["INSERTED 9007199254740991\r\n"])
      const connection = yield* connect(server)
      assert.strictEqual(yield* put.issue(connection), Number.MAX_SAFE_INTEGER)
    }))

  it.live("a line without end fails at once, and shows how it began", () =>
    Effect.gen(function*() {
      const { reason } = yield* refused(peek, "x".repeat(100_000))
      assert.instanceOf(reason, Errors.UnexpectedReply)
      assert.match(reason.reply, /^x{20,200}$/)
    }))

  it.live("a list beyond maxReplySize fails with its first line, though nothing of it has come", () =>
    Effect.gen(function*() {
      const { message } = yield* refused(listTubes, "OK 60000000\r\n", { maxReplySize: 1000 })
      assert.include(message, "maxReplySize")
    }))

  it.live("a body for which there is no memory fails with its first line", () =>
    refused(listTubes, `OK ${2 ** 53 - 1}\r\n`, { maxReplySize: Number.MAX_SAFE_INTEGER }))

  it.live("a body of exactly maxReplySize is taken", () =>
    Effect.gen(function*() {
      const server = yield* answering(peek.sends, [withBody("FOUND 7", "x".repeat(1000))])
      const connection = yield* connect(server, { maxReplySize: 1000 })
      assert.strictEqual((yield* connection.peek(id(7))).text, "x".repeat(1000))
    }))

  it.live("behind a right one in the same packet: the command has its answer, the connection ends", () =>
    Effect.gen(function*() {
      const server = yield* answering("touch 1\r\ntouch 2\r\n", ["TOUCHED\r\nTOUCHED\r\nTOUCHED\r\nTOUCHED\r\n"])
      const connection = yield* connect(server)
      yield* Effect.all([connection.touch(id(1)), connection.touch(id(2))], { concurrency: "unbounded" })
      yield* dies(connection)
      assert.instanceOf((yield* reasonAfterDeath(connection)).cause, Errors.UnexpectedReply)
      yield* isDead(connection, server)
    }))

  it.live("behind a right one does not answer what was asked after that", () =>
    Effect.gen(function*() {
      const server = yield* answering("touch 1\r\n", ["TOUCHED\r\nTOUCHED\r\n"])
      const connection = yield* connect(server)
      const second = yield* start(Effect.andThen(connection.touch(id(1)), connection.touch(id(2))))
      isFailure(yield* errorOf(second), { reason: "ConnectionClosed", sent: false, command: "touch" })
      yield* isDead(connection, server)
      assert.strictEqual(server.received(), "touch 1\r\n")
    }))

  it.live("before any question ends the connection", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* onSilent()
      yield* says(server, "220 mail.example.com ESMTP\r\n")
      yield* dies(connection)
      yield* isDead(connection, server)
    }))

  const Bytes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
  it.live.prop("of any bytes ends every command", [Bytes], ([bytes]) =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve((socket) => {
        socket.once("data", () => socket.end(Uint8Array.from(bytes)))
      })
      const connection = yield* connect(server)
      const commands = table.filter(({ name }) => name !== "quit")
      const fibers = yield* Effect.forEach(commands, ({ issue }) => start(issue(connection)))
      const exits = yield* Effect.forEach(fibers, (fiber) => Effect.exit(Fiber.join(fiber)))
      assert.isTrue(exits.every(Exit.isFailure))
      yield* isDead(connection, server)
    }).pipe(Effect.scoped))
})

describe("a flood", () => {
  const maxReplySize = 4 * 1024 * 1024
  const chunk = Buffer.alloc(64 * 1024, "x")
  const floods: ReadonlyArray<{ readonly opening: string; readonly chunk: Buffer; readonly reason: string }> = [
    { opening: "", chunk, reason: "UnexpectedReply" },
    { opening: "", chunk: Buffer.alloc(64 * 1024, "DELETED\r\n"), reason: "UnexpectedReply" },
    { opening: "OK 60000000\r\n", chunk, reason: "UnexpectedReply" },
    // It is read to its end, and the next line is none.
    { opening: "FOUND 1 60000000\r\n", chunk, reason: "UnexpectedReply" },
    { opening: "FOUND 1 4294967295\r\n", chunk: Buffer.alloc(100 * 1024 * 1024), reason: "ConnectionClosed" },
    { opening: `FOUND 1 ${maxReplySize}\r\n`, chunk, reason: "UnexpectedReply" },
    // It stops where the CRLF after the body should be, and hangs up after a while.
    { opening: `FOUND 1 ${maxReplySize}\r\n`, chunk: Buffer.alloc(maxReplySize), reason: "ConnectionClosed" }
  ]

  it.live("ends the connection and takes no more memory than one reply may", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.serve((socket, n) => {
        const { chunk, opening, reason } = floods[n]!
        const pump = () => {
          while (!socket.destroyed && socket.write(chunk));
        }
        const stop = () => socket.write(chunk, () => setTimeout(() => socket.end(), 200))
        socket.once("data", () => {
          socket.write(opening)
          if (reason === "ConnectionClosed") stop()
          else socket.on("drain", pump).emit("drain")
        })
      })
      const { code, report, stderr } = yield* Program.run(
        new URL("programs/Flood.ts", import.meta.url),
        server.port,
        floods.length,
        maxReplySize
      )
      assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
      const asked = report as ReadonlyArray<{ readonly reason: string; readonly growth: number }>
      assert.deepStrictEqual(asked.map(({ reason }) => reason), floods.map(({ reason }) => reason))
      for (const { growth } of asked) assert.isBelow(growth, maxReplySize + 8 * 1024 * 1024)
      // The measure sees something: the body that was waiting for its end.
      assert.isAtLeast(asked.at(-1)!.growth, maxReplySize)
    }))
})

describe("all of this", () => {
  it.live("lets no exception and no rejection escape", () =>
    Effect.gen(function*() {
      yield* Effect.sleep(1)
      assert.deepStrictEqual(escaped, [])
    }))
})
