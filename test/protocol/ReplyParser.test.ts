/**
 * The parser cuts replies out of the stream wherever its pieces break, and stops a stream that violates the protocol
 * with little memory.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { Buffer } from "node:buffer"
import { type ProtocolViolation, type RawReply, ReplyParser } from "../../src/internal/protocol/replyReader.ts"
import { cut, everyWay, oneByOne } from "../support/Pieces.ts"

const LARGE = 100_000

const latin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "latin1"))

/** A reply as a server writes it (beanstalkd-behaviour.md, 3). */
const write = ({ fields, word }: RawReply): Buffer => {
  const words = [word, ...fields.map((field) => typeof field === "string" ? field : field.length)]
  const line = Buffer.from(`${words.join(" ")}\r\n`, "latin1")
  const body = fields.at(-1)
  return body instanceof Uint8Array ? Buffer.concat([line, body, Buffer.from("\r\n")]) : line
}

interface Parsed {
  readonly replies: ReadonlyArray<RawReply>
  readonly violation: ProtocolViolation | undefined
  /** How many bytes were taken until the parser complained. */
  readonly taken: number
}

const parse = (pieces: Iterable<Uint8Array>, maxReplySize = LARGE): Parsed => {
  const replies: Array<RawReply> = []
  const parser = new ReplyParser(maxReplySize, (reply) => replies.push(reply) > 0)
  let taken = 0
  for (const piece of pieces) {
    taken += piece.length
    const violation = parser.push(piece)
    if (violation !== undefined) return { replies, violation, taken }
  }
  return { replies, violation: undefined, taken }
}

const reply = (word: string, ...fields: RawReply["fields"]): RawReply => ({ word, fields })

const allBytes = Uint8Array.from({ length: 256 }, (_, byte) => byte)

const SESSION: ReadonlyArray<RawReply> = [
  reply("INSERTED", "1"),
  reply("USING", "emails"),
  reply("WATCHING", "2"),
  reply("RESERVED", "1", latin1("hello")),
  reply("RESERVED", "2", new Uint8Array(0)),
  reply("RESERVED", "3", latin1("INSERTED 1\r\n")),
  reply("FOUND", "4", latin1("\r\n")),
  reply("FOUND", "5", latin1("\r")),
  reply("FOUND", "6", latin1("\n\r\n\r")),
  reply("FOUND", "18446744073709551615", allBytes),
  reply("NOT_FOUND"),
  reply("OK", latin1("---\n- default\n")),
  reply("OK", latin1("OK 5\r\nhello\r\n")),
  reply("KICKED"),
  reply("KICKED", "7"),
  reply("DEADLINE_SOON")
]

const SESSION_BYTES = Uint8Array.from(Buffer.concat(SESSION.map(write)))

describe("a session", () => {
  it("is written by this file as a server writes it", () => {
    assert.strictEqual(
      Buffer.concat(SESSION.slice(0, 6).map(write)).toString("latin1"),
      "INSERTED 1\r\nUSING emails\r\nWATCHING 2\r\nRESERVED 1 5\r\nhello\r\nRESERVED 2 0\r\n\r\n" +
        "RESERVED 3 12\r\nINSERTED 1\r\n\r\n"
    )
  })

  it("is read in one piece", () => {
    assert.deepStrictEqual(parse([SESSION_BYTES]), {
      replies: SESSION,
      violation: undefined,
      taken: SESSION_BYTES.length
    })
  })

  it("is read in two pieces, wherever it is cut", () => {
    for (let position = 0; position <= SESSION_BYTES.length; position++) {
      const { violation, replies } = parse(cut(SESSION_BYTES, position))
      assert.deepStrictEqual(replies, SESSION, `cut at ${position}`)
      assert.isUndefined(violation)
    }
  })

  it("is read byte by byte, and each reply is there as soon as its last byte is", () => {
    const seen: Array<number> = []
    const parser = new ReplyParser(LARGE, () => seen.push(at) > 0)
    let at = 0
    for (const byte of oneByOne(SESSION_BYTES)) {
      at += byte.length
      assert.isUndefined(parser.push(byte))
    }
    let end = 0
    assert.deepStrictEqual(seen, SESSION.map((reply) => end += write(reply).length))
    assert.deepStrictEqual(parse(oneByOne(SESSION_BYTES)).replies, SESSION)
  })

  it.prop("is read in any number of pieces, empty ones among them", [
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: SESSION_BYTES.length })))
  ], ([positions]) => {
    assert.deepStrictEqual(parse(cut(SESSION_BYTES, ...positions)).replies, SESSION)
  }, { arbitrary: { runs: 300, size: 60 } })

  it("may come in plain arrays of bytes that lie somewhere in a larger buffer", () => {
    const large = new Uint8Array(SESSION_BYTES.length + 100).fill(65)
    large.set(SESSION_BYTES, 37)
    const piece = new Uint8Array(large.buffer, 37, SESSION_BYTES.length)
    assert.isFalse(Buffer.isBuffer(piece))
    for (const pieces of [[piece], cut(piece, 50, 51, 200), [Buffer.from(large.buffer, 37, SESSION_BYTES.length)]]) {
      assert.deepStrictEqual(parse(pieces).replies, SESSION)
    }
  })
})

