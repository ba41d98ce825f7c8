/**
 * The values that callers may pass, and that nothing else gets through.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Duration from "effect/Duration"
import * as Formatter from "effect/Formatter"
import * as Schema from "effect/Schema"
import { Buffer } from "node:buffer"
import { checkBody } from "../../src/internal/protocol/requestWriter.ts"
import * as Validate from "../../src/internal/protocol/validate.ts"
import { InvalidArgument } from "../../src/Errors.ts"

type Checker = (value: unknown) => unknown

const checkers = {
  tube: (value) => Validate.tube("use", "tube", value),
  optionalTube: (value) => Validate.optionalTube("put", value),
  priority: (value) => Validate.priority("put", value),
  bound: (value) => Validate.uint32("kick", "bound", value),
  jobId: (value) => Validate.jobId("delete", value),
  body: (value) => checkBody("put", value),
  delay: (value) => Validate.delay("pause-tube", value),
  optionalDelay: (value) => Validate.optionalDelay("put", value),
  ttr: (value) => Validate.ttr("put", value),
  timeout: (value) => Validate.timeout("reserve-with-timeout", value),
  duration: (value) => Validate.duration("connect", "commandTimeout", value)
} satisfies Record<string, Checker>

const show = (value: unknown) => {
  const text = Object.is(value, -0) ? "-0" : Formatter.format(value)
  return text.length > 60 ? `${text.slice(0, 40)}... (${text.length} characters)` : text
}

/** The value as it is, and not a copy or a conversion of it. */
const same = (actual: unknown, expected: unknown) =>
  assert.isTrue(Object.is(actual, expected), `${show(actual)} is not ${show(expected)}`)

const refuse = (checker: Checker, argument: string, values: ReadonlyArray<unknown>) => {
  for (const value of values) {
    it(`may not be ${show(value)}`, () => {
      const error = checker(value)
      assert.instanceOf(error, InvalidArgument)
      assert.strictEqual(error.argument, argument)
      same(error.value, value)
      assert.isNotEmpty(error.rule)
    })
  }
}

