/**
 * The values of the protocol and their bounds.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Exit from "effect/Exit"
import * as Formatter from "effect/Formatter"
import * as Schema from "effect/Schema"
import * as Values from "../../src/internal/protocol/scalars.ts"

const MAX_SAFE = Number.MAX_SAFE_INTEGER

const show = (value: unknown) => {
  const text = Formatter.format(value)
  return text.length > 60 ? `${text.slice(0, 20)}... (${text.length} characters)` : text
}

const maybe = (schema: Schema.Top, values: ReadonlyArray<unknown>) => {
  for (const value of values) it(`may be ${show(value)}`, () => assert.isTrue(Schema.is(schema)(value)))
}

const mayNot = (schema: Schema.Top, values: ReadonlyArray<unknown>) => {
  for (const value of values) it(`may not be ${show(value)}`, () => assert.isFalse(Schema.is(schema)(value)))
}

const reads = (schema: Schema.Codec<number, string>, table: ReadonlyArray<readonly [text: string, value: number]>) => {
  for (const [text, value] of table) {
    it(`reads ${show(text)} as ${value}`, () => assert.strictEqual(Schema.decodeSync(schema)(text), value))
  }
}

const refuses = (schema: Schema.Codec<number, string>, texts: ReadonlyArray<unknown>) => {
  for (const text of texts) {
    it(`refuses ${show(text)}`, () => assert.isTrue(Exit.isFailure(Schema.decodeUnknownExit(schema)(text))))
  }
}

describe("the constants", () => {
  it("are those of the protocol and of the server", () => {
    assert.strictEqual(Values.MAX_UINT32, 2 ** 32 - 1)
    assert.strictEqual(Values.DEFAULT_PRIORITY, 2 ** 31)
    assert.strictEqual(Values.DEFAULT_TTR_SECONDS, 120)
    assert.strictEqual(Values.DEFAULT_PORT, 11_300)
  })
})

describe("a job id", () => {
  maybe(Values.JobId, [0, 1, MAX_SAFE])
  mayNot(Values.JobId, [2 ** 53, -1, 1.5, NaN, Infinity, -Infinity, "1", 1n, null, undefined, {}])

  it("is made of a number that is one, and of no other", () => {
    const id: number = Values.JobId.make(42)
    assert.strictEqual(id, 42)
    assert.throws(() => Values.JobId.make(2 ** 53))
    assert.throws(() => Values.JobId.make(-1))
  })
})

// The bounds are part of the type on the wire, so the largest numbers matter more than the average ones.
const WideId = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: MAX_SAFE }))
const Digits = Schema.String.check(Schema.isPattern(/^[0-9]{1,20}$/))

const NO_NUMBERS = [
  "",
  " ",
  " 1",
  "1 ",
  "1\n",
  "+1",
  "-1",
  "1.0",
  "1e3",
  "0x1",
  "1_000",
  "NaN",
  "Infinity",
  "٣",
  1,
  null
]
const TOO_LARGE = ["9007199254740992", "9007199254740993", "18446744073709551615", "99999999999999999999"]

describe.each([
  ["a job id in a reply", Values.JobIdFromString],
  ["a count in a reply", Values.CountFromString]
])("%s", (_, schema) => {
  reads(schema, [
    ["0", 0],
    ["1", 1],
    ["007", 7],
    ["00000000000000000042", 42],
    ["9007199254740991", MAX_SAFE],
    ["00009007199254740991", MAX_SAFE]
  ])
  refuses(schema, TOO_LARGE)
  refuses(schema, NO_NUMBERS)
  refuses(schema, ["000000000000000000001"])

  it.prop("is written in the digits from which it is read again", [WideId], ([id]) => {
    const text = Schema.encodeSync(schema)(id)
    assert.strictEqual(text, BigInt(id).toString())
    assert.strictEqual(Schema.decodeSync(schema)(text), id)
  })

  it.prop("is exactly the number that the digits say, or refused, and never a rounded one", [Digits], ([digits]) => {
    const exit = Schema.decodeExit(schema)(digits)
    assert.strictEqual(Exit.isSuccess(exit), BigInt(digits) <= BigInt(MAX_SAFE))
    if (Exit.isSuccess(exit)) assert.strictEqual(BigInt(exit.value), BigInt(digits))
  }, { arbitrary: { runs: 300 } })
})

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
const NAME_CHARACTERS = `${LETTERS}-+/;.$_()`

const isTubeName = Schema.is(Values.TubeName)

describe("a tube's name", () => {
  maybe(Values.TubeName, [
    LETTERS,
    `x${NAME_CHARACTERS}`,
    "0",
    "123",
    "null",
    "a-",
    "a--b",
    "+/;.$_()",
    "x".repeat(200)
  ])
  mayNot(Values.TubeName, [
    "",
    "x".repeat(201),
    "-",
    "-a",
    "a b",
    " a",
    "a ",
    "a\r\n",
    "a\n",
    "a\r\nquit",
    "x\r\nuse y",
    "a\0",
    "a,b",
    "a:b",
    "é",
    "ａ",
    "tube\u{1F600}",
    "a\ud800",
    1,
    null,
    undefined,
    ["a"]
  ])

  it("may begin with any of the allowed characters but -, and hold any of them, and no other of the first 256", () => {
    for (let code = 0; code < 256; code++) {
      const character = String.fromCharCode(code)
      const allowed = NAME_CHARACTERS.includes(character)
      assert.strictEqual(isTubeName(`x${character}`), allowed, `x and character ${code}`)
      assert.strictEqual(isTubeName(character), allowed && character !== "-", `character ${code}`)
    }
  })

  const AlmostName = Schema.String.check(Schema.isPattern(/^[-a\r\n é]{0,3}[-A-Za-z0-9+/;.$_()]{0,210}[ \n:z]?$/))

  it.prop("is judged by its characters, its length and its beginning", [AlmostName], ([text]) => {
    const expected = text.length >= 1 && text.length <= 200 && !text.startsWith("-") &&
      Array.from(text).every((character) => NAME_CHARACTERS.includes(character))
    assert.strictEqual(isTubeName(text), expected)
  }, { arbitrary: { runs: 500, size: 210 } })
})

describe("a priority", () => {
  maybe(Values.Priority, [0, 1, 1024, Values.DEFAULT_PRIORITY, 2 ** 32 - 1])
  mayNot(Values.Priority, [-1, 2 ** 32, 1.5, NaN, Infinity, "1", 1n, null, undefined])
})
