/**
 * The table of commands: the properties of each request, the meaning of each reply, and the replies that no server may
 * give.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { Buffer } from "node:buffer"
import * as Errors from "../../src/Errors.ts"
import * as Protocol from "../../src/Protocol.ts"
import type { AnyCommand, Request } from "../../src/internal/protocol/command.ts"
import {
  decodeReply,
  type ProtocolViolation,
  type RawReply,
  ReplyParser
} from "../../src/internal/protocol/replyReader.ts"
import * as Stats from "../../src/Stats.ts"

const { commands } = Protocol
const server = "127.0.0.1:11300"
const id = Protocol.JobId.make(7)
const tube = "emails"

const ALL: ReadonlyArray<AnyCommand> = Object.values(commands)

const accepted = (encoded: unknown): Request => {
  assert.notInstanceOf(encoded, Errors.InvalidArgument)
  return encoded as Request
}

/** The reply as the parser hands it over; `text` is what a server sends but for the last CRLF. */
const parsed = (text: string): RawReply => {
  const replies: Array<RawReply> = []
  new ReplyParser(100_000, (reply) => replies.push(reply) > 0).push(Buffer.from(`${text}\r\n`, "latin1"))
  assert.lengthOf(replies, 1)
  return replies[0]!
}

const failureOf = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined

/** The fields to compare: chai compares no field of an error but its message. */
const told = (answer: Exit.Exit<unknown, unknown> | ProtocolViolation) => {
  if (!Exit.isExit(answer)) return { violation: answer }
  if (Exit.isSuccess(answer)) return { value: answer.value }
  const error = failureOf(answer)
  assert.instanceOf(error, Error)
  return { error: error.constructor, message: error.message, fields: Object.fromEntries(Object.entries(error)) }
}

const isViolation = (answer: Exit.Exit<unknown, unknown> | ProtocolViolation): ProtocolViolation => {
  if (Exit.isExit(answer)) return assert.fail(`not a violation: ${String(answer)}`)
  return answer
}

// ---------------------------------------------------------------------------------------------------------------------
// The contract: each command with all replies that it can have (beanstalkd-behaviour.md, 3)
// ---------------------------------------------------------------------------------------------------------------------

interface Row {
  readonly command: AnyCommand
  readonly request: Request
  readonly replies: ReadonlyArray<readonly [reply: string, means: Exit.Exit<unknown, unknown>]>
}

const row = <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
  command: Protocol.Command<Args, Invalid, A, E>,
  args: Args,
  replies: Readonly<Record<string, Exit.Exit<A, E>>>
): Row => ({ command, request: accepted(command.encode(...args)), replies: Object.entries(replies) })

const done = Exit.succeed(undefined)
const hello = Exit.succeed(new Protocol.RawJob(id, Uint8Array.from(Buffer.from("hello")), "127.0.0.1:11300"))
const deadlineSoon = Exit.fail(new Errors.DeadlineSoon({ server }))

const noJob = (command: string) => Exit.fail(new Errors.NotFound({ command, server, id }))
const noTube = (command: string) => Exit.fail(new Errors.NotFound({ command, server, tube }))
const buried = (command: string, id: number) =>
  Exit.fail(new Errors.JobBuried({ command, server, id: Protocol.JobId.make(id) }))

const document = (text: string) => `OK ${text.length}\r\n${text}`

const LIST = "---\n- default\n- 123\n"
const JOB_STATS = "---\nid: 7\ntube: 0123\nstate: ready\npri: 1\n"
const TUBE_STATS = "---\nname: 0123\ncurrent-jobs-ready: 3\npause: 5\n"
const SERVER_STATS = "---\ncmd-put: 3\nversion: \"1.13\"\ndraining: false\n"