const Word = Schema.String.check(Schema.isPattern(/^[A-Z_]{1,20}$/))
const Field = Schema.String.check(Schema.isPattern(/^[!-~]{1,30}$/))
const Id = Schema.String.check(Schema.isPattern(/^[0-9]{1,20}$/))
const BodyWithLines = Arbitrary.map(
  Arbitrary.schema(Schema.String.check(Schema.isPattern(/^[\r\nOK 0-9ÿ]{0,60}$/))),
  latin1
)

/** Any reply, those with a body at least as often as those without. */
const AnyReply = Arbitrary.map(
  Arbitrary.all({
    kind: Arbitrary.schema(Schema.Literals(["line", "RESERVED", "FOUND", "OK"])),
    word: Arbitrary.filter(Arbitrary.schema(Word), (word) => !["RESERVED", "FOUND", "OK"].includes(word)),
    fields: Arbitrary.array(Arbitrary.schema(Field), { maxLength: 3 }),
    id: Arbitrary.schema(Id),
    lines: Arbitrary.schema(Schema.Boolean),
    bytes: Arbitrary.schema(Schema.Uint8Array),
    text: BodyWithLines
  }),
  ({ bytes, fields, id, kind, lines, text, word }) => {
    const body = lines ? text : bytes
    return kind === "line" ? reply(word, ...fields) : kind === "OK" ? reply(kind, body) : reply(kind, id, body)
  }
)

describe("any replies", () => {
  it.prop("are read as they were written, however they are cut", {
    replies: Arbitrary.array(AnyReply, { minLength: 1, maxLength: 8 }),
    cuts: Schema.Array(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })))
  }, ({ cuts, replies }) => {
    const bytes = Buffer.concat(replies.map(write))
    const positions = cuts.map((fraction) => Math.floor(fraction * bytes.length))
    assert.deepStrictEqual(parse(cut(bytes, ...positions)).replies, replies)
    assert.deepStrictEqual(parse([bytes]).replies, replies)
  }, { arbitrary: { runs: 300, size: 40 } })

  it.prop("any bytes are read the same in two pieces as in one", {
    text: Schema.String.check(Schema.isPattern(/^((OK|FOUND|RESERVED)? [0-9] ?[0-9]?\r\n|[A-Z\r\n 0-9]){0,12}$/)),
    at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))
  }, ({ at, text }) => {
    const bytes = latin1(text)
    const whole = parse([bytes])
    const pieces = parse(cut(bytes, Math.min(at, bytes.length)))
    assert.deepStrictEqual(pieces.replies, whole.replies)
    assert.strictEqual(pieces.violation?.detail, whole.violation?.detail)
  }, { arbitrary: { runs: 1000 } })
})

describe("a line", () => {
  for (
    const [text, expected] of [
      ["", reply("")],
      ["INSERTED ", reply("INSERTED", "")],
      ["INSERTED  1", reply("INSERTED", "", "1")],
      ["A B C D E", reply("A", "B", "C", "D", "E")],
      ["OK", reply("OK")],
      ["OK 1 2", reply("OK", "1", "2")],
      ["RESERVED 1", reply("RESERVED", "1")],
      ["RESERVED 1 2 3", reply("RESERVED", "1", "2", "3")],
      ["FOUND", reply("FOUND")],
      ["INSERTED 1 2", reply("INSERTED", "1", "2")],
      ["ok 2", reply("ok", "2")],
      ["A\nB", reply("A\nB")],
      ["A\rB", reply("A\rB")],
      ["A\r", reply("A\r")],
      ["\n", reply("\n")],
      ["\xff\x00", reply("\xff\x00")]
    ] as const
  ) {
    it(`${JSON.stringify(text)} and CRLF is a reply without a body`, () => {
      for (const pieces of everyWay(latin1(`${text}\r\nNEXT\r\n`))) {
        assert.deepStrictEqual(parse(pieces).replies, [expected, reply("NEXT")])
      }
    })
  }

  it("without an end is stopped after 1 KiB, in one piece or byte by byte", () => {
    for (const pieces of [[latin1("x".repeat(1_000_000))], oneByOne(latin1("x".repeat(5000)))]) {
      const { violation, replies } = parse([write(reply("KICKED")), ...pieces])
      assert.deepStrictEqual(replies, [reply("KICKED")])
      assert.deepStrictEqual(violation, { reply: "x".repeat(200), detail: "no end of line in 1024 bytes" })
    }
    assert.include([1025, 1026], parse(oneByOne(latin1("x".repeat(5000)))).taken)
  })

  it("of more than 1 KiB is refused even if it has an end", () => {
    for (const pieces of everyWay(latin1(`${"x".repeat(1025)}\r\n`))) {
      const { violation, replies } = parse(pieces)
      assert.isEmpty(replies)
      assert.strictEqual(violation?.reply, "x".repeat(200))
    }
  })

  it("of 1 KiB is read, wherever it is cut", () => {
    const longest = "x".repeat(1024)
    for (const pieces of everyWay(latin1(`${longest}\r\n`))) {
      assert.deepStrictEqual(parse(pieces).replies, [reply(longest)])
    }
  })

  it("keeps nothing of the piece in which it began", () => {
    const replies: Array<RawReply> = []
    const parser = new ReplyParser(LARGE, (reply) => replies.push(reply) > 0)
    const piece = latin1("INSERTED 12")
    parser.push(piece)
    piece.fill(0)
    parser.push(latin1("34\r\n"))
    assert.deepStrictEqual(replies, [reply("INSERTED", "1234")])
  })
})

