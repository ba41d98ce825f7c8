/**
 * What a client sends is cut into lines and bodies, however it arrives, and no more of it is kept than has to be.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { Buffer } from "node:buffer"
import { RequestParser, TOO_LONG } from "../../src/internal/server/requestParser.ts"
import { cut, everyWay, oneByOne } from "../support/Pieces.ts"

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1")

/** What a server asks for next. */
type Ask = "line" | { readonly body: number } | { readonly skip: number }

type Answer = string | { readonly body: string; readonly isEnded: boolean } | { readonly skipped: number }

/** Asks for one thing after the other, for lines in the end, as long as there is something; as a server does. */
class Reader {
  readonly input = new RequestParser()
  readonly answers: Array<Answer> = []
  readonly #asks: Array<Ask>
  #toSkip: number | undefined

  constructor(asks: ReadonlyArray<Ask>) {
    this.#asks = [...asks]
  }

  take(piece: Uint8Array): void {
    this.input.push(piece)
    while (this.#step()) {}
    this.input.keep()
  }

  #step(): boolean {
    const ask = this.#asks[0] ?? "line"
    const answer = this.#answer(ask)
    if (answer === undefined) return false
    this.#asks.shift()
    this.answers.push(answer)
    return true
  }

  #answer(ask: Ask): Answer | undefined {
    if (ask === "line") {
      const line = this.input.line()
      return line === TOO_LONG ? "TOO_LONG" : line
    }
    if ("body" in ask) {
      const read = this.input.body(ask.body)
      return read && {
        body: typeof read.body === "string" ? read.body : read.body.toString("latin1"),
        isEnded: read.isEnded
      }
    }
    this.#toSkip = this.input.skip(this.#toSkip ?? ask.skip)
    if (this.#toSkip > 0) return undefined
    this.#toSkip = undefined
    return { skipped: ask.skip }
  }
}

/** Gives pieces that are overwritten as soon as they have been taken: what is kept must have been copied. */
const read = (pieces: ReadonlyArray<Uint8Array>, asks: ReadonlyArray<Ask> = []) => {
  const reader = new Reader(asks)
  for (const piece of pieces) {
    const passing = Uint8Array.from(piece)
    reader.take(passing)
    passing.fill(0x21)
  }
  return reader.answers
}

describe("a line", () => {
  it("ends with CRLF, wherever it is broken", () => {
    for (const pieces of everyWay(latin1("use foo\r\n\r\n stats\r\nrest"))) {
      assert.deepStrictEqual(read(pieces), ["use foo", "", " stats"])
    }
  })

  it("may have a CR or an LF in it, or at its edge", () => {
    for (const pieces of everyWay(latin1("a\rb\r\nc\nd\r\n\re\r\n\n\r\nf\r\r\n\r"))) {
      assert.deepStrictEqual(read(pieces), ["a\rb", "c\nd", "\re", "\n", "f\r"])
    }
  })

  it("has bytes for characters", () => {
    assert.deepStrictEqual(read([latin1("\0\xff\xe9\r\n")]), ["\0\xff\xe9"])
  })

  it("has 222 characters at most, wherever it is broken", () => {
    const longest = "x".repeat(222)
    for (const pieces of everyWay(latin1(`${longest}\r\nnext\r\n`))) {
      assert.deepStrictEqual(read(pieces), [longest, "next"])
    }
    for (const pieces of everyWay(latin1(`${longest}x\r\nnext\r\n`))) {
      assert.deepStrictEqual(read(pieces), ["TOO_LONG", "next"])
    }
  })

  it("of 222 characters may have a CR for the last of them", () => {
    const line = `${"x".repeat(221)}\r`
    for (const pieces of everyWay(latin1(`${line}\r\nnext\r\n`))) assert.deepStrictEqual(read(pieces), [line, "next"])
    for (const pieces of everyWay(latin1(`x${line}\r\nnext\r\n`))) {
      assert.deepStrictEqual(read(pieces), ["TOO_LONG", "next"])
    }
  })

  it("is not there before its end", () => {
    for (const text of ["", "x", "x\r", "x\n", "x".repeat(222), `${"x".repeat(222)}\r`, "x".repeat(1000)]) {
      assert.deepStrictEqual(read(oneByOne(latin1(text))), [])
    }
  })
})

