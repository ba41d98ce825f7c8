/**
 * Requests as bytes: those of each command to the letter, and that a server reads in them exactly the command that was
 * issued, whatever callers pass.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { Buffer } from "node:buffer"
import { InvalidArgument } from "../../src/Errors.ts"
import { type Command, commands } from "../../src/Protocol.ts"
import type { Request } from "../../src/internal/protocol/command.ts"
import { layOut } from "../../src/internal/protocol/requestWriter.ts"
import { JobId, Priority, TubeName } from "../../src/internal/protocol/scalars.ts"

const accepted = (encoded: unknown): Request => {
  assert.notInstanceOf(encoded, InvalidArgument)
  return encoded as Request
}

const written = (...requests: ReadonlyArray<Request>) => Buffer.from(layOut(requests)).toString("latin1")

// ---------------------------------------------------------------------------------------------------------------------
// To the letter
// ---------------------------------------------------------------------------------------------------------------------

interface Row {
  readonly name: string
  readonly request: Request
  readonly bytes: string
}

const row = <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
  command: Command<Args, Invalid, A, E>,
  args: Args,
  bytes: string
): Row => ({ name: command.name, request: accepted(command.encode(...args)), bytes })

const id = JobId.make(7)
const largest = JobId.make(Number.MAX_SAFE_INTEGER)

const ROWS: ReadonlyArray<Row> = [
  row(commands.put, ["hello"], "put 2147483648 0 120 5\r\nhello\r\n"),
  row(commands.put, ["", {}], "put 2147483648 0 120 0\r\n\r\n"),
  row(
    commands.put,
    ["x", { priority: 0, delay: "1 minute", ttr: 1500, tube: "emails" }],
    "put 0 60 2 1\r\nx\r\n"
  ),
  row(
    commands.put,
    ["x", { priority: undefined, delay: undefined, ttr: undefined, tube: undefined }],
    "put 2147483648 0 120 1\r\nx\r\n"
  ),
  row(
    commands.put,
    ["x", { priority: 4_294_967_295, delay: { seconds: 4_294_967_295 }, ttr: "4294967295 seconds" }],
    "put 4294967295 4294967295 4294967295 1\r\nx\r\n"
  ),
  row(commands.put, ["\r\nquit\r\n"], "put 2147483648 0 120 8\r\n\r\nquit\r\n\r\n"),
  row(commands.use, ["emails"], "use emails\r\n"),
  row(commands.reserve, [], "reserve\r\n"),
  row(commands.reserveWithTimeout, [0], "reserve-with-timeout 0\r\n"),
  row(commands.reserveWithTimeout, ["1500 millis"], "reserve-with-timeout 2\r\n"),
  row(commands.reserveWithTimeout, ["2147483647 seconds"], "reserve-with-timeout 2147483647\r\n"),
  row(commands.reserveWithTimeout, ["2147483648 seconds"], "reserve-with-timeout 2147483647\r\n"),
  row(commands.reserveWithTimeout, [Infinity], "reserve-with-timeout 2147483647\r\n"),
  row(commands.reserveJob, [id], "reserve-job 7\r\n"),
  row(commands.delete, [id], "delete 7\r\n"),
  row(commands.delete, [largest], "delete 9007199254740991\r\n"),
  row(commands.release, [id], "release 7 2147483648 0\r\n"),
  row(commands.release, [id, { priority: 1, delay: 1 }], "release 7 1 1\r\n"),
  row(commands.bury, [id], "bury 7 2147483648\r\n"),
  row(commands.bury, [id, { priority: 1 }], "bury 7 1\r\n"),
  row(commands.touch, [id], "touch 7\r\n"),
  row(commands.watch, ["emails"], "watch emails\r\n"),
  row(commands.ignore, ["default"], "ignore default\r\n"),
  row(commands.peek, [id], "peek 7\r\n"),
  row(commands.peekReady, [], "peek-ready\r\n"),
  row(commands.peekDelayed, ["emails"], "peek-delayed\r\n"),
  row(commands.peekBuried, [undefined], "peek-buried\r\n"),
  row(commands.kick, [], "kick 1\r\n"),
  row(commands.kick, [100, "emails"], "kick 100\r\n"),
  row(commands.kick, [0], "kick 0\r\n"),
  row(commands.kickJob, [id], "kick-job 7\r\n"),
  row(commands.statsJob, [id], "stats-job 7\r\n"),
  row(commands.statsTube, ["emails"], "stats-tube emails\r\n"),
  row(commands.stats, [], "stats\r\n"),
  row(commands.listTubes, [], "list-tubes\r\n"),
  row(commands.listTubeUsed, [], "list-tube-used\r\n"),
  row(commands.listTubesWatched, [], "list-tubes-watched\r\n"),
  row(commands.pauseTube, ["emails", "1 minute"], "pause-tube emails 60\r\n"),
  row(commands.pauseTube, ["x".repeat(200), 0], `pause-tube ${"x".repeat(200)} 0\r\n`),
  row(commands.quit, [], "quit\r\n")
]

const allBytes = Uint8Array.from({ length: 256 }, (_, byte) => byte)

describe("the bytes of a request", () => {
  for (const { bytes, request } of ROWS) {
    it(`are ${JSON.stringify(bytes)}`, () => assert.strictEqual(written(request), bytes))
  }

  it("are shown here for each of the 25 commands", () => {
    assert.deepStrictEqual(
      [...new Set(ROWS.map(({ name }) => name))].sort(),
      Object.values(commands).map(({ name }) => name).sort()
    )
  })

  it("of several requests stand one behind the other, in order", () => {
    assert.strictEqual(
      written(...ROWS.map(({ request }) => request)),
      ROWS.map(({ bytes }) => bytes).join("")
    )
  })

  it("of no request are none", () => assert.strictEqual(layOut([]).length, 0))

  it("hold a binary body as it is", () => {
    const bodies = [allBytes, Buffer.from(allBytes), allBytes.subarray(100, 110), new Uint8Array(0)]
    for (const body of bodies) {
      assert.deepStrictEqual(
        Array.from(layOut([accepted(commands.put.encode(body))])),
        Array.from(Buffer.concat([Buffer.from(`put 2147483648 0 120 ${body.length}\r\n`), body, Buffer.from("\r\n")]))
      )
    }
  })

  it("hold an empty body whose memory was given away meanwhile", () => {
    const body = new Uint8Array(0)
    const request = accepted(commands.put.encode(body))
    structuredClone(body, { transfer: [body.buffer] })
    assert.strictEqual(written(request), "put 2147483648 0 120 0\r\n\r\n")
  })

  it("hold a text as UTF-8, and count its bytes and not its characters", () => {
    const text = "\u00e9\u20ac\u{1F600}\ufeff\0"
    const bytes = Buffer.from(layOut([accepted(commands.put.encode(text))]))
    assert.isTrue(bytes.equals(Buffer.from(`put 2147483648 0 120 13\r\n${text}\r\n`)))
  })

  it("do not change when the body does", () => {
    const body = Uint8Array.of(1, 2, 3)
    const bytes = layOut([accepted(commands.put.encode(body))])
    const before = Buffer.from(bytes)
    body.fill(0)
    assert.isTrue(before.equals(bytes))
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// As a server reads them
// ---------------------------------------------------------------------------------------------------------------------

const isUpTo = (max: bigint) => (text: string) => /^(0|[1-9][0-9]*)$/.test(text) && BigInt(text) <= max

const id64 = isUpTo(2n ** 64n - 1n)
const uint32 = isUpTo(2n ** 32n - 1n)
// beanstalkd 1.13 refuses more.
const timeout = isUpTo(2n ** 31n - 1n)
const tube = (text: string) => /^[A-Za-z0-9+/;.$_()][A-Za-z0-9\-+/;.$_()]{0,199}$/.test(text)

/** The arguments after the name of each command (beanstalkd-behaviour.md, 2 and 4). */
const GRAMMAR: ReadonlyMap<string, ReadonlyArray<(text: string) => boolean>> = new Map([
  ["put", [uint32, uint32, uint32, uint32]],
  ["peek", [id64]],
  ["peek-ready", []],
  ["peek-delayed", []],
  ["peek-buried", []],
  ["reserve-with-timeout", [timeout]],
  ["reserve-job", [id64]],
  ["reserve", []],
  ["delete", [id64]],
  ["release", [id64, uint32, uint32]],
  ["bury", [id64, uint32]],
  ["kick", [uint32]],
  ["kick-job", [id64]],
  ["touch", [id64]],
  ["stats-job", [id64]],
  ["stats-tube", [tube]],
  ["stats", []],
  ["use", [tube]],
  ["watch", [tube]],
  ["ignore", [tube]],
  ["list-tubes-watched", []],
  ["list-tube-used", []],
  ["list-tubes", []],
  ["quit", []],
  ["pause-tube", [tube, uint32]]
])