const CONTRACT: ReadonlyArray<Row> = [
  row(commands.put, ["hello"], {
    "INSERTED 8": Exit.succeed(Protocol.JobId.make(8)),
    "BURIED 8": buried("put", 8),
    "JOB_TOO_BIG": Exit.fail(new Errors.JobTooBig({ server, size: 5 })),
    "DRAINING": Exit.fail(new Errors.Draining({ server })),
    "OUT_OF_MEMORY": Exit.fail(new Errors.OutOfMemory({ server }))
  }),
  row(commands.use, [tube], { "USING emails": Exit.succeed("emails") }),
  row(commands.reserve, [], { "RESERVED 7 5\r\nhello": hello, "DEADLINE_SOON": deadlineSoon }),
  row(commands.reserveWithTimeout, [1500], {
    "RESERVED 7 5\r\nhello": hello,
    "DEADLINE_SOON": deadlineSoon,
    "TIMED_OUT": Exit.fail(new Errors.TimedOut({ server, timeoutSeconds: 2 }))
  }),
  row(commands.reserveJob, [id], { "RESERVED 7 5\r\nhello": hello, "NOT_FOUND": noJob("reserve-job") }),
  row(commands.delete, [id], { DELETED: done, NOT_FOUND: noJob("delete") }),
  row(commands.release, [id], { RELEASED: done, BURIED: buried("release", 7), NOT_FOUND: noJob("release") }),
  row(commands.bury, [id], { BURIED: done, NOT_FOUND: noJob("bury") }),
  row(commands.touch, [id], { TOUCHED: done, NOT_FOUND: noJob("touch") }),
  row(commands.watch, [tube], { "WATCHING 2": Exit.succeed(2) }),
  row(commands.ignore, [tube], {
    "WATCHING 1": Exit.succeed(1),
    "NOT_IGNORED": Exit.fail(new Errors.NotIgnored({ server, tube }))
  }),
  row(commands.peek, [id], { "FOUND 7 5\r\nhello": hello, "NOT_FOUND": noJob("peek") }),
  row(commands.peekReady, [tube], { "FOUND 7 5\r\nhello": hello, "NOT_FOUND": noTube("peek-ready") }),
  row(commands.peekDelayed, [tube], { "FOUND 7 5\r\nhello": hello, "NOT_FOUND": noTube("peek-delayed") }),
  row(commands.peekBuried, [], {
    "FOUND 7 5\r\nhello": hello,
    "NOT_FOUND": Exit.fail(new Errors.NotFound({ command: "peek-buried", server }))
  }),
  row(commands.kick, [10], { "KICKED 3": Exit.succeed(3) }),
  row(commands.kickJob, [id], { KICKED: done, NOT_FOUND: noJob("kick-job") }),
  row(commands.statsJob, [id], {
    [document(JOB_STATS)]: Exit.succeed(Schema.decodeSync(Stats.JobStatsFromText)(JOB_STATS)),
    NOT_FOUND: noJob("stats-job")
  }),
  row(commands.statsTube, [tube], {
    [document(TUBE_STATS)]: Exit.succeed(Schema.decodeSync(Stats.TubeStatsFromText)(TUBE_STATS)),
    NOT_FOUND: noTube("stats-tube")
  }),
  row(commands.stats, [], {
    [document(SERVER_STATS)]: Exit.succeed(Schema.decodeSync(Stats.ServerStatsFromText)(SERVER_STATS))
  }),
  row(commands.listTubes, [], { [document(LIST)]: Exit.succeed(["default", "123"]) }),
  row(commands.listTubeUsed, [], { "USING emails": Exit.succeed("emails") }),
  row(commands.listTubesWatched, [], { [document(LIST)]: Exit.succeed(["default", "123"]) }),
  row(commands.pauseTube, [tube, 0], { PAUSED: done, NOT_FOUND: noTube("pause-tube") }),
  row(commands.quit, [], {})
]

const shown = (reply: string) => JSON.stringify(reply.length > 50 ? `${reply.slice(0, 50)}...` : reply)

const decode = ({ command, request }: Row, reply: RawReply) => decodeReply(command, request, server, reply)

const wordOf = (reply: string) => /^\S*/.exec(reply)![0]

