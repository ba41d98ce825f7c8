/**
 * An argument that the client refuses never reaches the server: not a byte of it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { Connection, Errors, type Protocol } from "effect-beanstalkd"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"

// A caller without types, or with a cast, can pass anything.
const any = (value: unknown) => value as never

const BAD_DURATIONS: ReadonlyArray<readonly [string, unknown]> = [
  ["NaN", NaN],
  ["an empty object", {}],
  ["-1", -1],
  ["a negative text", "-1 second"],
  ["a negative bigint", -1n],
  ["a negative Duration", Duration.seconds(-1)],
  ["a text that is no duration", "soon"],
  ["the empty text", ""],
  ["a misspelt unit", { second: 1 }],
  ["a unit that is NaN", { seconds: NaN }],
  ["an array that is no pair", [1]],
  ["null", null],
  ["a boolean", true]
]

const TOO_LONG: ReadonlyArray<readonly [string, unknown]> = [
  ["infinity", Infinity],
  ["more than 2^32-1 seconds", Duration.seconds(2 ** 32)],
  ["hardly more than 2^32-1 seconds", (2 ** 32 - 1) * 1000 + 1]
]

const BAD_TTRS: ReadonlyArray<readonly [string, unknown]> = [
  ["60, which is 60 milliseconds", 60],
  ["half a second", "500 millis"],
  ["zero", 0]
]

const BAD_NUMBERS: ReadonlyArray<readonly [string, unknown]> = [
  ["a fraction", 1.5],
  ["a negative number", -1],
  ["2^32", 2 ** 32],
  ["a text", "1"],
  ["NaN", NaN],
  ["null", null]
]

const BAD_IDS: ReadonlyArray<readonly [string, unknown]> = [
  ["a fraction", 1.5],
  ["a negative number", -1],
  ["2^53", 2 ** 53],
  ["a text", "1"],
  ["a text with a command in it", "1\r\ndelete 2"],
  ["undefined", undefined]
]

const BAD_TUBES: ReadonlyArray<readonly [string, unknown]> = [
  ["one with a command in it", "x\r\nuse y"],
  ["one with a line feed at its end", "x\n"],
  ["201 characters", "x".repeat(201)],
  ["a leading -", "-x"],
  ["the empty name", ""],
  ["a blank", "a b"],
  ["a letter with an accent", "é"],
  ["a number", 1],
  ["null", null]
]

const detached = (): Uint8Array => {
  const bytes = new Uint8Array(16)
  structuredClone(bytes, { transfer: [bytes.buffer] })
  return bytes
}

const BAD_BODIES: ReadonlyArray<readonly [string, unknown]> = [
  ["a number", 1],
  ["undefined", undefined],
  ["null", null],
  ["an object", {}],
  ["an ArrayBuffer", new ArrayBuffer(8)],
  ["an array of 16-bit numbers", new Uint16Array(2)],
  ["an array whose memory was given away", detached()],
  ["a lone surrogate", "\ud800"]
]

type Attempt = readonly [
  name: string,
  argument: string,
  run: (c: Connection.Service) => Effect.Effect<unknown, unknown>
]

const attempts = (
  argument: string,
  bad: ReadonlyArray<readonly [string, unknown]>,
  commands: Record<string, (connection: Connection.Service, value: never) => Effect.Effect<unknown, unknown>>
): ReadonlyArray<Attempt> =>
  Object.entries(commands).flatMap(([command, run]) =>
    bad.map(([what, value]): Attempt => [`${command}: ${argument} ${what}`, argument, (c) => run(c, any(value))])
  )

const withPut = (option: keyof Protocol.PutOptions) => (c: Connection.Service, value: never) =>
  c.put("x", { [option]: value })

const refused: ReadonlyArray<Attempt> = [
  ...attempts("ttr", [...BAD_DURATIONS, ...TOO_LONG, ...BAD_TTRS], { put: withPut("ttr") }),
  ...attempts("delay", [...BAD_DURATIONS, ...TOO_LONG], {
    put: withPut("delay"),
    release: (c, delay) => c.release(any(1), { delay }),
    pauseTube: (c, delay) => c.pauseTube("x", delay)
  }),
  ...attempts("timeout", BAD_DURATIONS, { reserveWithTimeout: (c, timeout) => c.reserveWithTimeout(timeout) }),
  ...attempts("priority", BAD_NUMBERS, {
    put: withPut("priority"),
    release: (c, priority) => c.release(any(1), { priority }),
    bury: (c, priority) => c.bury(any(1), { priority })
  }),
  ...attempts("bound", BAD_NUMBERS.filter(([what]) => what !== "null"), { kick: (c, bound) => c.kick(bound) }),
  ...attempts("body", BAD_BODIES, { put: (c, body) => c.put(body) }),
  ...attempts("tube", BAD_TUBES, {
    put: withPut("tube"),
    use: (c, tube) => c.use(tube),
    watch: (c, tube) => c.watch(tube),
    ignore: (c, tube) => c.ignore(tube),
    statsTube: (c, tube) => c.statsTube(tube),
    pauseTube: (c, tube) => c.pauseTube(tube, 0)
  }),
  ...attempts("id", BAD_IDS, {
    reserveJob: (c, id) => c.reserveJob(id),
    delete: (c, id) => c.delete(id),
    release: (c, id) => c.release(id),
    bury: (c, id) => c.bury(id),
    touch: (c, id) => c.touch(id),
    peek: (c, id) => c.peek(id),
    kickJob: (c, id) => c.kickJob(id),
    statsJob: (c, id) => c.statsJob(id)
  })
]

describe("what is refused", () => {
  it.live("fails with InvalidArgument that names the argument, and the server sees no byte", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.recorder()
      const connection = yield* Connection.make({ port: server.port })
      for (const [name, argument, run] of refused) {
        const error = yield* Effect.flip(run(connection))
        assert.instanceOf(error, Errors.InvalidArgument, name)
        assert.strictEqual(error.argument, argument, name)
        assert.include(error.message, `${argument} must be `, name)
      }
      assert.isAbove(refused.length, 150)
      // The first bytes that the server sees are those of a command that is allowed.
      yield* Effect.forkScoped(connection.put("x", { tube: "y" }))
      yield* eventually(Effect.sync(() => assert.notStrictEqual(server.received(), "")))
      assert.strictEqual(server.received(), "use y\r\nput 2147483648 0 120 1\r\nx\r\n")
      assert.isFalse(yield* connection.closed)
    }))

  it.live("is a body whose memory was given away before it could be sent; what was issued beside it is not concerned", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.recorder()
      const connection = yield* Connection.make({ port: server.port })
      const body = new Uint8Array(16)
      const put = yield* Effect.forkChild(Effect.flip(connection.put(body)), { startImmediately: true })
      yield* Effect.forkScoped(connection.stats, { startImmediately: true })
      structuredClone(body, { transfer: [body.buffer] })
      const error = yield* Fiber.join(put)
      assert.instanceOf(error, Errors.InvalidArgument)
      assert.strictEqual(error.argument, "body")
      yield* eventually(Effect.sync(() => assert.strictEqual(server.received(), "stats\r\n")))
    }))
})
