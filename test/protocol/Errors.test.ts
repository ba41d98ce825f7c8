/**
 * The errors of commands: their tags and words, which of them may be retried, and that they survive a wire.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Schema from "effect/Schema"
import * as Errors from "../../src/Errors.ts"
import { commands } from "../../src/Protocol.ts"
import { JobRef } from "../../src/internal/protocol/jobRef.ts"
import { JobId } from "../../src/internal/protocol/scalars.ts"

const server = "127.0.0.1:11300"
const id = JobId.make(7)
const tube = "emails"

const invalid = (value: unknown) =>
  new Errors.InvalidArgument({ operation: "put", argument: "ttr", value, rule: "a ttr" })

const closed = new Errors.BeanstalkdError({
  command: "put",
  server,
  sent: true,
  reason: new Errors.ConnectionClosed({ detail: "the server closed it" })
})

// ---------------------------------------------------------------------------------------------------------------------
// Tables: every error with its exact words
// ---------------------------------------------------------------------------------------------------------------------

const NOT_FOUND: ReadonlyArray<readonly [error: Errors.NotFound, message: string]> = [
  [new Errors.NotFound({ command: "delete", server, id }), "delete: no job 7 on 127.0.0.1:11300"],
  [new Errors.NotFound({ command: "peek", server, id }), "peek: no job 7 on 127.0.0.1:11300"],
  [new Errors.NotFound({ command: "stats-job", server, id }), "stats-job: no job 7 on 127.0.0.1:11300"],
  [
    new Errors.NotFound({ command: "reserve-job", server, id }),
    "reserve-job: no job 7 on 127.0.0.1:11300 that could be reserved"
  ],
  [
    new Errors.NotFound({ command: "kick-job", server, id }),
    "kick-job: no buried or delayed job 7 on 127.0.0.1:11300"
  ],
  [
    new Errors.NotFound({ command: "release", server, id }),
    "release: job 7 is not reserved by this connection to 127.0.0.1:11300"
  ],
  [
    new Errors.NotFound({ command: "bury", server, id }),
    "bury: job 7 is not reserved by this connection to 127.0.0.1:11300"
  ],
  [
    new Errors.NotFound({ command: "touch", server, id }),
    "touch: job 7 is not reserved by this connection to 127.0.0.1:11300"
  ],
  [new Errors.NotFound({ command: "peek-ready", server }), "peek-ready: no ready job on 127.0.0.1:11300"],
  [
    new Errors.NotFound({ command: "peek-ready", server, tube }),
    "peek-ready: no ready job in tube emails on 127.0.0.1:11300"
  ],
  [
    new Errors.NotFound({ command: "peek-delayed", server, tube }),
    "peek-delayed: no delayed job in tube emails on 127.0.0.1:11300"
  ],
  [
    new Errors.NotFound({ command: "peek-buried", server, tube }),
    "peek-buried: no buried job in tube emails on 127.0.0.1:11300"
  ],
  [new Errors.NotFound({ command: "stats-tube", server, tube }), "stats-tube: no tube emails on 127.0.0.1:11300"],
  [new Errors.NotFound({ command: "pause-tube", server, tube }), "pause-tube: no tube emails on 127.0.0.1:11300"]
]

const OUTCOMES = [
  ...NOT_FOUND,
  [new Errors.TimedOut({ server, timeoutSeconds: 30 }), "no job became ready on 127.0.0.1:11300 within 30 s"],
  [
    new Errors.DeadlineSoon({ server }),
    "a job reserved on this connection to 127.0.0.1:11300 times out within a second: delete, release, bury or touch it"
  ],
  [new Errors.Draining({ server }), "127.0.0.1:11300 is draining and accepts no new jobs"],
  [
    new Errors.JobTooBig({ server, size: 70_000 }),
    "a body of 70000 bytes is more than 127.0.0.1:11300 accepts (its maxJobSize)"
  ],
  [
    new Errors.JobBuried({ command: "put", server, id }),
    "put: 127.0.0.1:11300 had no memory to queue job 7 and buried it"
  ],
  [
    new Errors.JobBuried({ command: "release", server, id }),
    "release: 127.0.0.1:11300 had no memory to queue job 7 and buried it"
  ],
  [new Errors.OutOfMemory({ server }), "127.0.0.1:11300 has no memory for another job"],
  [
    new Errors.NotIgnored({ server, tube }),
    "emails is the only tube that this connection to 127.0.0.1:11300 watches"
  ],
  [invalid(60), "put: ttr must be a ttr, got 60"],
  [
    new Errors.DecodeError({ tube, id, body: Uint8Array.of(1, 2), cause: "no JSON" }),
    "the body of job 7 in tube emails does not decode: no JSON"
  ],
  [
    new Errors.PutAllError({
      inserted: [new JobRef({ server, id }), new JobRef({ server, id: JobId.make(8) })],
      cause: new Errors.Draining({ server })
    }),
    "put stopped after 2 jobs: 127.0.0.1:11300 is draining and accepts no new jobs"
  ],
  [
    new Errors.PutAllError({
      inserted: [new JobRef({ server, id })],
      omitted: 5,
      cause: new Errors.Draining({ server })
    }),
    "put stopped after 6 jobs: 127.0.0.1:11300 is draining and accepts no new jobs"
  ],
  [
    new Errors.PutAllError({ inserted: [], cause: closed }),
    "put stopped after 0 jobs: put on 127.0.0.1:11300: the connection is closed: the server closed it"
  ],
  [closed, "put on 127.0.0.1:11300: the connection is closed: the server closed it"]
] as const

const REASONS: ReadonlyArray<
  readonly [reason: Errors.BeanstalkdErrorReason, isRetryable: boolean, message: string]
> = [
  [new Errors.OpenError({ cause: new Error("ECONNREFUSED") }), true, "cannot connect: ECONNREFUSED"],
  [new Errors.OpenError({ cause: "no such host" }), true, "cannot connect: no such host"],
  [
    new Errors.InvalidOptions({ operation: "Client.make", argument: "ttr", value: 60, rule: "a ttr" }),
    false,
    "Client.make: ttr must be a ttr, got 60"
  ],
  [new Errors.OpenTimeout({ timeoutMillis: 5000 }), true, "cannot connect: no answer within 5000 ms"],
  [
    new Errors.ConnectionClosed({ detail: "its Scope was closed" }),
    true,
    "the connection is closed: its Scope was closed"
  ],
  [
    new Errors.ConnectionClosed({ detail: "no answer within 10 ms", cause: new Error("silence") }),
    true,
    "the connection is closed: no answer within 10 ms"
  ],
  [new Errors.ReadError({ cause: new Error("ECONNRESET") }), true, "reading failed: ECONNRESET"],
  [new Errors.WriteError({ cause: "EPIPE" }), true, "writing failed: EPIPE"],
  [new Errors.CommandTimeout({ timeoutMillis: 10_000 }), true, "no answer within 10000 ms"],
  [new Errors.AcquireTimeout({ timeoutMillis: 1 }), true, "no connection became free within 1 ms"],
  [new Errors.NoServer({ servers: [] }), true, "the fleet has no servers"],
  [
    new Errors.PartlyDone({ done: ["a", "b"], failed: [{ server: "c", message: "no answer" }] }),
    true,
    "done on a, b, and not on c (no answer)"
  ],
  [
    new Errors.UnexpectedReply({ reply: "HELLO\u0000", detail: "not a reply to put" }),
    false,
    "unexpected reply \"HELLO\\u0000\": not a reply to put"
  ],
  [new Errors.InternalError(), true, "INTERNAL_ERROR: the server says that it has a bug"],
  [new Errors.BadFormat(), false, "BAD_FORMAT: the server could not read the command"],
  [new Errors.UnknownCommand(), false, "UNKNOWN_COMMAND: the server does not have this command"],
  [new Errors.ExpectedCrlf(), false, "EXPECTED_CRLF: the server did not find the end of the body"],
  [new Errors.ServerOutOfMemory(), true, "OUT_OF_MEMORY: the server has no memory to carry out the command"]
]

type Outcome = typeof OUTCOMES[number][0]

const wrap = (reason: Errors.BeanstalkdErrorReason, sent = true) =>
  new Errors.BeanstalkdError({ command: "kick-job", server, sent, reason })

const encodeReason = Schema.encodeSync(Schema.toCodecJson(Errors.BeanstalkdErrorReason))

const tags = (errors: ReadonlyArray<{ readonly _tag: string }>) => [...new Set(errors.map(({ _tag }) => _tag))].sort()

// ---------------------------------------------------------------------------------------------------------------------

describe("the outcomes", () => {
  it("are all in the table of this file", () => {
    assert.deepStrictEqual(tags(OUTCOMES.map(([error]) => error)), [
      "BeanstalkdError",
      "DeadlineSoon",
      "DecodeError",
      "Draining",
      "InvalidArgument",
      "JobBuried",
      "JobTooBig",
      "NotFound",
      "NotIgnored",
      "OutOfMemory",
      "PutAllError",
      "TimedOut"
    ])
  })

  for (const [error, message] of OUTCOMES) {
    it(`${error._tag} says "${message}"`, () => {
      assert.strictEqual(error.message, message)
      assert.instanceOf(error, Error)
      assert.include(String(error), message)
    })
  }

  it("NotFound has words for every command that can be answered NOT_FOUND", () => {
    const answered = Object.values(commands).filter(({ replies }) => new Set<string>(replies.keys()).has("NOT_FOUND"))
    assert.deepStrictEqual(
      [...new Set(NOT_FOUND.map(([error]) => error.command))].sort(),
      answered.map(({ name }) => name).sort()
    )
  })

  it("are not constructed from what they cannot hold", () => {
    assert.throws(() => new Errors.NotFound({ command: "delete", server, id: 1.5 as JobId }))
    assert.throws(() => new Errors.JobTooBig({ server, size: NaN }))
  })
})

const handlers = {
  NotFound: (error: Errors.NotFound) => Effect.succeed([error._tag, error.command]),
  TimedOut: (error: Errors.TimedOut) => Effect.succeed([error._tag, error.timeoutSeconds]),
  DeadlineSoon: (error: Errors.DeadlineSoon) => Effect.succeed([error._tag, error.server]),
  Draining: (error: Errors.Draining) => Effect.succeed([error._tag, error.server]),
  JobTooBig: (error: Errors.JobTooBig) => Effect.succeed([error._tag, error.size]),
  JobBuried: (error: Errors.JobBuried) => Effect.succeed([error._tag, error.id]),
  OutOfMemory: (error: Errors.OutOfMemory) => Effect.succeed([error._tag, error.server]),
  NotIgnored: (error: Errors.NotIgnored) => Effect.succeed([error._tag, error.tube]),
  InvalidArgument: (error: Errors.InvalidArgument) => Effect.succeed([error._tag, error.value]),
  DecodeError: (error: Errors.DecodeError) => Effect.succeed([error._tag, error.body.length]),
  PutAllError: (error: Errors.PutAllError) => Effect.succeed([error._tag, error.inserted.length]),
  BeanstalkdError: (error: Errors.BeanstalkdError) => Effect.succeed([error._tag, error.reason._tag])
}

describe("catching", () => {
  for (const [error] of OUTCOMES) {
    it.effect(`${error._tag} is caught by its tag alone: ${error.message}`, () =>
      Effect.gen(function*() {
        const failing: Effect.Effect<never, Outcome> = Effect.fail(error)
        const caught = yield* failing.pipe(Effect.catchTags(handlers))
        assert.strictEqual(caught[0], error._tag)
      }))
  }

  it.effect("a yielded error ends the effect, and passes by whoever catches another tag", () =>
    Effect.gen(function*() {
      const looking = Effect.fnUntraced(function*(command: string) {
        if (command === "delete") return yield* new Errors.NotFound({ command, server, id })
        return yield* new Errors.TimedOut({ server, timeoutSeconds: 1 })
      })
      const patient = (command: string) =>
        looking(command).pipe(Effect.catchTag("NotFound", () => Effect.succeed("gone")))
      assert.strictEqual(yield* patient("delete"), "gone")
      const error = yield* Effect.flip(patient("reserve"))
      assert.instanceOf(error, Errors.TimedOut)
      assert.strictEqual(error.timeoutSeconds, 1)
    }))

  it.effect("a reason of BeanstalkdError is caught like an error", () =>
    Effect.gen(function*() {
      const failing: Effect.Effect<never, Errors.BeanstalkdError> = Effect.fail(
        wrap(new Errors.CommandTimeout({ timeoutMillis: 3 }))
      )
      const caught = yield* failing.pipe(
        Effect.catchReason("BeanstalkdError", "CommandTimeout", ({ timeoutMillis }) => Effect.succeed(timeoutMillis))
      )
      assert.strictEqual(caught, 3)
    }))

  it.effect("several reasons are caught each by its tag, with the whole error at hand", () =>
    Effect.gen(function*() {
      const caught = (reason: Errors.BeanstalkdErrorReason): Effect.Effect<string, Errors.BeanstalkdError> => {
        const failing: Effect.Effect<never, Errors.BeanstalkdError> = Effect.fail(wrap(reason))
        return Effect.catchReasons(failing, "BeanstalkdError", {
          BadFormat: (_, error) => Effect.succeed(error.command),
          AcquireTimeout: ({ timeoutMillis }) => Effect.succeed(`${timeoutMillis} ms`)
        })
      }
      assert.strictEqual(yield* caught(new Errors.BadFormat()), "kick-job")
      assert.strictEqual(yield* caught(new Errors.AcquireTimeout({ timeoutMillis: 3 })), "3 ms")
      const passed = yield* Effect.flip(caught(new Errors.InternalError()))
      assert.instanceOf(passed.reason, Errors.InternalError)
    }))

  it.effect("reasons can be made errors of their own", () =>
    Effect.gen(function*() {
      for (const [reason] of REASONS) {
        const failing: Effect.Effect<never, Errors.BeanstalkdError> = Effect.fail(wrap(reason))
        assert.strictEqual(yield* Effect.flip(Effect.unwrapReason(failing, "BeanstalkdError")), reason)
      }
    }))
})

describe("BeanstalkdError", () => {
  it("has every reason of its union in the table of this file", () => {
    assert.deepStrictEqual(tags(REASONS.map(([reason]) => reason)), [
      "AcquireTimeout",
      "BadFormat",
      "CommandTimeout",
      "ConnectionClosed",
      "ExpectedCrlf",
      "InternalError",
      "InvalidOptions",
      "NoServer",
      "OpenError",
      "OpenTimeout",
      "PartlyDone",
      "ReadError",
      "ServerOutOfMemory",
      "UnexpectedReply",
      "UnknownCommand",
      "WriteError"
    ])
    assert.strictEqual(Errors.BeanstalkdErrorReason.members.length, 16)
  })

  for (const [reason, isRetryable, message] of REASONS) {
    it(`with ${reason._tag} says "${message}" and ${isRetryable ? "may" : "may not"} be retried`, () => {
      const error = wrap(reason)
      assert.strictEqual(reason.message, message)
      // Options concern no server.
      const about = reason._tag === "InvalidOptions" ? "" : "kick-job on 127.0.0.1:11300: "
      assert.strictEqual(error.message, `${about}${message}`)
      assert.strictEqual(reason.isRetryable, isRetryable)
      assert.strictEqual(error.isRetryable, isRetryable)
      assert.strictEqual(error.reason, reason)
    })
  }

  it("shows its reason where error reporters look for a cause", () => {
    const reason = new Errors.ReadError({ cause: new Error("ECONNRESET") })
    assert.strictEqual(wrap(reason).cause, reason)
  })

  it("tells whether a byte of the command was handed to the socket", () => {
    assert.isTrue(wrap(new Errors.BadFormat(), true).sent)
    assert.isFalse(wrap(new Errors.BadFormat(), false).sent)
  })

  it("and its reasons tell whether they may be retried, but do not carry it as data", () => {
    for (const [reason, isRetryable] of REASONS) {
      for (const value of [reason, wrap(reason)]) {
        assert.strictEqual(value.isRetryable, isRetryable)
        assert.notInclude(Object.keys(value), "isRetryable")
        assert.notInclude(JSON.stringify(value), "isRetryable")
      }
      assert.notInclude(JSON.stringify(encodeReason(reason)), "isRetryable")
    }
  })

  it("with the same reason is equal", () => {
    const timeout = (timeoutMillis: number) => new Errors.CommandTimeout({ timeoutMillis })
    assert.isTrue(Equal.equals(timeout(3), timeout(3)))
    assert.isFalse(Equal.equals(timeout(3), timeout(4)))
    assert.isTrue(Equal.equals(new Errors.BadFormat(), new Errors.BadFormat()))
    assert.isFalse(Equal.equals<unknown, unknown>(new Errors.BadFormat(), new Errors.UnknownCommand()))
  })

  it("is retryable whether or not it was sent", () => {
    const reason = new Errors.CommandTimeout({ timeoutMillis: 1 })
    assert.isTrue(wrap(reason, true).isRetryable)
    assert.isTrue(wrap(reason, false).isRetryable)
  })
})

// ---------------------------------------------------------------------------------------------------------------------

const Any = Schema.toCodecJson(Schema.Union([
  Errors.NotFound,
  Errors.TimedOut,
  Errors.DeadlineSoon,
  Errors.Draining,
  Errors.JobTooBig,
  Errors.JobBuried,
  Errors.OutOfMemory,
  Errors.NotIgnored,
  Errors.InvalidArgument,
  Errors.DecodeError,
  Errors.PutAllError,
  Errors.BeanstalkdError
]))

const overTheWire = (error: Outcome) => {
  const json = JSON.stringify(Schema.encodeSync(Any)(error))
  const decoded = Schema.decodeUnknownSync(Any)(JSON.parse(json))
  return { json, decoded }
}

describe("as JSON and back", () => {
  for (const [error] of [...OUTCOMES, ...REASONS.map(([reason]) => [wrap(reason)] as const)]) {
    // The class of a cause is lost: JSON has only its name and message.
    it(`an error stays what it is: ${error.message}`, () => {
      const { decoded, json } = overTheWire(error)
      assert.strictEqual(decoded.constructor, error.constructor)
      assert.strictEqual(decoded.message, error.message)
      assert.strictEqual(JSON.stringify(Schema.encodeSync(Any)(decoded)), json)
    })
  }

  it("the fields of an error keep their values", () => {
    const { decoded } = overTheWire(
      new Errors.DecodeError({ tube, id, body: Uint8Array.of(0, 13, 10, 255), cause: "x" })
    )
    assert.instanceOf(decoded, Errors.DecodeError)
    assert.strictEqual(decoded.id, id)
    assert.deepStrictEqual(decoded.body, Uint8Array.of(0, 13, 10, 255))
    assert.strictEqual(decoded.cause, "x")
  })

  it("a BeanstalkdError keeps its reason, and whether it was sent and may be retried", () => {
    for (const sent of [true, false]) {
      const { decoded } = overTheWire(wrap(new Errors.UnexpectedReply({ reply: "HI", detail: "nonsense" }), sent))
      assert.instanceOf(decoded, Errors.BeanstalkdError)
      assert.instanceOf(decoded.reason, Errors.UnexpectedReply)
      assert.strictEqual(decoded.cause, decoded.reason)
      assert.strictEqual(decoded.sent, sent)
      assert.isFalse(decoded.isRetryable)
    }
  })

  it("what is no error of the contract is refused", () => {
    assert.isFalse(Schema.is(Any)({ _tag: "NotFound", command: "delete", server }))
    assert.throws(() => Schema.decodeSync(Any)({ _tag: "NotFound", command: "delete" }))
    assert.throws(() => Schema.decodeSync(Any)({ _tag: "Lost", command: "delete", server }))
  })
})

// ---------------------------------------------------------------------------------------------------------------------

const circular: Record<string, unknown> = { a: 1 }
circular["self"] = circular

const revoked = Proxy.revocable({}, {})
revoked.revoke()

const unprintable = {
  toString: () => {
    throw new Error("no text")
  }
}

const ODD_VALUES: ReadonlyArray<readonly [value: unknown, shown: string]> = [
  [undefined, "undefined"],
  [null, "null"],
  [NaN, "NaN"],
  [-Infinity, "-Infinity"],
  ["1", "\"1\""],
  ["x\r\nuse y", "\"x\\r\\nuse y\""],
  [5n, "5n"],
  [Symbol("s"), "Symbol(s)"],
  [{}, "{}"],
  [[], "[]"],
  [{ second: 1 }, "{\"second\":1}"],
  [Object.create(null), "{}"],
  [new Map([["a", 1]]), "Map([[\"a\",1]])"],
  [new Date(NaN), "Invalid Date"],
  [circular, "{\"a\":1,\"self\":[Circular]}"],
  [unprintable, "[toString threw]"],
  [revoked.proxy, "[inspection threw]"]
]

const PREFIX = "put: ttr must be a ttr, got "

describe("InvalidArgument", () => {
  for (const [value, shown] of ODD_VALUES) {
    it(`shows the value that was refused as ${shown}`, () => {
      const error = invalid(value)
      assert.strictEqual(error.message, PREFIX + shown)
      assert.isTrue(Object.is(error.value, value))
    })
  }

  it("cuts what is long", () => {
    const long = "x".repeat(1_000_000)
    assert.strictEqual(invalid(long).message, `${PREFIX}"${"x".repeat(79)}...`)
    assert.isBelow(invalid(Array.from({ length: 10_000 }, () => ({ long: "x" }))).message.length, 200)
  })

  const AnyValue = Arbitrary.schema(
    Schema.Union([Schema.Unknown, Schema.Finite, Schema.BigInt, Schema.Symbol, Schema.Date, Schema.Uint8Array])
  )

  it.prop("says in a short text what it refused, whatever that is", [AnyValue], ([value]) => {
    const { message } = invalid(value)
    assert.isTrue(message.startsWith(PREFIX))
    assert.isAbove(message.length, PREFIX.length)
    assert.isBelow(message.length, PREFIX.length + 100)
  }, { arbitrary: { runs: 300 } })
})
