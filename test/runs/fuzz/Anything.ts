/**
 * What a caller without types can pass: every kind of value that JavaScript has, and among them some that lie.
 */
import * as Duration from "effect/Duration"
import type { Dice } from "../../conformance/Dice.ts"

/** Thrown by values that cannot be read. It must never come out of the library. */
export class Boom extends Error {}

/** Throws. */
export const boom = (): never => {
  throw new Boom("boom")
}

const INJECTIONS = [
  "x\r\nput 0 0 1 1\r\nx",
  "\r\n",
  "1\r\ndelete 1",
  "default\r\nquit",
  "x\n",
  "x\r",
  "\0",
  "x\0",
  " x",
  "x ",
  "a b",
  "1 1\r\n\r\nkick 9"
]

const strings: ReadonlyArray<(dice: Dice) => string> = [
  () => "",
  () => "x",
  () => "default",
  () => "1",
  () => "60",
  () => "1e3",
  () => "1 second",
  () => "5 minutes",
  () => "-1 second",
  () => "Infinity",
  () => "999999999999 weeks",
  () => "0.5 seconds",
  () => "é",
  () => "💣",
  () => "\ud800",
  () => "a\udfffb",
  () => "-x",
  () => "__proto__",
  () => "constructor",
  () => "x".repeat(200),
  () => "x".repeat(201),
  () => "x".repeat(100_000),
  () => "9".repeat(400),
  (dice) => dice.one(INJECTIONS),
  (dice) => String.fromCharCode(...Array.from({ length: dice.int(0, 8) }, () => dice.int(0, 0xffff)))
]

const numbers: ReadonlyArray<(dice: Dice) => unknown> = [
  ...[
    0,
    -0,
    1,
    -1,
    2,
    10,
    0.5,
    1.5,
    999,
    1000,
    1001,
    60_000,
    65_535,
    65_536,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    (2 ** 32 - 1) * 1000,
    (2 ** 32 - 1) * 1000 + 1,
    2 ** 53 - 1,
    2 ** 53,
    -(2 ** 53),
    1e21,
    1e300,
    Number.MIN_VALUE,
    Number.MAX_VALUE,
    NaN,
    Infinity,
    -Infinity,
    0n,
    1n,
    -1n,
    10n ** 9n,
    2n ** 64n,
    10n ** 40n
  ].map((number) => () => number),
  (dice) => dice.int(-10, 10_000),
  (dice) => dice.next() * 10 ** dice.int(-5, 25)
]

// Its memory is given away.
const detached = (): Uint8Array => {
  const bytes = new Uint8Array(16)
  structuredClone(bytes, { transfer: [bytes.buffer] })
  return bytes
}

class Liar extends Uint8Array {
  override get length(): number {
    return 3
  }
  override get byteLength(): number {
    return 1_000_000
  }
  override subarray(): never {
    return boom()
  }
  override toString(): never {
    return boom()
  }
}

const bytes: ReadonlyArray<(dice: Dice) => unknown> = [
  () => new Uint8Array(0),
  (dice) => Uint8Array.from({ length: dice.int(0, 50) }, () => dice.int(0, 255)),
  () => new Uint8Array(70_000),
  () => Buffer.from("\r\nput 0 0 1 1\r\nx\r\n"),
  () => new Uint8Array(new SharedArrayBuffer(8)),
  () => new Uint8Array(new ArrayBuffer(8, { maxByteLength: 16 })),
  () => new Uint8Array(new ArrayBuffer(8), 4),
  detached,
  () => new Liar(8),
  () => new Proxy(new Uint8Array(3), {}),
  () => new Uint8ClampedArray(3),
  () => new Uint16Array(3),
  () => new Float64Array(1),
  () => new DataView(new ArrayBuffer(4)),
  () => new ArrayBuffer(4),
  () => new Blob(["x"])
]