interface Read {
  readonly words: ReadonlyArray<string>
  readonly body?: ReadonlyArray<number> | undefined
}

/** Reads the bytes as a server does, stricter where servers are lenient: lines by CRLF, the body of a put by length. */
const read = (bytes: Uint8Array): ReadonlyArray<Read> => {
  const text = Buffer.from(bytes).toString("latin1")
  const found: Array<Read> = []
  let at = 0
  while (at < text.length) {
    const end = text.indexOf("\r\n", at)
    assert.isAbove(end, at, "a line with an end")
    const line = text.slice(at, end)
    assert.isAtMost(line.length, 222, "a line that fits into the server's buffer")
    assert.notInclude(line, "\0")
    const words = line.split(" ")
    const rules = GRAMMAR.get(words[0]!)
    assert.isDefined(rules, `a command: ${line}`)
    assert.strictEqual(words.length - 1, rules.length, `the arguments of ${line}`)
    for (const [index, rule] of rules.entries()) {
      assert.isTrue(rule(words[index + 1]!), `argument ${index + 1} of ${line}`)
    }
    at = end + 2
    if (words[0] !== "put") {
      found.push({ words })
      continue
    }
    const size = Number(words.pop())
    assert.strictEqual(text.slice(at + size, at + size + 2), "\r\n", `the end of the body of ${line}`)
    found.push({ words, body: Array.from(bytes.subarray(at, at + size)) })
    at += size + 2
  }
  return found
}

