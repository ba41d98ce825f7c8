/**
 * The values of a tube: their bodies on the wire, the way back, and the refused ones; the options of a tube and of a
 * put.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Option, Schema, Stream } from "effect"
import { Client, Errors, Server, Tube, Worker } from "effect-beanstalkd"
import { onMemory } from "../support/Fixture.ts"
import { TUBE } from "../support/Workplace.ts"

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1")

const Email = Schema.Struct({
  to: Schema.String,
  sentAt: Schema.Date,
  size: Schema.BigInt,
  attachment: Schema.optionalKey(Schema.Uint8Array),
  tags: Schema.Option(Schema.Array(Schema.String))
})

const email: typeof Email.Type = {
  to: "ada@example.com ä \u{1f600}\r\n",
  sentAt: new Date("2026-11-22T07:00:00Z"),
  size: 2n ** 70n,
  attachment: Uint8Array.from({ length: 256 }, (_, i) => i),
  tags: Option.some(["a", ""])
}

/** Puts a value, checks that a peek and the stream agree on it, and gives it with its body. */
const roundTrip = <A>(tube: Tube.Tube<A>, value: A) =>
  Effect.gen(function*() {
    const { id } = yield* tube.put(value)
    const peeked = yield* tube.peekReady
    assert.strictEqual(peeked.id, id)
    const job = Option.getOrThrow(yield* tube.stream().pipe(Stream.tap((job) => job.delete), Stream.runHead))
    assert.strictEqual(job.id, id)
    assert.deepStrictEqual(job.value, peeked.value)
    assert.deepStrictEqual(latin1(job.body), latin1(peeked.body))
    return { value: job.value, body: latin1(job.body) }
  })

describe("a tube", () => {
  it.effect("of json has what the Schema encodes, as text that others can read", () =>
    onMemory(Effect.fnUntraced(function*() {
      const { body, value } = yield* roundTrip(Tube.make(TUBE, { schema: Email }), email)
      assert.deepStrictEqual(value, email)
      assert.deepInclude(JSON.parse(Buffer.from(body, "latin1").toString()), {
        to: email.to,
        sentAt: "2026-11-22T07:00:00.000Z",
        size: String(email.size)
      })
    })))

  it.effect("of json has null, numbers and texts, and undefined", () =>
    onMemory(Effect.fnUntraced(function*() {
      const values = Tube.make(TUBE, { schema: Schema.Union([Schema.Null, Schema.Finite, Schema.String]) })
      for (const value of [null, 0, -0.5, "", "null", "\"", "\u0000"]) {
        assert.deepStrictEqual((yield* roundTrip(values, value)).value, value)
      }
      const maybe = Tube.make(TUBE, { schema: Schema.UndefinedOr(Schema.Finite) })
      for (const value of [undefined, 1]) assert.strictEqual((yield* roundTrip(maybe, value)).value, value)
    })))

  it.effect("of binary has the same in fewer bytes", () =>
    onMemory(Effect.fnUntraced(function*() {
      const { body, value } = yield* roundTrip(Tube.make(TUBE, { schema: Email, codec: "binary" }), email)
      assert.deepStrictEqual(value, email)
      assert.isBelow(body.length, 400)
    })))

  it.effect("of text has the text, with or without a Schema", () =>
    onMemory(Effect.fnUntraced(function*() {
      const plain = Tube.make(TUBE, { codec: "text" })
      for (const text of ["", "ä\r\n\u0000\u{1f600}", "\ufeffwith a mark", "{}"]) {
        const { body, value } = yield* roundTrip(plain, text)
        assert.strictEqual(value, text)
        assert.strictEqual(body, Buffer.from(text).toString("latin1"))
      }
      const numbers = Tube.make(TUBE, { codec: "text", schema: Schema.FiniteFromString })
      assert.deepStrictEqual(yield* roundTrip(numbers, 4.5), { value: 4.5, body: "4.5" })
    })))

  it.effect("of bytes has the bytes, with or without a Schema", () =>
    onMemory(Effect.fnUntraced(function*() {
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => 255 - i)
      const { body } = yield* roundTrip(Tube.make(TUBE, { codec: "bytes" }), bytes)
      assert.strictEqual(body, latin1(bytes))
      const base64 = Tube.make(TUBE, { codec: "bytes", schema: Schema.Uint8Array.check(Schema.isMaxLength(256)) })
      assert.strictEqual((yield* roundTrip(base64, bytes)).body, latin1(bytes))
    })))

  it.effect("refuses a value that its Schema does not allow, and sends nothing", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const tube = Tube.make(TUBE, { schema: Schema.Struct({ n: Schema.Int }) })
      for (const value of [{ n: 1.5 }, {}, null, "x"]) {
        const error = yield* Effect.flip(tube.put(value as never))
        assert.deepInclude(error, { _tag: "InvalidArgument", operation: "put", argument: "value" })
        assert.include(error.message, `as the Schema of tube ${TUBE} says`)
      }
      const text = Tube.make(TUBE, { codec: "text" })
      for (const value of [1, undefined, {}]) {
        assert.strictEqual((yield* Effect.flip(text.put(value as never)))._tag, "InvalidArgument")
      }
      assert.strictEqual((yield* beanstalkd.stats).cmdPut, 0)
    })))

  it.effect("has many put at once, up to one that is refused", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const tube = Tube.make(TUBE, { schema: Schema.Int, priority: 5 })
      const ids = (yield* tube.putAll(Stream.range(1, 500), { delay: "1 second" })).map(({ id }) => id)
      assert.strictEqual(ids.length, 500)
      assert.deepInclude(yield* beanstalkd.statsJob(ids[499]!), { pri: 5, delay: 1, state: "delayed" })
      const error = yield* Effect.flip(tube.putAll([1, 2, 2.5, 3]))
      assert.instanceOf(error, Errors.PutAllError)
      assert.strictEqual(error.cause._tag, "InvalidArgument")
      assert.isAtMost(error.inserted.length, 3)
    })))
})

