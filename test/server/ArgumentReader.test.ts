/**
 * The arguments of a command are read as beanstalkd reads them (beanstalkd-behaviour.md, 2).
 */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { ArgumentReader } from "../../src/internal/server/requestParser.ts"

type Reader = "uint64" | "uint32" | "lastUint64" | "lastUint32" | "tubeName" | "tubeCharacters" | "bound" | "timeout"

const read = (reader: Reader, text: string) => {
  // The line has a command before its arguments.
  const fields = new ArgumentReader(`command${text}`, "command".length)
  return { value: fields[reader](), isAtEnd: fields.isAtEnd }
}

/** Each of these texts gives this value. */
const gives = (reader: Reader, expected: ReadonlyArray<readonly [text: string, value: number | string]>) => {
  for (const [text, value] of expected) assert.strictEqual(read(reader, text).value, value, JSON.stringify(text))
}

/** None of these texts is taken. */
const refuses = (reader: Reader, texts: ReadonlyArray<string>) => {
  for (const text of texts) assert.isUndefined(read(reader, text).value, JSON.stringify(text))
}

const NO_NUMBERS = ["", " ", "   ", "-1", "+1", " -1", "x", "x1", "-", ".5", "\t1", "\n1", "\xa01", "\0", "٣"]

const Spaces = Schema.String.check(Schema.isPattern(/^ {0,3}$/))
const Digits = Schema.String.check(Schema.isPattern(/^[0-9]{1,24}$/))
const Garbage = Schema.String.check(Schema.isPattern(/^[ -/:-~][ -~]{0,5}$/))
const AnyLine = Schema.String.check(Schema.isPattern(/^[ 0-9a-z.\t+-]{0,30}$/))

describe("an id", () => {
  it("is decimal, with spaces before it and zeros at its front", () => {
    gives("uint64", [["0", 0], ["5", 5], ["   42", 42], ["007", 7], [`${"0".repeat(200)}9`, 9], [
      "1234567890",
      1234567890
    ]])
  })

  it("is exact up to 2^53 - 1, and above that of no job", () => {
    gives("uint64", [
      ["9007199254740991", 2 ** 53 - 1],
      ["9007199254740992", Infinity],
      ["9007199254740993", Infinity],
      ["18446744073709551614", Infinity],
      ["18446744073709551615", Infinity],
      [`${"0".repeat(30)}18446744073709551615`, Infinity],
      [`${"0".repeat(30)}9007199254740991`, 2 ** 53 - 1]
    ])
  })

  it("is at most 2^64 - 1", () => {
    const tooMuch = ["18446744073709551616", "18446744073709551620", "99999999999999999999", "9".repeat(200)]
    refuses("uint64", [...tooMuch, ...tooMuch.map((digits) => `  000${digits}`)])
  })

  it("has no sign, and begins with a digit", () => {
    refuses("uint64", NO_NUMBERS)
    refuses("lastUint64", NO_NUMBERS)
  })

  it("is the end of the line where it has to be", () => {
    gives("lastUint64", [["5", 5], [" 5", 5], ["18446744073709551615", Infinity]])
    refuses("lastUint64", ["5 ", "5x", "5.0", "5 6", "5\r", "5\n", "5\0", "18446744073709551616"])
  })

  it.prop("is what its digits say, whatever is behind them", [Spaces, Digits, Garbage], ([spaces, digits, garbage]) => {
    const value = BigInt(digits)
    const expected = value >= 2n ** 64n ? undefined : value >= 2n ** 53n ? Infinity : Number(value)
    assert.deepStrictEqual(read("uint64", spaces + digits), { value: expected, isAtEnd: expected !== undefined })
    assert.deepStrictEqual(read("uint64", spaces + digits + garbage), { value: expected, isAtEnd: false })
    assert.strictEqual(read("lastUint64", spaces + digits).value, expected)
    assert.isUndefined(read("lastUint64", spaces + digits + garbage).value)
  }, { arbitrary: { runs: 1000 } })
})

describe("a priority, a delay, a ttr, a size", () => {
  it("is at most 2^32 - 1", () => {
    for (const reader of ["uint32", "lastUint32"] as const) {
      gives(reader, [["0", 0], ["4294967295", 2 ** 32 - 1], [" 004294967295", 2 ** 32 - 1]])
      refuses(reader, ["4294967296", "4294967300", "18446744073709551615", "18446744073709551616", ...NO_NUMBERS])
    }
  })

  it("is the end of the line where it has to be", () => {
    refuses("lastUint32", ["5 ", "5x", "5.0", "5 6", "4294967296"])
  })

  it("comes after the others, which need no space behind them but before", () => {
    const fields = new ArgumentReader("put 1  2 3 4x", 4)
    assert.deepStrictEqual([fields.uint32(), fields.uint32(), fields.uint32(), fields.uint32()], [1, 2, 3, 4])
    assert.isFalse(fields.isAtEnd)
    const other = new ArgumentReader("release 1-2", 8)
    assert.deepStrictEqual([other.uint64(), other.uint32()], [1, undefined])
  })
})

