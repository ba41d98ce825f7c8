/**
 * The options that modules may be given, and that each is read once, before it is checked.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"
import * as Validate from "../../src/internal/protocol/validate.ts"
import { InvalidArgument } from "../../src/Errors.ts"

const UNREADABLE = new Proxy({}, {
  get: () => {
    throw new Error("no")
  },
  has: () => {
    throw new Error("no")
  },
  getPrototypeOf: () => {
    throw new Error("no")
  }
})

/** Refused in the name of the operation and the option, with the value as it was given. */
const isRefused = (checked: unknown, argument: string, value: unknown) => {
  assert.instanceOf(checked, InvalidArgument)
  assert.strictEqual(checked.operation, "make")
  assert.strictEqual(checked.argument, argument)
  assert.isTrue(Object.is(checked.value, value))
}

describe("options", () => {
  const read = (value: unknown) =>
    Validate.snapshot<{ a?: unknown; b?: unknown }>("make", value as object | undefined, ["a", "b"])

  it("are copied by their names, but for those that are undefined", () => {
    assert.deepStrictEqual(read({ a: 1, b: undefined, c: 3 }), { a: 1 })
    assert.deepStrictEqual(read({ a: null, b: false }), { a: null, b: false })
    assert.deepStrictEqual(read(undefined), {})
  })

  it("are read once", () => {
    let reads = 0
    const options = {
      get a() {
        return ++reads
      }
    }
    assert.deepStrictEqual(read(options), { a: 1 })
    assert.strictEqual(reads, 1)
  })

  it("must be an object", () => {
    for (const value of [null, 5, "a", true]) isRefused(read(value), "options", value)
    assert.isUndefined(Validate.options("make", {}))
    assert.isUndefined(Validate.options("make", undefined))
    isRefused(Validate.options("make", null), "options", null)
  })

  it("must let themselves be read", () => {
    isRefused(read(UNREADABLE), "options", undefined)
  })

  it("have the names that the list of them has", () => {
    assert.deepStrictEqual(Validate.optionNames<{ a: 1; b: 2 }>({ a: true, b: true }), ["a", "b"])
  })
})

describe("a flag", () => {
  it("is false unless it was given", () => {
    assert.isFalse(Validate.flag("make", "mute", undefined))
    assert.isFalse(Validate.flag("make", "mute", false))
    assert.isTrue(Validate.flag("make", "mute", true))
  })

  it("is true or false and nothing like it", () => {
    for (const value of [null, 0, 1, "true"]) isRefused(Validate.flag("make", "mute", value), "mute", value)
  })
})

describe("a whole number", () => {
  it("is one from the least on, as far as numbers are exact", () => {
    for (const value of [1, 2, Number.MAX_SAFE_INTEGER]) {
      assert.strictEqual(Validate.wholeNumber("make", "most", value, 1), value)
    }
    assert.strictEqual(Validate.wholeNumber("make", "most", 0, 0), 0)
    for (const value of [0, -1, 1.5, NaN, Infinity, 2 ** 53, "1", 1n, undefined]) {
      const checked = Validate.wholeNumber("make", "most", value, 1)
      isRefused(checked, "most", value)
      assert.include((checked as InvalidArgument).rule, "at least 1")
    }
  })
})

describe("one of several", () => {
  it("is one of them", () => {
    assert.strictEqual(Validate.oneOf("make", "as", "b", ["a", "b"]), "b")
    const checked = Validate.oneOf("make", "as", "c", ["a", "b"])
    isRefused(checked, "as", "c")
    assert.strictEqual((checked as unknown as InvalidArgument).rule, "one of \"a\", \"b\"")
  })
})

describe("a schedule", () => {
  it("is a Schedule of Effect, and nothing that cannot be looked at", () => {
    assert.strictEqual(Validate.schedule("make", "retry", Schedule.forever), Schedule.forever)
    for (const value of [undefined, 5, {}, UNREADABLE]) {
      isRefused(Validate.schedule("make", "retry", value), "retry", value)
    }
  })
})

describe("tubes", () => {
  it("are one or several names", () => {
    assert.deepStrictEqual(Validate.tubes("make", "a"), ["a"])
    assert.deepStrictEqual(Validate.tubes("make", ["a", "b"]), ["a", "b"])
  })

  it("are at least one, and all have names", () => {
    for (const value of [[], undefined, 5, new Set(["a"])]) {
      const checked = Validate.tubes("make", value)
      isRefused(checked, "tubes", value)
      assert.strictEqual((checked as InvalidArgument).rule, "at least one tube")
    }
    isRefused(Validate.tubes("make", ["a", "-b", "-c"]), "tubes", "-b")
    isRefused(Validate.tubes("make", ""), "tubes", "")
  })

  it("are a copy, so that what the caller does to its list changes nothing", () => {
    const list = ["a"]
    const checked = Validate.tubes("make", list)
    list.push("-")
    assert.deepStrictEqual(checked, ["a"])
  })

  it("are refused if their list cannot be read", () => {
    const list = new Proxy(["a"], {
      get: () => {
        throw new Error("no")
      }
    })
    isRefused(Validate.tubes("make", list), "tubes", list)
  })
})

describe("the silence before keep-alive", () => {
  it("is any duration", () => {
    assert.deepStrictEqual(Validate.flagOrDuration("make", "keepAlive", 0), Duration.zero)
    const checked = Validate.flagOrDuration("make", "keepAlive", "yes")
    isRefused(checked, "keepAlive", "yes")
    assert.match((checked as InvalidArgument).rule, /^true, false, or a duration/)
  })
})

describe("a timeout among the options", () => {
  it("is a duration longer than zero", () => {
    assert.deepStrictEqual(Validate.positiveDuration("make", "timeout", 1), Duration.millis(1))
    for (const value of [0, "0 seconds", -1, "soon"]) {
      const checked = Validate.positiveDuration("make", "timeout", value)
      isRefused(checked, "timeout", value)
      assert.match((checked as InvalidArgument).rule, /, and longer than 0$/)
    }
  })
})