const durations: ReadonlyArray<(dice: Dice) => unknown> = [
  () => Duration.zero,
  () => Duration.infinity,
  () => Duration.negativeInfinity,
  () => Duration.seconds(1),
  () => Duration.millis(1.5),
  () => Duration.nanos(1n),
  () => Duration.nanos(-1n),
  () => Duration.seconds(-5),
  () => Duration.weeks(1e9),
  () => ({ seconds: 1 }),
  () => ({ minutes: 1, seconds: NaN }),
  () => ({ seconds: "1" }),
  () => ({ second: 1 }),
  () => ({ weeks: 1e308 }),
  () => ({ days: -1 }),
  () => [1, 2],
  () => [NaN, 1],
  () => [1],
  () => ({ ...Duration.seconds(1), value: { _tag: "Millis", millis: "1\r\nquit" } }),
  () => Object.assign(Object.create(Duration.zero) as object, { value: { _tag: "Millis", millis: "1000" } }),
  () => Object.assign(Object.create(Duration.zero) as object, { value: { _tag: "Nanos", nanos: "x" } }),
  () => Object.assign(Object.create(Duration.zero) as object, { value: null }),
  () => Object.assign(Object.create(Duration.zero) as object, { value: { _tag: "Hours" } })
]

const unreadable = (): object =>
  new Proxy({}, {
    get: boom,
    has: boom,
    ownKeys: boom,
    getPrototypeOf: boom,
    getOwnPropertyDescriptor: boom
  })

const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable([], {})
  revoke()
  return proxy
}

/** Says something else each time it is asked. */
const fickle = (dice: Dice, values: ReadonlyArray<unknown>): object =>
  new Proxy({}, { get: (_, key) => key === "then" ? undefined : dice.one(values) })

const objects: ReadonlyArray<(dice: Dice) => unknown> = [
  () => undefined,
  () => null,
  () => true,
  () => false,
  () => Symbol("x"),
  () => Symbol.iterator,
  () => boom,
  () => Object,
  () => ({}),
  () => [],
  () => ["x"],
  () => ["x", "y\r\nquit"],
  () => [["x"]],
  () => Array.from({ length: 3 }),
  () => Object.create(null) as object,
  () => Object.freeze({ priority: 1 }),
  () => new Map([["x", 1]]),
  () => new Set(["x"]),
  () => new Date(0),
  () => /x/,
  () => new Error("x"),
  () => Promise.resolve("x"),
  () => new String("x"),
  () => new Number(1),
  () => new Boolean(true),
  () => ({ toString: () => "x\r\nquit", valueOf: () => 1 }),
  () => ({ toString: boom, valueOf: boom, [Symbol.toPrimitive]: boom }),
  () => ({ toJSON: boom }),
  () => ({ [Symbol.for("nodejs.util.inspect.custom")]: boom }),
  () => ({ length: 1, 0: "x" }),
  unreadable,
  revoked,
  (dice) => fickle(dice, [1, "1\r\nquit", 60_000, undefined, NaN, "x"])
]

const kinds = [strings, numbers, bytes, durations, objects]

/** Anything at all. */
export const anything = (dice: Dice): unknown =>
  dice.one(dice.one(kinds) as ReadonlyArray<(dice: Dice) => unknown>)(dice)

/** Options of these names: an object with some of them, or anything; some say something else when they are asked again. */
export const optionsOf = (dice: Dice, names: Readonly<Record<string, (dice: Dice) => unknown>>): unknown => {
  if (dice.chance(0.1)) return anything(dice)
  const options: Record<string, unknown> = {}
  for (const [name, valid] of Object.entries(names)) {
    if (dice.chance(0.4)) continue
    const value = (): unknown => dice.chance(0.6) ? valid(dice) : anything(dice)
    if (dice.chance(0.9)) options[name] = value()
    else if (dice.chance(0.5)) Object.defineProperty(options, name, { get: value, enumerable: true })
    else Object.defineProperty(options, name, { get: boom, enumerable: dice.chance(0.5) })
  }
  return options
}