const accept = (checker: Checker, table: ReadonlyArray<readonly [value: unknown, onTheWire: unknown]>) => {
  for (const [value, onTheWire] of table) {
    it(`may be ${show(value)}, which is ${show(onTheWire)} on the wire`, () => same(checker(value), onTheWire))
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Durations
// ---------------------------------------------------------------------------------------------------------------------

/** Like Temporal.Duration: the units are getters of the prototype. */
class TemporalDuration {
  readonly #units: Readonly<Record<string, number>>
  constructor(units: Readonly<Record<string, number>>) {
    this.#units = units
  }
  toString() {
    return `TemporalDuration(${JSON.stringify(this.#units)})`
  }
  get years() {
    return this.#units["years"] ?? 0
  }
  get months() {
    return this.#units["months"] ?? 0
  }
  get weeks() {
    return this.#units["weeks"] ?? 0
  }
  get days() {
    return this.#units["days"] ?? 0
  }
  get minutes() {
    return this.#units["minutes"] ?? 0
  }
  get seconds() {
    return this.#units["seconds"] ?? 0
  }
}

const MAX_SECONDS = 2 ** 32 - 1

const NO_DURATIONS = [
  NaN,
  null,
  true,
  false,
  "",
  " ",
  "5",
  "x",
  "5 parsecs",
  "5s",
  "seconds",
  "five seconds",
  "0x10 seconds",
  "1e3 seconds",
  "5 seconds\r\nquit",
  {},
  { second: 1 },
  { seconds: 1, minute: 1 },
  { seconds: NaN },
  { seconds: 1, minutes: NaN },
  { seconds: "1" },
  { seconds: null },
  { seconds: undefined },
  { seconds: 1n },
  { seconds: 1, months: 1 },
  [],
  [1],
  [NaN, 1],
  [1, NaN],
  ["1", "0"],
  [1, 2, 3],
  Symbol("1 second"),
  () => 1000,
  new Date(5000),
  new Map([["seconds", 1]]),
  new Set([1, 0]),
  new Uint8Array([1, 0]),
  Object(5000),
  Object("5 seconds"),
  new TemporalDuration({ seconds: 5, months: 1 }),
  new TemporalDuration({ seconds: 5, years: 1 }),
  new TemporalDuration({ months: -1 })
]

const NEGATIVE = [
  -1,
  -0.5,
  -1n,
  -Infinity,
  "-1 second",
  "-1 nano",
  "-Infinity",
  [-1, 0],
  [0, -1],
  { seconds: -1 },
  { minutes: 1, seconds: -61 },
  Duration.seconds(-1),
  Duration.negativeInfinity
]

const TOO_LONG = [
  (MAX_SECONDS + 1) * 1000,
  MAX_SECONDS * 1000 + 1,
  Number.MAX_VALUE,
  10n ** 40n,
  "4294967296 seconds",
  { weeks: 7102 },
  [MAX_SECONDS + 1, 0],
  Duration.seconds(MAX_SECONDS + 1)
]

const INFINITE = [Infinity, "Infinity", Duration.infinity, { seconds: Infinity }, [Infinity, 0]]

const AT_LEAST_A_SECOND: ReadonlyArray<readonly [value: unknown, seconds: number]> = [
  [1000, 1],
  [1000.5, 2],
  [1001, 2],
  ["1 second", 1],
  ["1500 millis", 2],
  ["2 minutes", 120],
  ["1.5 hours", 5400],
  ["1000000001 nanos", 2],
  [1_000_000_000n, 1],
  [60_000_000_000n, 60],
  [60_000_000_001n, 61],
  [[60, 0], 60],
  [[60, 1], 61],
  [[0, 60_000_000_000], 60],
  [{ minutes: 1 }, 60],
  [{ minutes: 1, seconds: 1, milliseconds: 1 }, 62],
  [{ minutes: 1, seconds: undefined }, 60],
  [{ minutes: 1, seconds: -30 }, 30],
  [{ seconds: 1, nanoseconds: 1 }, 2],
  [{ weeks: 1 }, 604_800],
  [Duration.seconds(60), 60],
  [Duration.nanos(1_000_000_001n), 2],
  [new TemporalDuration({ minutes: 1, seconds: 5 }), 65],
  [MAX_SECONDS * 1000, MAX_SECONDS],
  ["4294967295 seconds", MAX_SECONDS],
  [{ seconds: MAX_SECONDS }, MAX_SECONDS],
  [[MAX_SECONDS, 0], MAX_SECONDS]
]

const LESS_THAN_A_SECOND = [
  1,
  60,
  120,
  999,
  999.5,
  "500 millis",
  "999999999 nanos",
  1n,
  999_999_999n,
  [0, 999_999_999],
  { milliseconds: 999 },
  Duration.millis(60)
]

const NOTHING = [0, 0n, "0 seconds", [0, 0], { seconds: 0 }, Duration.zero, new TemporalDuration({})]

describe("a ttr", () => {
  accept(checkers.ttr, [[undefined, 120], ...AT_LEAST_A_SECOND])
  refuse(checkers.ttr, "ttr", [
    ...NO_DURATIONS,
    ...NEGATIVE,
    ...TOO_LONG,
    ...INFINITE,
    ...LESS_THAN_A_SECOND,
    ...NOTHING
  ])

  it("of 60 is refused with words that say why", () => {
    const error = checkers.ttr(60)
    assert.instanceOf(error, InvalidArgument)
    assert.strictEqual(
      error.message,
      "put: ttr must be a duration of 1 to 4294967295 seconds, such as \"1 minute\" or 60000 " +
        "(plain numbers are milliseconds), got 60"
    )
  })
})

const DELAYS: ReadonlyArray<readonly [value: unknown, seconds: number]> = [
  ...NOTHING.map((value) => [value, 0] as const),
  ...LESS_THAN_A_SECOND.map((value) => [value, 1] as const),
  ["1 nano", 1],
  ...AT_LEAST_A_SECOND
]

describe.each([["a delay", checkers.delay], ["an optional delay", checkers.optionalDelay]])("%s", (_, checker) => {
  accept(checker, DELAYS)
  refuse(checker, "delay", [...NO_DURATIONS, ...NEGATIVE, ...TOO_LONG, ...INFINITE])
})

describe("a delay that was not given", () => {
  it("is none where it is an option", () => same(checkers.optionalDelay(undefined), 0))
  it("is refused where it is an argument", () => assert.instanceOf(checkers.delay(undefined), InvalidArgument))
})

describe("a timeout", () => {
  accept(checkers.timeout, [
    ...DELAYS,
    [undefined, Infinity],
    ...INFINITE.map((value) => [value, Infinity] as const),
    ["4294967296 seconds", MAX_SECONDS + 1],
    [{ weeks: 7102 }, 7102 * 604_800]
  ])
  refuse(checkers.timeout, "timeout", [...NO_DURATIONS, ...NEGATIVE])
})

describe("a duration among the options of a connection", () => {
  refuse(checkers.duration, "commandTimeout", [undefined, ...NO_DURATIONS, ...NEGATIVE])

  it("comes out as a Duration, not rounded", () => {
    for (const [value, millis] of [["1500 millis", 1500], [0.5, 0.5], [[1, 500_000_000], 1500], [Infinity, Infinity]]) {
      const duration = checkers.duration(value)
      assert.isTrue(Duration.isDuration(duration) && Duration.toMillis(duration) === millis, show(value))
    }
  })

  it("is refused in the name of the option that it was given for", () => {
    const error = Validate.duration("connect", "keepAlive", "soon")
    assert.instanceOf(error, InvalidArgument)
    assert.strictEqual(error.operation, "connect")
    assert.strictEqual(error.argument, "keepAlive")
  })
})

const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: MAX_SECONDS * 1000 }))