describe("the name of a tube", () => {
  const all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/;.$_()-"

  it("is the rest of the line, of 1 to 200 of its characters", () => {
    for (const name of ["a", all, "x".repeat(200), "(", "5", "a-", "null"]) gives("tubeName", [[name, name]])
    refuses("tubeName", ["", "x".repeat(201)])
  })

  it("does not begin with a hyphen", () => {
    refuses("tubeName", ["-", "-a", `-${"x".repeat(199)}`])
  })

  it("has no other characters, neither around it nor in it", () => {
    for (let code = 0; code < 256; code++) {
      const other = String.fromCharCode(code)
      if (!all.includes(other)) refuses("tubeName", [other, `${other}a`, `a${other}`, `a${other}b`])
    }
  })
})

describe("the name of a tube that is to be paused", () => {
  it("is as many of its characters as there are, after any number of spaces", () => {
    for (
      const [text, name] of [["foo 5", "foo"], ["   foo 5", "foo"], [" a,b", "a"], ["foo5", "foo5"], ["foo", "foo"]]
    ) {
      gives("tubeCharacters", [[text!, name!]])
    }
  })

  it("is not judged yet", () => {
    const long = "x".repeat(210)
    gives("tubeCharacters", [[`${long} 5`, long], [" -a 5", "-a"]])
  })

  it("is none where there is no such character", () => {
    refuses("tubeCharacters", ["", "  ", ",", "\ta", " \xe9"])
  })

  it("has its delay behind it", () => {
    const fields = new ArgumentReader("pause-tube  foo   5", 10)
    assert.deepStrictEqual([fields.tubeCharacters(), fields.lastUint32(), fields.isAtEnd], ["foo", 5, true])
  })
})

describe("the bound of a kick", () => {
  it("is read as strtoul reads it: white space, a sign, digits, and anything", () => {
    gives("bound", [
      ["0", 0],
      ["10", 10],
      [" \t\v\f\r10", 10],
      ["+10", 10],
      [" +10", 10],
      ["0010", 10],
      ["10x", 10],
      ["10 ", 10],
      ["10 20", 10],
      ["1.5", 1],
      ["0x10", 0],
      ["1e3", 1]
    ])
  })

  it("is cut to 32 bits", () => {
    gives("bound", [
      ["4294967295", 4_294_967_295],
      ["4294967296", 0],
      ["4294967297", 1],
      ["18446744073709551615", 4_294_967_295],
      ["-1", 4_294_967_295],
      ["-0", 0],
      ["-4294967295", 1],
      ["-18446744073709551615", 1]
    ])
  })

  it("has digits, and is at most 2^64 - 1", () => {
    refuses("bound", ["", " ", "x", "-", "+", "--1", "+-1", "- 1", "+ 1", "\xa01", "\x001"])
    refuses("bound", ["18446744073709551616", "-18446744073709551616", "9".repeat(200)])
  })
})

describe("the seconds of reserve-with-timeout", () => {
  it("are read as strtol reads them, and are 0 without digits", () => {
    gives("timeout", [
      ["0", 0],
      ["10", 10],
      [" \t10", 10],
      ["+10", 10],
      ["-1", -1],
      ["-10", -10],
      ["10x", 10],
      ["10 20", 10],
      ["", 0],
      [" ", 0],
      ["x", 0],
      ["-", 0],
      ["--1", 0],
      ["+ 1", 0]
    ])
  })

  it("are cut to 32 bits with a sign", () => {
    gives("timeout", [
      ["2147483647", 2_147_483_647],
      ["2147483648", -2_147_483_648],
      ["4294967295", -1],
      ["4294967296", 0],
      ["4294967297", 1],
      ["-2147483648", -2_147_483_648],
      ["-2147483649", 2_147_483_647],
      ["-4294967296", 0],
      ["9223372036854775807", -1],
      ["-9223372036854775808", 0]
    ])
  })

  it("have a limit all the same", () => {
    refuses("timeout", ["9223372036854775808", "-9223372036854775809", "9".repeat(200)])
  })
})

describe("any reader", () => {
  it.prop("reads no further than the line, and throws at nothing", [AnyLine], ([line]) => {
    for (let at = 0; at <= line.length; at++) {
      const fields = new ArgumentReader(line, at)
      assert.strictEqual(fields.isAtEnd, at === line.length)
      for (
        const reader of [
          "uint64",
          "uint32",
          "lastUint64",
          "lastUint32",
          "tubeName",
          "tubeCharacters",
          "bound",
          "timeout"
        ] as const
      ) {
        const one = new ArgumentReader(line, at)
        const value = one[reader]()
        if (typeof value === "string") assert.include(line.slice(at), value)
        // A second look at the same place finds the same.
        assert.deepStrictEqual(new ArgumentReader(line, at)[reader](), value)
      }
    }
  }, { arbitrary: { runs: 300 } })
})