describe("the length of a body", () => {
  for (const length of ["x", "-1", "+1", "1.5", "1e3", "0x10", "", "1\r", "\xb2", "5\0"]) {
    it(`is not ${JSON.stringify(length)}`, () => {
      for (const head of ["OK", "RESERVED 1", "FOUND 1"]) {
        const line = `${head} ${length}`
        const { violation, replies } = parse([latin1(`KICKED\r\n${line}\r\nhello\r\n`)])
        assert.deepStrictEqual(replies, [reply("KICKED")])
        assert.deepStrictEqual(violation, {
          reply: line,
          detail: "the length of the body is not a number"
        })
      }
    })
  }

  it("may be as much as maxReplySize, and no more", () => {
    assert.deepStrictEqual(parse([latin1("OK 10\r\n0123456789\r\n")], 10).replies, [reply("OK", latin1("0123456789"))])
    for (
      const line of ["OK 11", "OK 4294967295", "OK 000000000000011", "RESERVED 1 4294967296", "FOUND 1 99999999999"]
    ) {
      for (const pieces of everyWay(latin1(`${line}\r\n`))) {
        assert.deepStrictEqual(parse(pieces, 10), {
          replies: [],
          violation: { reply: line, detail: "a body of more than 10 bytes (maxReplySize)" },
          taken: `${line}\r\n`.length
        })
      }
    }
  })

  it("of a job may be more, and then its body is skipped: only its size is told", () => {
    for (const word of ["RESERVED", "FOUND"]) {
      for (const pieces of everyWay(latin1(`KICKED\r\n${word} 7 11\r\n0123456\r\nOK\r\nDELETED\r\n`))) {
        const { replies, violation } = parse(pieces, 10)
        assert.isUndefined(violation)
        assert.deepStrictEqual(replies, [
          reply("KICKED"),
          { word, fields: ["7"], skipped: { size: 11, limit: 10 } },
          reply("DELETED")
        ])
      }
    }
  })

  it("of a job that is skipped must be right all the same", () => {
    for (const pieces of everyWay(latin1("RESERVED 7 11\r\n0123456789abc"))) {
      assert.strictEqual(parse(pieces, 10).violation?.detail, "the body is not followed by CRLF")
    }
  })

  it("is too big if no number can hold it, and told with no more than the beginning of the line", () => {
    for (const length of ["18446744073709551616", "9".repeat(300)]) {
      const line = `OK ${length}`
      const { violation, replies } = parse([latin1(`${line}\r\n`)], Number.MAX_SAFE_INTEGER)
      assert.isEmpty(replies)
      assert.deepStrictEqual(violation, {
        reply: line.slice(0, 200),
        detail: `a body of more than ${Number.MAX_SAFE_INTEGER} bytes (maxReplySize)`
      })
    }
  })

  it("may have leading zeros", () => {
    assert.deepStrictEqual(parse([latin1("OK 0002\r\nhi\r\n")]).replies, [reply("OK", latin1("hi"))])
  })
})

