/**
 * A worker that outlives its client has nothing left to dial.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { Errors, Server, Tube, Worker } from "effect-beanstalkd"

const Emails = Tube.make("emails", { schema: Schema.Struct({ n: Schema.Finite }) })

it.effect("a worker whose client is closed fails, and does not dial forever", () =>
  Effect.gen(function*() {
    const worker = yield* Effect.gen(function*() {
      yield* Emails.put({ n: 1 })
      return yield* Effect.forkDetach(Worker.run(Emails, () => Effect.never), { startImmediately: true })
    }).pipe(Effect.provide(Server.layerMemory()))
    const error = yield* Effect.flip(Fiber.join(worker))
    assert.instanceOf(error, Errors.BeanstalkdError)
    assert.strictEqual(error.reason._tag, "ConnectionClosed")
  }))