describe("durations on the wire", () => {
  it.prop("are the same however they were written, and never shorter than what was asked for", [Millis], ([millis]) => {
    const seconds = Math.ceil(millis / 1000)
    const spellings = [
      millis,
      `${millis} millis`,
      BigInt(millis) * 1_000_000n,
      [Math.floor(millis / 1000), (millis % 1000) * 1_000_000],
      { milliseconds: millis },
      { seconds: Math.floor(millis / 1000), milliseconds: millis % 1000 },
      Duration.millis(millis)
    ]
    for (const value of spellings) {
      same(checkers.delay(value), seconds)
      same(checkers.timeout(value), seconds)
      if (millis >= 1000) same(checkers.ttr(value), seconds)
      else assert.instanceOf(checkers.ttr(value), InvalidArgument)
    }
  }, { arbitrary: { runs: 300 } })

  it("are rounded up from a single nanosecond, however many seconds there are", () => {
    for (const seconds of [1, 60, 10_000_000, MAX_SECONDS - 1]) {
      const value = BigInt(seconds) * 1_000_000_000n + 1n
      same(checkers.delay(value), seconds + 1)
      same(checkers.ttr(value), seconds + 1)
      same(checkers.timeout(value), seconds + 1)
    }
  })

  it("are refused if a nanosecond longer than the wire can say", () => {
    const value = BigInt(MAX_SECONDS) * 1_000_000_000n + 1n
    assert.instanceOf(checkers.delay(value), InvalidArgument)
    assert.instanceOf(checkers.ttr(value), InvalidArgument)
  })
})