describe("a line that is too long", () => {
  for (const length of [223, 224, 225, 226, 447, 448, 449, 1000]) {
    it(`with ${length} characters is told once, and what comes behind it is read`, () => {
      for (const pieces of everyWay(latin1(`a\r\n${"x".repeat(length)}\r\nnext\r\n\r\n`))) {
        assert.deepStrictEqual(read(pieces), ["a", "TOO_LONG", "next", ""])
      }
    })
  }

  it("may be full of halves of an end", () => {
    for (const half of ["\r", "\n"]) {
      const pieces = latin1(`${half.repeat(300)}x\r\nnext\r\n`)
      for (const way of everyWay(pieces)) assert.deepStrictEqual(read(way), ["TOO_LONG", "next"])
    }
  })

  it("is not kept while it comes", () => {
    const reader = new Reader([])
    for (let i = 0; i < 100; i++) {
      reader.take(latin1("x".repeat(1000)))
      assert.strictEqual(reader.input.size, 0)
      reader.take(latin1(`${"x".repeat(999)}\r`))
      assert.strictEqual(reader.input.size, 1)
    }
    reader.take(latin1("\n"))
    assert.deepStrictEqual(reader.answers, ["TOO_LONG"])
  })
})

describe("a body", () => {
  it("may have anything in it, wherever it is broken", () => {
    const bytes = Buffer.concat([
      Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte)),
      latin1("\r\nquit\r\n")
    ])
    for (const pieces of everyWay(Buffer.concat([latin1("put\r\n"), bytes, latin1("\r\nnext\r\n")]))) {
      assert.deepStrictEqual(read(pieces, ["line", { body: bytes.length }]), [
        "put",
        { body: bytes.toString("latin1"), isEnded: true },
        "next"
      ])
    }
  })

  it("may be empty, and be followed by another", () => {
    for (const pieces of everyWay(latin1("\r\nab\r\n\r\nnext\r\n"))) {
      const empty = { body: "", isEnded: true }
      assert.deepStrictEqual(read(pieces, [{ body: 0 }, { body: 2 }, { body: 0 }]), [
        empty,
        { body: "ab", isEnded: true },
        empty,
        "next"
      ])
    }
  })

  it("takes the two bytes behind it, whatever they are", () => {
    for (const end of ["XY", "\rX", "X\n", "\n\r", "\n\n", "\r\r"]) {
      for (const pieces of everyWay(latin1(`ab${end}next\r\n`))) {
        assert.deepStrictEqual(read(pieces, [{ body: 2 }]), [{ body: "ab", isEnded: false }, "next"])
      }
    }
  })

  it("is not there before the two bytes behind it", () => {
    for (const text of ["", "a", "ab", "ab\r"]) {
      assert.deepStrictEqual(read(oneByOne(latin1(text)), [{ body: 2 }]), [])
    }
  })

  it("is whole, however large it is and in however many pieces it comes", () => {
    for (const size of [4_095, 4_096, 4_097, 65_535, 65_536, 65_537, 300_000]) {
      const body = Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 31) % 251))
      const bytes = Buffer.concat([body, latin1("\r\nnext\r\n")])
      for (const piece of [1_000, 4_096, 65_536, bytes.length]) {
        const positions = Array.from({ length: Math.ceil(bytes.length / piece) - 1 }, (_, i) => (i + 1) * piece)
        const [first, second] = read(cut(bytes, ...positions), [{ body: size }])
        assert.isTrue(
          typeof first === "object" && "body" in first && first.isEnded && first.body === body.toString("latin1"),
          `${size} bytes in pieces of ${piece}`
        )
        assert.strictEqual(second, "next")
      }
    }
  })

  it("has its own memory when it is large, and no more than it has bytes", () => {
    const size = 100_000
    for (const position of [0, 1_000, size + 1, size + 2]) {
      const input = new RequestParser()
      const bytes = Buffer.alloc(size + 2, "x")
      bytes.write("\r\n", size, "latin1")
      let body
      for (const piece of cut(bytes, position)) {
        input.push(piece)
        body ??= input.body(size)?.body
        input.keep()
        piece.fill(0x21)
      }
      assert.isTrue(Buffer.isBuffer(body) && body.length === size && body.every((byte) => byte === 0x78))
      assert.isAtMost((body as Buffer).buffer.byteLength, size + 2)
    }
  })

  it("that was announced costs nothing before it comes", () => {
    const inputs = Array.from({ length: 100 }, () => new RequestParser())
    const before = process.memoryUsage().arrayBuffers
    for (const input of inputs) {
      input.push(latin1("hello"))
      assert.isUndefined(input.body(1_000_000_000))
      input.keep()
    }
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 5_000_000)
    assert.deepStrictEqual(inputs.map(({ size }) => size), inputs.map(() => 0))
  })
})