describe("a body", () => {
  for (const behind of ["XX", "\rX", "X\n", "\n\r", "\n", "c\r\n", "\0\0"]) {
    it(`followed by ${JSON.stringify(behind)} is a violation`, () => {
      for (const pieces of everyWay(latin1(`KICKED\r\nRESERVED 1 2\r\nab${behind}`))) {
        const { violation, replies } = parse(pieces)
        assert.deepStrictEqual(replies, [reply("KICKED")])
        assert.strictEqual(violation?.detail, "the body is not followed by CRLF")
        assert.isTrue(violation?.reply.startsWith("RESERVED"))
      }
    })
  }

  it("of zeros, followed by zeros, is torn, and told with the id of its job", () => {
    const tornIn = (text: string) => parse([latin1(text)]).violation?.tornJob
    for (const bytes of ["RESERVED 7 3\r\n\0\0\0\0\0", "RESERVED 7 0\r\n\0\0", "FOUND 7 1\r\n\0\0\0"]) {
      for (const pieces of everyWay(latin1(bytes))) assert.strictEqual(parse(pieces).violation?.tornJob, "7", bytes)
    }
    assert.isUndefined(tornIn("RESERVED 7 3\r\n\0\0\0XX"))
    assert.isUndefined(tornIn("RESERVED 7 3\r\n\0a\0\0\0"))
    assert.isUndefined(tornIn("RESERVED 7 0\r\nX\0"))
    assert.isUndefined(tornIn("OK 3\r\n\0\0\0\0\0"))
  })

  it("is not there before the line end behind it", () => {
    for (const bytes of ["RESERVED 1 2\r\nab", "RESERVED 1 2\r\nab\r", "RESERVED 1 0\r\n", "RESERVED 1 0\r\n\r"]) {
      assert.deepStrictEqual(parse([latin1(bytes)]).replies, [])
    }
  })

  const bodiesOf = (pieces: Iterable<Uint8Array>) =>
    parse(pieces).replies.flatMap(({ fields }) => fields.filter((field) => typeof field !== "string"))

  it("of a job holds no more memory than its own length", () => {
    for (const pieces of everyWay(SESSION_BYTES)) {
      const replies = parse(pieces).replies.filter(({ word }) => word !== "OK")
      const bodies = replies.flatMap(({ fields }) => fields.filter((field) => typeof field !== "string"))
      assert.isAbove(bodies.length, 2)
      for (const body of bodies) assert.strictEqual(body.buffer.byteLength, body.length)
    }
  })

  it("of a document lies in the piece if all of it is there", () => {
    const piece = latin1("KICKED\r\nOK 5\r\nhello\r\nOK 0\r\n\r\n")
    const [body, empty] = bodiesOf([piece])
    assert.strictEqual(body?.buffer, piece.buffer)
    assert.strictEqual(Buffer.from(body!).toString(), "hello")
    assert.lengthOf(empty!, 0)
  })

  it("does not change when the pieces in which it came do", () => {
    for (const piecesOf of [(bytes: Uint8Array) => [bytes], oneByOne, (bytes: Uint8Array) => cut(bytes, 14, 16)]) {
      const bytes = latin1("RESERVED 1 5\r\nhello\r\n")
      const [body] = bodiesOf((function*() {
        for (const piece of piecesOf(bytes)) {
          yield piece
          piece.fill(0)
        }
      })())
      assert.deepStrictEqual(body, latin1("hello"))
    }
  })
})

describe("the parser", () => {
  const stopping = (word: string) => {
    const words: Array<string> = []
    const parser = new ReplyParser(LARGE, (reply) => {
      words.push(reply.word)
      return reply.word !== word
    })
    return { parser, words }
  }

  for (const last of ["INSERTED", "OK"]) {
    it(`stops for good when it is told so, at ${last}`, () => {
      const { parser, words } = stopping(last)
      const bytes = latin1("KICKED\r\nINSERTED 1\r\nOK 2\r\nhi\r\nNOT_FOUND\r\nOK x\r\n")
      const expected = last === "OK" ? ["KICKED", "INSERTED", "OK"] : ["KICKED", "INSERTED"]
      assert.isUndefined(parser.push(bytes))
      assert.deepStrictEqual(words, expected)
      for (const later of [bytes, latin1("x".repeat(5000)), latin1("OK x\r\n")]) {
        assert.isUndefined(parser.push(later))
      }
      assert.deepStrictEqual(words, expected)
    })
  }

  it("reads nothing more after a violation, and complains once", () => {
    for (const violation of ["OK x\r\n", "OK 99999999999\r\n", "OK 2\r\nabXX", "x".repeat(2000)]) {
      const { parser, words } = stopping("")
      assert.isDefined(parser.push(latin1(`KICKED\r\n${violation}`)))
      assert.isUndefined(parser.push(latin1("KICKED\r\nOK x\r\n")))
      assert.isUndefined(parser.push(latin1("\r\nKICKED\r\n")))
      assert.deepStrictEqual(words, ["KICKED"])
    }
  })

  it("tells replies and the violation in the same piece apart", () => {
    const { parser, words } = stopping("")
    assert.isDefined(parser.push(latin1("KICKED\r\nOK 1\r\na\r\nOK x\r\nKICKED\r\n")))
    assert.deepStrictEqual(words, ["KICKED", "OK"])
  })
})