describe("the table", () => {
  it("has the 25 commands of the protocol, under the names that a connection has for them", () => {
    assert.lengthOf(ALL, 25)
    assert.deepStrictEqual(Object.fromEntries(Object.entries(commands).map(([key, { name }]) => [key, name])), {
      bury: "bury",
      delete: "delete",
      ignore: "ignore",
      kick: "kick",
      kickJob: "kick-job",
      listTubeUsed: "list-tube-used",
      listTubes: "list-tubes",
      listTubesWatched: "list-tubes-watched",
      pauseTube: "pause-tube",
      peek: "peek",
      peekBuried: "peek-buried",
      peekDelayed: "peek-delayed",
      peekReady: "peek-ready",
      put: "put",
      quit: "quit",
      release: "release",
      reserve: "reserve",
      reserveJob: "reserve-job",
      reserveWithTimeout: "reserve-with-timeout",
      stats: "stats",
      statsJob: "stats-job",
      statsTube: "stats-tube",
      touch: "touch",
      use: "use",
      watch: "watch"
    })
  })

  it("knows exactly the replies of the contract", () => {
    assert.deepStrictEqual(
      new Map(ALL.map(({ name, replies }) => [name, [...replies.keys()].sort()])),
      new Map(CONTRACT.map(({ command, replies }) => [command.name, replies.map(([reply]) => wordOf(reply)).sort()]))
    )
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// Requests
// ---------------------------------------------------------------------------------------------------------------------

describe("a request", () => {
  it("acts on the tube in use if it is one of these", () => {
    assert.deepStrictEqual(
      CONTRACT.filter(({ request }) => request.usesTube === true).map(({ command }) => command.name).sort(),
      ["kick", "list-tube-used", "peek-buried", "peek-delayed", "peek-ready", "put"]
    )
  })

  it("acts on another tube if it is told so", () => {
    for (
      const encoded of [
        commands.put.encode("x", { tube }),
        commands.kick.encode(1, tube),
        commands.peekReady.encode(tube),
        commands.peekDelayed.encode(tube),
        commands.peekBuried.encode(tube)
      ]
    ) {
      const request = accepted(encoded)
      assert.strictEqual(request.tube, tube)
      assert.isTrue(request.usesTube)
      assert.notInclude(request.head, tube)
    }
  })

  it("says how long the server may wait, as it is told to the server", () => {
    for (const [timeout, seconds] of [[0, 0], [1, 1], ["1 minute", 60], [Infinity, 2 ** 31 - 1]] as const) {
      assert.strictEqual(accepted(commands.reserveWithTimeout.encode(timeout)).seconds, seconds)
    }
  })
})

type Refused = readonly [encoded: unknown, command: string, argument: string, value: unknown]

const notId = "7" as unknown as Protocol.JobId
const notTube = "x\r\nuse y"
const notNumber = "1" as unknown as number

const REFUSED: ReadonlyArray<Refused> = [
  [commands.put.encode(7 as unknown as string), "put", "body", 7],
  [commands.put.encode("\ud800"), "put", "body", "\ud800"],
  [commands.put.encode("x", { priority: 1.5 }), "put", "priority", 1.5],
  [commands.put.encode("x", { delay: -1 }), "put", "delay", -1],
  [commands.put.encode("x", { ttr: 60 }), "put", "ttr", 60],
  [commands.put.encode("x", { ttr: 1.5 }), "put", "ttr", 1.5],
  [commands.put.encode("x", { tube: notTube }), "put", "tube", notTube],
  [commands.use.encode(notTube), "use", "tube", notTube],
  [commands.reserveWithTimeout.encode(-1), "reserve-with-timeout", "timeout", -1],
  [commands.reserveWithTimeout.encode(NaN), "reserve-with-timeout", "timeout", NaN],
  [commands.reserveJob.encode(notId), "reserve-job", "id", notId],
  [commands.delete.encode(notId), "delete", "id", notId],
  [commands.release.encode(notId), "release", "id", notId],
  [commands.release.encode(id, { priority: -1 }), "release", "priority", -1],
  [commands.release.encode(id, { delay: Infinity }), "release", "delay", Infinity],
  [commands.bury.encode(notId), "bury", "id", notId],
  [commands.bury.encode(id, { priority: 2 ** 32 }), "bury", "priority", 2 ** 32],
  [commands.touch.encode(notId), "touch", "id", notId],
  [commands.watch.encode(notTube), "watch", "tube", notTube],
  [commands.ignore.encode(notTube), "ignore", "tube", notTube],
  [commands.peek.encode(notId), "peek", "id", notId],
  [commands.peekReady.encode(notTube), "peek-ready", "tube", notTube],
  [commands.peekDelayed.encode(notTube), "peek-delayed", "tube", notTube],
  [commands.peekBuried.encode(notTube), "peek-buried", "tube", notTube],
  [commands.kick.encode(notNumber), "kick", "bound", notNumber],
  [commands.kick.encode(-1), "kick", "bound", -1],
  [commands.kick.encode(1, notTube), "kick", "tube", notTube],
  [commands.kickJob.encode(notId), "kick-job", "id", notId],
  [commands.statsJob.encode(notId), "stats-job", "id", notId],
  [commands.statsTube.encode(notTube), "stats-tube", "tube", notTube],
  [commands.pauseTube.encode(notTube, 0), "pause-tube", "tube", notTube],
  [commands.pauseTube.encode(tube, -1), "pause-tube", "delay", -1]
]

describe("an argument that is not allowed", () => {
  for (const [encoded, command, argument, value] of REFUSED) {
    it(`is refused before there is a request: ${command} with ${argument} ${JSON.stringify(value)}`, () => {
      assert.instanceOf(encoded, Errors.InvalidArgument)
      assert.strictEqual(encoded.operation, command)
      assert.strictEqual(encoded.argument, argument)
      assert.isTrue(Object.is(encoded.value, value))
    })
  }

  it("is shown here for every command that has arguments", () => {
    const without = ["list-tube-used", "list-tubes", "list-tubes-watched", "quit", "reserve", "stats"]
    assert.deepStrictEqual(
      [...new Set(REFUSED.map(([, command]) => command))].sort(),
      ALL.map(({ name }) => name).filter((name) => !without.includes(name)).sort()
    )
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// Replies
// ---------------------------------------------------------------------------------------------------------------------

const REFUSALS: Readonly<Record<string, Errors.BeanstalkdErrorReason>> = {
  OUT_OF_MEMORY: new Errors.ServerOutOfMemory(),
  INTERNAL_ERROR: new Errors.InternalError(),
  BAD_FORMAT: new Errors.BadFormat(),
  UNKNOWN_COMMAND: new Errors.UnknownCommand(),
  EXPECTED_CRLF: new Errors.ExpectedCrlf()
}

const NOWHERE = [
  "",
  "HELLO",
  "inserted 1",
  "constructor",
  "__proto__",
  "toString",
  "hasOwnProperty",
  "valueOf 1",
  "BAD_FORMAT x",
  "OUT_OF_MEMORY 1",
  "OK",
  "OK 1 2",
  "RESERVED",
  "FOUND 1"
]

const OF_ANY_COMMAND = [...new Set(CONTRACT.flatMap(({ replies }) => replies.map(([reply]) => reply)))]

for (const one of CONTRACT) {
  const { command, replies, request } = one
  const own = new Set(replies.map(([reply]) => wordOf(reply)))

  describe(`${command.name} answered by`, () => {
    for (const [reply, means] of replies) {
      it(`${shown(reply)} ${Exit.isSuccess(means) ? "succeeds" : `fails with ${String(failureOf(means))}`}`, () => {
        assert.deepStrictEqual(told(decode(one, parsed(reply))), told(means))
      })
    }

    it("a reply of another command is a violation", () => {
      const others = OF_ANY_COMMAND.filter((reply) => !own.has(wordOf(reply)) && !(reply in REFUSALS))
      assert.isAbove(others.length, 15)
      for (const reply of others) {
        const violation = isViolation(decode(one, parsed(reply)))
        assert.strictEqual(violation.detail, `not a reply to ${command.name}`)
        assert.isTrue(violation.reply.startsWith(wordOf(reply)))
      }
    })

    it("a reply that no command has is a violation", () => {
      for (const reply of NOWHERE) {
        const violation = isViolation(decode(one, parsed(reply)))
        assert.strictEqual(violation.reply, reply)
        assert.isNotEmpty(violation.detail)
      }
    })

    it("a reply of its own with a field too many or too few is a violation", () => {
      for (const [reply] of replies) {
        const { fields, word } = parsed(reply)
        const wrong = [[...fields, "1"], [...fields, new Uint8Array(1)], ["1", ...fields]]
        if (fields.length > 0) wrong.push(fields.slice(1), fields.slice(0, -1), [])
        for (const fields of wrong) isViolation(decode(one, { word, fields }))
      }
    })

    it("a refusal of the server fails with that as the reason", () => {
      for (const [word, reason] of Object.entries(REFUSALS)) {
        if (own.has(word)) continue
        const error = new Errors.BeanstalkdError({ command: command.name, server, sent: true, reason })
        assert.deepStrictEqual(told(decode(one, parsed(word))), told(Exit.fail(error)))
      }
    })

    it.prop("anything at all is told apart without an exception", {
      word: Schema.Union([Schema.String, Schema.Literals([...own, ...Object.keys(REFUSALS)])]),
      fields: Schema.Array(Schema.Union([Schema.String, Schema.Uint8Array]))
    }, ({ fields, word }) => {
      const answer = decodeReply(command, request, server, { word, fields })
      if (Exit.isExit(answer)) assert.isTrue(own.has(word) || word in REFUSALS)
      else assert.isAtMost(answer.reply.length, 200)
    })
  })
}

const rowOf = (name: string): Row => CONTRACT.find(({ command }) => command.name === name)!

describe("a field that cannot be read", () => {
  const IDS = ["", "x", "-1", "+1", "1.5", "0x1", "1e3", "9007199254740992", "18446744073709551615", "1".repeat(21)]

  for (const badId of IDS) {
    it(`makes a violation of a reply: the id ${JSON.stringify(badId)}`, () => {
      isViolation(decode(rowOf("put"), parsed(`INSERTED ${badId}`)))
      isViolation(decode(rowOf("put"), parsed(`BURIED ${badId}`)))
      for (const command of ["reserve", "reserve-with-timeout", "reserve-job"]) {
        isViolation(decode(rowOf(command), parsed(`RESERVED ${badId} 2\r\nhi`)))
      }
      for (const command of ["peek", "peek-ready", "peek-delayed", "peek-buried"]) {
        isViolation(decode(rowOf(command), parsed(`FOUND ${badId} 2\r\nhi`)))
      }
    })

    it(`makes a violation of a reply: the count ${JSON.stringify(badId)}`, () => {
      isViolation(decode(rowOf("kick"), parsed(`KICKED ${badId}`)))
      isViolation(decode(rowOf("watch"), parsed(`WATCHING ${badId}`)))
      isViolation(decode(rowOf("ignore"), parsed(`WATCHING ${badId}`)))
    })
  }

  it("makes a violation of a reply: a name that no tube can have", () => {
    for (const name of ["", "-a", "a,b", "x".repeat(201), "\xe9"]) {
      isViolation(decode(rowOf("use"), parsed(`USING ${name}`)))
      isViolation(decode(rowOf("list-tube-used"), parsed(`USING ${name}`)))
    }
  })

  it("makes a violation of a reply: statistics whose numbers are none", () => {
    isViolation(decode(rowOf("stats"), parsed(document("---\ncmd-put: x\n"))))
    isViolation(decode(rowOf("stats-tube"), parsed(document("---\npause: x\n"))))
    isViolation(decode(rowOf("stats-job"), parsed(document("---\nid: 1\nstate: lost\n"))))
  })

  it("does not fill the error with a body, nor with a line without end", () => {
    const { reply } = isViolation(decode(rowOf("put"), parsed(`RESERVED 1 900\r\n${"x".repeat(900)}`)))
    assert.strictEqual(reply, "RESERVED 1 (900 bytes)")
    assert.strictEqual(isViolation(decode(rowOf("put"), parsed("x".repeat(900)))).reply, "x".repeat(200))
  })
})

describe("the largest id that a number can hold", () => {
  it("is read exactly", () => {
    assert.deepStrictEqual(told(decode(rowOf("put"), parsed("INSERTED 9007199254740991"))), { value: 2 ** 53 - 1 })
  })
})

describe("a body that is too big", () => {
  it("is told in bytes, not in characters", () => {
    for (const body of ["\u20ac", Uint8Array.of(1, 2, 3)]) {
      const request = accepted(commands.put.encode(body))
      assert.deepStrictEqual(
        told(decodeReply(commands.put, request, server, parsed("JOB_TOO_BIG"))),
        told(Exit.fail(new Errors.JobTooBig({ server, size: 3 })))
      )
    }
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// The Schemas of replies
// ---------------------------------------------------------------------------------------------------------------------

const codecOf = (fields: Schema.Top) =>
  fields as Schema.Codec<ReadonlyArray<unknown>, ReadonlyArray<string | Uint8Array>>

// -0 is 0 on the wire.
const withoutSign = (value: unknown) => value === 0 ? 0 : value

const STATISTICS = ["stats", "stats-job", "stats-tube"]

describe("the Schema of a reply's fields", () => {
  for (const { name, replies } of ALL) {
    for (const [word, { fields }] of replies) {
      // Statistics are encoded as the text that they were read from, so arbitrary ones have no encoding.
      if (word === "OK" && STATISTICS.includes(name)) continue
      const codec = codecOf(fields)
      it.prop(`of ${word} to ${name} reads what it writes`, [Arbitrary.schema(codec)], ([values]) => {
        const encoded = Schema.encodeSync(codec)(values)
        for (const field of encoded) assert.isTrue(typeof field === "string" || field instanceof Uint8Array)
        assert.deepStrictEqual(Schema.decodeSync(codec)(encoded), values.map(withoutSign))
      })
    }
  }

  for (const [name, text] of [["stats", SERVER_STATS], ["stats-job", JOB_STATS], ["stats-tube", TUBE_STATS]] as const) {
    it.prop(`of OK to ${name} writes what it read`, [
      Schema.String.check(Schema.isPattern(/^[a-z-]{1,9}: [ -~]{0,20}$/))
    ], ([line]) => {
      const codec = codecOf(rowOf(name).command.replies.get("OK")!.fields)
      const bytes = Uint8Array.from(Buffer.from(`${text}x-${line}\n`))
      assert.deepStrictEqual(Schema.encodeSync(codec)(Schema.decodeSync(codec)([bytes])), [bytes])
    })
  }
})

describe("a received job", () => {
  const received = (body: Uint8Array) => new Protocol.RawJob(id, body, "127.0.0.1:11300")
  const WellFormed = Arbitrary.filter(Arbitrary.schema(Schema.String), (text) => text.isWellFormed())

  it.prop("has as its text what was put as text", [WellFormed], ([text]) => {
    assert.strictEqual(received(Uint8Array.from(Buffer.from(text))).text, text)
  })

  it("has as its text what was put as text, a byte order mark included", () => {
    assert.strictEqual(received(Uint8Array.from(Buffer.from("\ufeffhello"))).text, "\ufeffhello")
  })

  it("has a body of every byte value, and a text even if that is no UTF-8", () => {
    const body = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    assert.strictEqual(received(body).body, body)
    assert.strictEqual(received(Uint8Array.of(104, 255, 105)).text, "h\ufffdi")
  })
})