describe("what is thrown away", () => {
  it("is so many bytes, and not one more", () => {
    for (const pieces of everyWay(latin1("0123456789\r\nnext\r\n"))) {
      assert.deepStrictEqual(read(pieces, [{ skip: 12 }]), [{ skipped: 12 }, "next"])
      assert.deepStrictEqual(read(pieces, [{ skip: 7 }]), [{ skipped: 7 }, "789", "next"])
    }
  })

  it("leaves a number to throw away when more comes", () => {
    const input = new RequestParser()
    assert.strictEqual(input.skip(5), 5)
    input.push(latin1("abc"))
    assert.deepStrictEqual([input.skip(5), input.size], [2, 0])
    input.push(latin1("defg\r\n"))
    assert.deepStrictEqual([input.skip(2), input.size, input.line()], [0, 4, "fg"])
  })
})

describe("what is left", () => {
  it("is counted", () => {
    const input = new RequestParser()
    input.push(latin1("a\r\nbc"))
    assert.strictEqual(input.size, 5)
    assert.strictEqual(input.line(), "a")
    assert.strictEqual(input.size, 2)
    input.keep()
    assert.strictEqual(input.size, 2)
    input.push(latin1("d\r\n"))
    assert.deepStrictEqual([input.size, input.line(), input.size], [5, "bcd", 0])
  })

  it("is a copy once it is kept, so that neither a change of the piece nor its size matters", () => {
    const input = new RequestParser()
    const piece = Buffer.alloc(1_000_000, "x")
    piece.write("a\r\n", 0, "latin1")
    const tail = piece.subarray(0, 8)
    input.push(tail)
    assert.strictEqual(input.line(), "a")
    input.keep()
    piece.fill(0x21)
    input.push(latin1("\r\n"))
    assert.strictEqual(input.line(), "xxxxx")
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// However it is cut
// ---------------------------------------------------------------------------------------------------------------------

const Size = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 }))
const Cuts = Schema.Array(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })))
// Mostly ends of lines and what looks like them.
const AnyBytes = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.schema(Schema.Literals(["\r\n", "\r", "\n", "a", "bc", "x".repeat(100), "y".repeat(222)])),
    { maxLength: 25 }
  ),
  (parts) => latin1(parts.join(""))
)
const AnyAsk = Arbitrary.map(
  Arbitrary.all({ kind: Arbitrary.schema(Schema.Literals(["line", "body", "skip"])), size: Arbitrary.schema(Size) }),
  ({ kind, size }): Ask => kind === "line" ? "line" : kind === "body" ? { body: size } : { skip: size }
)

describe("any bytes", () => {
  it.prop("are read the same in any number of pieces as in one", {
    bytes: AnyBytes,
    asks: Arbitrary.array(AnyAsk, { maxLength: 12 }),
    cuts: Cuts
  }, ({ asks, bytes, cuts }) => {
    const whole = read([bytes], asks)
    const positions = cuts.map((fraction) => Math.floor(fraction * bytes.length))
    assert.deepStrictEqual(read(cut(bytes, ...positions), asks), whole)
    assert.deepStrictEqual(read(oneByOne(bytes), asks), whole)
  }, { arbitrary: { runs: 500, size: 40 } })
})