const oneOf = <A>(arbitraries: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(
    Arbitrary.schema(Schema.Literals(arbitraries.map((_, index) => index))),
    (index) => arbitraries[index]!
  )

const integer = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const MAX_SECONDS = 2 ** 32 - 1

const Id = Arbitrary.map(integer(0, Number.MAX_SAFE_INTEGER), (number) => JobId.make(number))
const Tube = oneOf([
  Arbitrary.schema(TubeName),
  Arbitrary.schema(Schema.String.check(Schema.isPattern(/^[a-z+/;.$_()][A-Z0-9\-+/;.$_()]{198,199}$/)))
])
const Millis = integer(0, MAX_SECONDS * 1000)
const Text = Arbitrary.filter(Arbitrary.schema(Schema.String), (text) => text.isWellFormed())
const Commands = Arbitrary.schema(
  Schema.String.check(Schema.isPattern(/^(\r\n|\r|\n|quit|put 0 0 1 |é|[0-9]|delete 1){0,8}$/))
)
const Body = oneOf<Uint8Array | string>([Text, Commands, Arbitrary.schema(Schema.Uint8Array)])
const option = <A>(arbitrary: Arbitrary.Arbitrary<A>) => oneOf([Arbitrary.Constant(undefined), arbitrary])

const up = (millis: number) => Math.ceil(millis / 1000)

interface Made {
  readonly request: Request
  readonly expected: Read
}

const made = <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
  command: Command<Args, Invalid, A, E>,
  args: Arbitrary.Arbitrary<Args>,
  words: (...args: Args) => ReadonlyArray<string | number>,
  body?: (...args: Args) => Uint8Array
): Arbitrary.Arbitrary<Made> =>
  Arbitrary.map(args, (args) => ({
    request: accepted(command.encode(...args)),
    expected: {
      words: [command.name, ...words(...args).map(String)],
      ...(body === undefined ? {} : { body: Array.from(body(...args)) })
    }
  }))

const none = Arbitrary.Constant<[]>([])
const onId = Arbitrary.all([Id])
const onTube = Arbitrary.all([Tube])
const maybeOnTube = Arbitrary.all([option(Tube)])

