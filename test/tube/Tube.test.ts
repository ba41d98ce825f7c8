/**
 * A tube as a value: how it prints, what it shares with other tubes, and how one with wrong options fails.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Schema, Stream } from "effect"
import { Client, Errors, Server, Tube, Worker } from "effect-beanstalkd"
import { inspect } from "node:util"
import { onMemory } from "../support/Fixture.ts"
import { areIn, TUBE } from "../support/Workplace.ts"

const Emails = Tube.make("emails", { schema: Schema.Struct({ to: Schema.String }) })
const Wrong = Tube.make("emails", { codec: "text", client: 5 as never })

describe("a tube", () => {
  it("prints its name", () => {
    assert.strictEqual(String(Emails), "Tube(emails)")
    assert.strictEqual(JSON.stringify(Emails), "{\"_id\":\"Tube\",\"name\":\"emails\"}")
    assert.strictEqual(inspect(Emails), "{ _id: 'Tube', name: 'emails' }")
  })

  it("prints what is wrong with it", () => {
    assert.strictEqual(String(Wrong), "Tube(emails)")
    assert.deepStrictEqual(Wrong.toJSON(), {
      _id: "Tube",
      name: "emails",
      error: "Tube.make: client must be the tag of a client, got 5"
    })
  })

  it("prints a name that is no text", () => {
    const closed = new Proxy({}, { get: () => assert.fail("it may not be read") })
    for (const name of [Symbol("x"), undefined, {}, closed]) {
      assert.match(String(Tube.make(name as string, { codec: "text" })), /^Tube\(.+\)$/)
    }
  })

  it("is known as one, and nothing else is", () => {
    for (const tube of [Emails, Wrong, Tube.make("", { codec: "text" })]) {
      assert.isTrue(Tube.isTube(tube))
      assert.strictEqual(tube[Tube.TypeId], Tube.TypeId)
    }
    const closed = new Proxy({}, { has: () => assert.fail("it may not be asked") })
    for (const value of [undefined, null, "emails", { ...Emails }, { name: "emails" }, closed]) {
      assert.isFalse(Tube.isTube(value))
    }
  })

  it("can be piped", () => {
    assert.strictEqual(Emails.pipe((tube) => tube.name), "emails")
    assert.strictEqual(Wrong.pipe((tube) => tube.name), "emails")
  })

  it("shares its prototype with other tubes", () => {
    const other = Tube.make("other", { codec: "text" })
    assert.strictEqual<object>(Object.getPrototypeOf(Emails), Object.getPrototypeOf(other))
  })

  it.effect("lends its functions without itself", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { decode, kick, pause, put, putAll, stream, streamResult } = Emails
      const { id } = yield* Effect.flatMap(Effect.succeed({ to: "ada" }), put)
      assert.deepStrictEqual(yield* Effect.flatMap(beanstalkd.peek(id), decode), { to: "ada" })
      yield* putAll([{ to: "ada" }])
      yield* kick()
      const results = Stream.mapEffect(streamResult(), Effect.fromResult)
      for (const jobs of [stream(), results]) {
        yield* jobs.pipe(Stream.take(1), Stream.runForEach((job) => job.delete))
      }
      yield* pause(0)
      yield* areIn(beanstalkd, {}, "emails")
    })))
})

describe("a tube with wrong options", () => {
  it.effect("fails a worker with what Tube.make refused, before anything is reserved", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* beanstalkd.put("emails", "hello")
      const error = yield* Effect.flip(Worker.run(Wrong, () => Effect.void))
      assert.instanceOf(error.reason, Errors.InvalidOptions)
      assert.strictEqual(error.message, "Tube.make: client must be the tag of a client, got 5")
      assert.deepInclude(error, { sent: false, isRetryable: false })
      yield* areIn(beanstalkd, { ready: 1 }, "emails")
      assert.strictEqual(yield* server.connectionCount, 1)
    })))

  it.effect("names Tube.make in each error", () =>
    onMemory(Effect.fnUntraced(function*() {
      const tube = Tube.make(TUBE, {} as { readonly codec: "text" })
      const message = "Tube.make: schema must be a Schema, which the codec json needs, got undefined"
      assert.strictEqual((yield* Effect.flip(tube.put("x"))).message, message)
      assert.strictEqual((yield* Effect.flip(tube.peekDelayed)).message, message)
      assert.strictEqual((yield* Effect.flip(tube.peekBuried)).message, message)
      assert.strictEqual((yield* Effect.flip(tube.putAll(["x"]))).cause.message, message)
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(tube.stream()))).message, message)
    })))

  it.effect("is refused when a client or a schema cannot even be looked at", () =>
    onMemory(Effect.fnUntraced(function*() {
      const closed: never = new Proxy({}, {
        get: () => assert.fail("it may not be read"),
        has: () => assert.fail("it may not be asked")
      }) as never
      for (const argument of ["client", "schema"]) {
        const tube = Tube.make(TUBE, { codec: "text", [argument]: closed })
        const error = yield* Effect.flip(tube.put("x"))
        assert.deepInclude(error, { _tag: "InvalidArgument", operation: "Tube.make", argument })
      }
    })))

  it.effect("still has its client", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      assert.strictEqual(yield* Wrong.client, beanstalkd)
    })))

  it.effect("needs no client but the one that it was given", () => {
    class Billing extends Context.Service<Billing, Client.Service>()("test/Billing") {}
    const invoices = Tube.make("invoices", { codec: "jsn" as "text", client: Billing })
    const billing = Layer.effect(Billing, Client.Beanstalkd).pipe(Layer.provide(Server.layerMemory()))
    return Effect.gen(function*() {
      const work: Effect.Effect<never, Errors.BeanstalkdError, Billing> = Worker.run(invoices, () => Effect.void)
      assert.instanceOf((yield* Effect.flip(work)).reason, Errors.InvalidOptions)
      assert.strictEqual((yield* Effect.flip(invoices.put("x")))._tag, "InvalidArgument")
    }).pipe(Effect.provide(billing))
  })
})

describe("a worker", () => {
  it.effect.each<unknown>([undefined, null, "emails", {}, { ...Emails }, {
    name: "emails",
    client: Client.Beanstalkd
  }])(
    "refuses what no Tube.make has made: %o",
    (tube) =>
      onMemory(Effect.fnUntraced(function*(beanstalkd, server) {
        yield* beanstalkd.put("emails", "{\"to\":\"ada\"}")
        const exit = yield* Effect.exit(Worker.run(tube as typeof Emails, () => Effect.void))
        const error = yield* Effect.flip(exit)
        assert.instanceOf(error.reason, Errors.InvalidOptions)
        assert.include(error.message, "Worker.run: tube must be a tube that Tube.make has made, got ")
        assert.isTrue(Exit.isFailure(exit))
        yield* areIn(beanstalkd, { ready: 1 }, "emails")
        assert.strictEqual(yield* server.connectionCount, 1)
      }))
  )
})
