/**
 * The example about two servers: a tube lives on the server that its option `client` names, and says so in its types.
 */
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { type Client, Worker } from "effect-beanstalkd"
import { Billing, Charges, Emails, Outbox } from "../../examples/two-servers.ts"
import { onMemory } from "../support/Fixture.ts"

type Needs<E> = E extends Effect.Effect<unknown, unknown, infer R> ? R : never

describe("the example about two servers", () => {
  it("does not compile without the server of a tube", () => {
    const put = () => Outbox.put("hello")
    const work = () => Worker.run(Charges, ({ to }) => Outbox.put(to))
    const charge = () => Stream.run(Stream.make({ to: "ada", euros: 5 }), Charges.sink())
    expectTypeOf<Needs<ReturnType<typeof put>>>().toEqualTypeOf<Emails>()
    expectTypeOf<Needs<ReturnType<typeof work>>>().toEqualTypeOf<Billing | Emails>()
    expectTypeOf<Needs<ReturnType<typeof charge>>>().toEqualTypeOf<Billing>()
  })

  it.effect("puts into the server of each tube, and into no other, also if there is a client without a tag of its own", () =>
    onMemory((standard) =>
      Effect.gen(function*() {
        yield* Outbox.put("hello")
        assert.strictEqual(yield* Stream.run(Stream.make({ to: "ada", euros: 5 }), Charges.sink()), 1)
        const tubesOf = (client: Client.Service) => client.listTubes
        assert.deepStrictEqual(yield* tubesOf(yield* Emails), ["default", "outbox"])
        assert.deepStrictEqual(yield* tubesOf(yield* Billing), ["default", "charges"])
        assert.deepStrictEqual(yield* tubesOf(standard), ["default"])
        assert.strictEqual(yield* Outbox.client, yield* Emails)
      }).pipe(Effect.provide(Layer.merge(Emails.layer, Billing.layer)))
    ))
})