describe("the options of a tube", () => {
  const statsOf = (beanstalkd: Client.Service, tube: Tube.Tube<string>, options?: Client.PutOptions) =>
    Effect.map(
      Effect.flatMap(tube.put("x", options), beanstalkd.statsJob),
      ({ delay, pri, ttr }) => ({ pri, delay, ttr })
    )

  it.effect("are those of its jobs, unless the put says otherwise", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const plain = Tube.make(TUBE, { codec: "text" })
      const tube = Tube.make(TUBE, { codec: "text", priority: 7, delay: "3 seconds", ttr: "1 minute" })
      assert.deepStrictEqual(yield* statsOf(beanstalkd, plain), { pri: 2 ** 31, delay: 0, ttr: 120 })
      assert.deepStrictEqual(yield* statsOf(beanstalkd, tube), { pri: 7, delay: 3, ttr: 60 })
      assert.deepStrictEqual(yield* statsOf(beanstalkd, tube, { priority: 0, delay: 0 }), { pri: 0, delay: 0, ttr: 60 })
    })))

  it.effect("are not hidden by undefined, neither are the defaults", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const nothing = { priority: undefined, delay: undefined, ttr: undefined }
      const plain = Tube.make(TUBE, { codec: "text", client: undefined, ...nothing })
      const tube = Tube.make(TUBE, { codec: "text", priority: 7, delay: "3 seconds", ttr: "1 minute" })
      assert.deepStrictEqual(yield* statsOf(beanstalkd, plain, nothing), { pri: 2 ** 31, delay: 0, ttr: 120 })
      assert.deepStrictEqual(yield* statsOf(beanstalkd, tube, nothing), { pri: 7, delay: 3, ttr: 60 })
    })))

  it.effect("and a name that make no sense are told by the first put", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const wrong = [
        Tube.make("no tube", { codec: "text" }),
        Tube.make(TUBE, { codec: "text", priority: -1 }),
        Tube.make(TUBE, { codec: "text", ttr: 60 })
      ]
      for (const tube of wrong) assert.strictEqual((yield* Effect.flip(tube.put("x")))._tag, "InvalidArgument")
      assert.strictEqual((yield* beanstalkd.stats).cmdPut, 0)
    })))

  const senseless: ReadonlyArray<readonly [options: unknown, argument: string, rule: string]> = [
    [undefined, "schema", "a Schema, which the codec json needs"],
    [{}, "schema", "a Schema, which the codec json needs"],
    [{ codec: "binary" }, "schema", "a Schema, which the codec binary needs"],
    [{ codec: "jsn", schema: Schema.Int }, "codec", "one of \"json\", \"text\", \"bytes\", \"binary\""],
    [{ schema: 5 }, "schema", "a Schema"],
    [{ codec: "text", client: 5 }, "client", "the tag of a client"],
    [null, "options", "an object"]
  ]
  it.effect.each(senseless)(
    "that make no sense are told by whatever needs it: %o",
    ([options, argument, rule]) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd) {
        const tube = Tube.make(TUBE, options as { readonly codec: "text" })
        const { id } = yield* beanstalkd.put(TUBE, "x")
        const job = yield* beanstalkd.peek(id)
        const refusal = { _tag: "InvalidArgument", argument, rule }
        const effects = [tube.put("x"), tube.peekReady, tube.kick(), tube.pause(0), tube.stats]
        for (const effect of effects) {
          assert.deepInclude(yield* Effect.flip<unknown, unknown, Client.Beanstalkd>(effect), refusal)
        }
        assert.deepInclude<object>((yield* Effect.flip(tube.putAll([]))).cause, refusal)
        assert.deepInclude((yield* Effect.flip(tube.decode(job))).cause, refusal)
        for (
          const work of [
            Stream.runDrain(tube.stream()),
            Stream.runDrain(tube.streamResult()),
            Worker.run(tube, () => Effect.void)
          ]
        ) {
          const { reason } = yield* Effect.flip(work)
          assert.instanceOf(reason, Errors.InvalidOptions)
          assert.deepInclude<object>(reason, { argument, rule })
        }
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "ready", reserves: 0 })
        assert.strictEqual((yield* beanstalkd.stats).cmdPut, 1)
      }))
  )

  it.effect("and its name count also when there is nothing to put", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const text = Tube.make(TUBE, { codec: "text" })
      const puts = [
        beanstalkd.putAll(undefined as never, []),
        beanstalkd.putAll("a b", []),
        beanstalkd.putAll(TUBE, [], { ttr: 5 }),
        beanstalkd.putAll(TUBE, [], 5 as never),
        text.putAll([], { ttr: 5 }),
        Tube.make("a b", { codec: "text" }).putAll([]),
        Tube.make(TUBE, { codec: "text", priority: -1 }).putAll([])
      ]
      for (const put of puts) assert.strictEqual((yield* Effect.flip(put)).cause._tag, "InvalidArgument")
    })))

  it.effect("say on which server it lives", () => {
    class Billing extends Context.Service<Billing, Client.Service>()("test/Billing") {}
    const invoices = Tube.make("invoices", { schema: Schema.Int, client: Billing })
    const billing = Layer.effect(Billing, Client.Beanstalkd).pipe(Layer.provide(Server.layerMemory()))
    return onMemory((beanstalkd) =>
      Effect.gen(function*() {
        yield* invoices.put(42)
        assert.strictEqual((yield* invoices.stats).currentJobsReady, 1)
        assert.strictEqual((yield* invoices.peekReady).value, 42)
        const job = Option.getOrThrow(yield* invoices.stream().pipe(Stream.tap((job) => job.bury()), Stream.runHead))
        assert.strictEqual(job.value, 42)
        assert.strictEqual((yield* invoices.peekBuried).value, 42)
        assert.strictEqual(yield* invoices.kick(), 1)
        yield* invoices.pause("1 minute")
        assert.deepInclude(yield* (yield* Billing).statsTube("invoices"), { pause: 60 })
        assert.deepStrictEqual(yield* beanstalkd.listTubes, ["default"])
      }).pipe(Effect.provide(billing))
    )
  })
})