const AnyRequest = oneOf<Made>([
  made(
    commands.put,
    Arbitrary.all([
      Body,
      Arbitrary.all({
        tube: option(Tube),
        priority: option(Arbitrary.schema(Priority)),
        delay: option(Millis),
        ttr: option(integer(1000, MAX_SECONDS * 1000))
      })
    ]),
    (_, { delay = 0, priority = 2 ** 31, ttr = 120_000 }) => [priority, up(delay), up(ttr)],
    (body) => typeof body === "string" ? Buffer.from(body) : body
  ),
  made(commands.use, onTube, (tube) => [tube]),
  made(commands.reserve, none, () => []),
  made(
    commands.reserveWithTimeout,
    Arbitrary.all([oneOf([Millis, Arbitrary.Constant(Infinity)])]),
    (millis) => [Math.min(up(millis), 2 ** 31 - 1)]
  ),
  made(commands.reserveJob, onId, (id) => [id]),
  made(commands.delete, onId, (id) => [id]),
  made(
    commands.release,
    Arbitrary.all([Id, Arbitrary.all({ priority: option(Arbitrary.schema(Priority)), delay: option(Millis) })]),
    (id, { delay = 0, priority = 2 ** 31 }) => [id, priority, up(delay)]
  ),
  made(
    commands.bury,
    Arbitrary.all([Id, Arbitrary.all({ priority: option(Arbitrary.schema(Priority)) })]),
    (id, { priority = 2 ** 31 }) => [id, priority]
  ),
  made(commands.touch, onId, (id) => [id]),
  made(commands.watch, onTube, (tube) => [tube]),
  made(commands.ignore, onTube, (tube) => [tube]),
  made(commands.peek, onId, (id) => [id]),
  made(commands.peekReady, maybeOnTube, () => []),
  made(commands.peekDelayed, maybeOnTube, () => []),
  made(commands.peekBuried, maybeOnTube, () => []),
  made(commands.kick, Arbitrary.all([integer(0, MAX_SECONDS), option(Tube)]), (bound) => [bound]),
  made(commands.kickJob, onId, (id) => [id]),
  made(commands.statsJob, onId, (id) => [id]),
  made(commands.statsTube, onTube, (tube) => [tube]),
  made(commands.stats, none, () => []),
  made(commands.listTubes, none, () => []),
  made(commands.listTubeUsed, none, () => []),
  made(commands.listTubesWatched, none, () => []),
  made(commands.pauseTube, Arbitrary.all([Tube, Millis]), (tube, millis) => [tube, up(millis)]),
  made(commands.quit, none, () => [])
])

describe("a server", () => {
  it("that reads all that is shown above reads as many commands", () => {
    assert.deepStrictEqual(
      read(layOut(ROWS.map(({ request }) => request))).map(({ words }) => words[0]),
      ROWS.map(({ name }) => name)
    )
  })

  it.prop("reads exactly one command in the bytes of one request, with the values that were passed", [AnyRequest], ([
    { expected, request }
  ]) => assert.deepStrictEqual(read(layOut([request])), [expected]), { arbitrary: { runs: 1000, size: 60 } })

  it.prop("reads in many requests exactly those commands, in that order", [
    Arbitrary.array(AnyRequest, { maxLength: 30 })
  ], ([batch]) => {
    assert.deepStrictEqual(
      read(layOut(batch.map(({ request }) => request))),
      batch.map(({ expected }) => expected)
    )
  }, { arbitrary: { runs: 300, size: 60 } })
})

// ---------------------------------------------------------------------------------------------------------------------
// Whatever callers pass
// ---------------------------------------------------------------------------------------------------------------------

const Value = oneOf<unknown>([
  Arbitrary.schema(Schema.Unknown),
  Arbitrary.schema(Schema.Finite),
  integer(-1, 2 ** 33),
  integer(0, 2 ** 53 - 1),
  Tube,
  Text,
  Commands,
  Arbitrary.schema(
    Schema.String.check(Schema.isPattern(/^-?[0-9]{1,12}(\.5)? (seconds|millis|nanos|weeks|\r\nquit)$/))
  ),
  Arbitrary.schema(Schema.BigInt),
  Arbitrary.schema(Schema.Duration),
  Arbitrary.schema(Schema.Uint8Array),
  ...[undefined, NaN, Infinity, -0, 1.5, "1 0 1 0\r\nquit", "x\r\nuse y", { seconds: 1 }, { second: 1 }, [1, 0], [
    NaN,
    1
  ]]
    .map(Arbitrary.Constant)
])

const Options = Arbitrary.all({ tube: option(Tube), priority: Value, delay: Value, ttr: Value })

const AnyArguments = oneOf<ReadonlyArray<unknown>>([
  Arbitrary.array(Value, { maxLength: 3 }),
  Arbitrary.all([oneOf<unknown>([Body, Id, Value]), oneOf<unknown>([Options, Millis])]),
  Arbitrary.all([Tube, Value]),
  Arbitrary.all([Value, Tube])
])

describe("whatever is passed", () => {
  for (const command of Object.values(commands)) {
    it.prop(`${command.name} refuses it, or sends exactly one ${command.name}`, [AnyArguments], ([args]) => {
      const encoded: unknown = Reflect.apply(command.encode, undefined, args)
      if (encoded instanceof InvalidArgument) {
        assert.strictEqual(encoded.operation, command.name)
      } else {
        assert.deepStrictEqual(read(layOut([accepted(encoded)])).map(({ words }) => words[0]), [command.name])
      }
    }, { arbitrary: { runs: 200 } })
  }
})