describe("a duration that would be read as zero", () => {
  const checks = [checkers.ttr, checkers.delay, checkers.timeout, checkers.duration]

  it("is refused if it is a pair with a hole", () => {
    for (const holes of [{ 0: 60 }, { 1: 60 }, {}]) {
      for (const check of checks) assert.instanceOf(check(Object.assign(Array(2), holes)), InvalidArgument)
    }
  })

  it("is refused if its units add up to no number", () => {
    for (const check of checks) assert.instanceOf(check({ hours: Infinity, minutes: -Infinity }), InvalidArgument)
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// Numbers, names
// ---------------------------------------------------------------------------------------------------------------------

const NO_UINT32 = [
  1.5,
  -1,
  -0.1,
  2 ** 32,
  2 ** 53,
  NaN,
  Infinity,
  -Infinity,
  "1",
  "",
  "1\r\nquit",
  1n,
  null,
  true,
  {},
  [],
  [1],
  Object(1),
  Symbol("1"),
  { valueOf: () => 1 }
]

describe("a priority", () => {
  accept(checkers.priority, [[undefined, 2 ** 31], [0, 0], [1, 1], [1024, 1024], [2 ** 32 - 1, 2 ** 32 - 1]])
  refuse(checkers.priority, "priority", NO_UINT32)
})

describe("a bound", () => {
  accept(checkers.bound, [[0, 0], [1, 1], [2 ** 32 - 1, 2 ** 32 - 1]])
  refuse(checkers.bound, "bound", [undefined, ...NO_UINT32])
})

describe("a job id", () => {
  accept(checkers.jobId, [[0, 0], [1, 1], [2 ** 32, 2 ** 32], [2 ** 53 - 1, 2 ** 53 - 1]])
  refuse(checkers.jobId, "id", [
    1.5,
    -1,
    2 ** 53,
    NaN,
    Infinity,
    "1",
    "1\r\nquit",
    1n,
    null,
    undefined,
    {},
    [1],
    Object(1)
  ])
})

describe("negative zero", () => {
  it("is zero on the wire", () => {
    for (const checker of [checkers.priority, checkers.bound, checkers.jobId, checkers.delay, checkers.timeout]) {
      assert.strictEqual(String(checker(-0)), "0")
    }
  })
})

const TUBES = ["default", "0", "a-", "x".repeat(200), "A-Za-z0-9-+/;.$_()", "+;$"]

const NO_TUBES = [
  "",
  "-",
  "-a",
  "x".repeat(201),
  "x\r\nuse y",
  "x\r\n",
  "x\n",
  "a b",
  " a",
  "a,b",
  "a\0",
  "é",
  "\ud800",
  0,
  123,
  null,
  true,
  {},
  [],
  ["default"],
  Object("default"),
  Symbol("default"),
  { toString: () => "default" }
]

describe("a tube", () => {
  accept(checkers.tube, TUBES.map((name) => [name, name]))
  refuse(checkers.tube, "tube", [undefined, ...NO_TUBES])

  it("is refused in the name of the command and of the argument", () => {
    const error = Validate.tube("watch", "watched", "a b")
    assert.instanceOf(error, InvalidArgument)
    assert.strictEqual(
      error.message,
      "watch: watched must be 1 to 200 characters of A-Z a-z 0-9 - + / ; . $ _ ( ), not beginning with -, got \"a b\""
    )
  })
})

describe("an optional tube", () => {
  accept(checkers.optionalTube, [[undefined, undefined], ...TUBES.map((name) => [name, name] as const)])
  refuse(checkers.optionalTube, "tube", NO_TUBES)
})

// ---------------------------------------------------------------------------------------------------------------------
// Bodies
// ---------------------------------------------------------------------------------------------------------------------

/** The bytes of an accepted body, which may still be text. */
const bytesOf = (body: unknown) => {
  if (typeof body !== "string") assert.instanceOf(body, Uint8Array)
  return Uint8Array.from(Buffer.from(body))
}

describe("a body", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte)
  for (const value of [bytes, new Uint8Array(0), Buffer.from("hello"), bytes.subarray(10, 20)]) {
    it(`may be ${show(value)}, as it is`, () => same(checkers.body(value), value))
  }

  refuse(checkers.body, "body", [
    0,
    5,
    5n,
    null,
    undefined,
    true,
    {},
    [],
    [1, 2],
    new ArrayBuffer(2),
    new Uint16Array(2),
    new Int8Array(2),
    new Uint8ClampedArray(2),
    new DataView(new ArrayBuffer(2)),
    Object("text"),
    Symbol("text"),
    { length: 1, 0: 65 },
    "\ud800",
    "\udc00",
    "a\udfffb",
    "\udc00\ud800"
  ])

  for (
    const [text, expected] of [
      ["", []],
      ["hi", [104, 105]],
      ["\r\n", [13, 10]],
      ["\0", [0]],
      ["é", [195, 169]],
      ["\u20ac", [226, 130, 172]],
      ["\u{1F600}", [240, 159, 152, 128]],
      ["\ufeffx", [239, 187, 191, 120]],
      ["\ufffd", [239, 191, 189]]
    ] as const
  ) {
    it(`may be the text ${JSON.stringify(text)}, which is its UTF-8`, () =>
      assert.deepStrictEqual(bytesOf(checkers.body(text)), Uint8Array.from(expected)))
  }

  it.prop("may be any text that UTF-8 can express, and no other", [Schema.String], ([text]) => {
    const checked = checkers.body(text)
    if (/\p{Surrogate}/u.test(text)) return assert.instanceOf(checked, InvalidArgument)
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
    assert.strictEqual(decoder.decode(bytesOf(checked)), text)
  }, { arbitrary: { runs: 1000 } })

  it("that only claims to be a Uint8Array is refused", () => {
    for (const value of [Object.create(Uint8Array.prototype), new Proxy(new Uint8Array(3), {})]) {
      assert.instanceOf(checkers.body(value), InvalidArgument)
    }
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// Whatever it is
// ---------------------------------------------------------------------------------------------------------------------

const isInteger = (value: unknown, max: number) =>
  typeof value === "number" && /^(0|[1-9][0-9]*)$/.test(String(value)) && value <= max

const isTube = (value: unknown) => typeof value === "string" && /^(?!-)[A-Za-z0-9\-+/;.$_()]{1,200}$/.test(value)

/** The values that each check may let through to the wire. */
const WIRE = {
  tube: isTube,
  optionalTube: (value) => value === undefined || isTube(value),
  priority: (value) => isInteger(value, MAX_SECONDS),
  bound: (value) => isInteger(value, MAX_SECONDS),
  jobId: (value) => isInteger(value, Number.MAX_SAFE_INTEGER),
  body: (value) => typeof value === "string" ? value.isWellFormed() : value instanceof Uint8Array && value.length >= 0,
  delay: (value) => isInteger(value, MAX_SECONDS),
  optionalDelay: (value) => isInteger(value, MAX_SECONDS),
  ttr: (value) => isInteger(value, MAX_SECONDS) && value !== 0,
  timeout: (value) => value === Infinity || (typeof value === "number" && /^(0|[1-9][0-9.e+]*)$/.test(String(value))),
  duration: (value) => Duration.isDuration(value) && Duration.toMillis(value) >= 0
} satisfies Record<keyof typeof checkers, (value: unknown) => boolean>

const oneOf = (arbitraries: ReadonlyArray<Arbitrary.Arbitrary<unknown>>) =>
  Arbitrary.flatMap(
    Arbitrary.schema(Schema.Literals(arbitraries.map((_, index) => index))),
    (index) => arbitraries[index]!
  )

const AnyNumber = oneOf([
  Arbitrary.schema(Schema.Finite),
  Arbitrary.schema(Schema.Int),
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 53 - 1 }))),
  ...[NaN, Infinity, -Infinity, -0, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 1e21].map(Arbitrary.Constant)
])

const UNITS = ["weeks", "hours", "seconds", "milliseconds", "nanoseconds", "second", "months", "~", "toString"]

const DurationLike = Arbitrary.map(
  Arbitrary.array(Arbitrary.all([Arbitrary.schema(Schema.Literals(UNITS)), AnyNumber]), { maxLength: 3 }),
  (entries) => Object.fromEntries(entries)
)

const Junk = oneOf([
  Arbitrary.schema(Schema.Unknown),
  AnyNumber,
  DurationLike,
  Arbitrary.array(AnyNumber, { maxLength: 3 }),
  ...[
    Schema.String,
    Schema.String.check(Schema.isPattern(/^-?[0-9]{1,12}(\.[0-9]{1,3})? (nanos|millis|second|weeks|\r\n)$/)),
    Schema.String.check(Schema.isPattern(/^[-a-z\r\n ]{1,8}$/)),
    Schema.BigInt,
    Schema.Symbol,
    Schema.Date,
    Schema.Duration,
    Schema.Uint8Array
  ].map((schema) => Arbitrary.schema(schema)),
  ...[undefined, new Map(), new Set([1]), () => 1, new ArrayBuffer(1), /x/, new Error("x"), Promise.resolve(1)]
    .map(Arbitrary.Constant)
])

describe("whatever is passed", () => {
  for (const [name, checker] of Object.entries(checkers)) {
    it.prop(`${name} refuses it or lets through what the wire can carry`, [Junk], ([value]) => {
      const checked = checker(value)
      if (checked instanceof InvalidArgument) same(checked.value, value)
      else assert.isTrue(WIRE[name as keyof typeof WIRE](checked), show(checked))
    }, { arbitrary: { runs: 1000 } })
  }

  const revoked = Proxy.revocable({}, {})
  revoked.revoke()

  const HOSTILE = {
    "an object with a getter that throws": {
      get seconds() {
        throw new Error("no seconds")
      }
    },
    "a revoked proxy": revoked.proxy,
    "an object that only claims to be a Duration": { "~effect/Duration": "~effect/Duration" },
    "a Duration whose value is no number": {
      "~effect/Duration": "~effect/Duration",
      value: { _tag: "Millis", millis: "x\r\nquit" }
    }
  }

  for (const [description, value] of Object.entries(HOSTILE)) {
    it(`every checker refuses ${description}`, () => {
      for (const checker of Object.values(checkers)) assert.instanceOf(checker(value), InvalidArgument)
    })
  }
})
