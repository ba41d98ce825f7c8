/**
 * Two servers in one program: each has a tag of its own, and a tube names the one that it lives on with its option `client`. No
 * effect of a tube can reach the wrong server, and a program that lacks one of them does not compile.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Context, Deferred, Effect, Layer, Schema } from "effect"
import { Client, Server, Tube, Worker } from "effect-beanstalkd"

// In a real program: Client.make({ host: "emails.internal" })
const clientOfNewServer = Effect.flatMap(Server.makeMemory(), ({ clientOptions }) => Client.make(clientOptions))

export class Emails extends Context.Service<Emails, Client.Service>()("example/Emails") {
  static readonly layer = Layer.effect(Emails, clientOfNewServer)
}

export class Billing extends Context.Service<Billing, Client.Service>()("example/Billing") {
  static readonly layer = Layer.effect(Billing, clientOfNewServer)
}

// Tube<string, Emails>
export const Outbox = Tube.make("outbox", { codec: "text", client: Emails })

// Tube<{ readonly to: string, readonly euros: number }, Billing>
export const Charges = Tube.make("charges", {
  schema: Schema.Struct({ to: Schema.String, euros: Schema.Int }),
  client: Billing
})

// Effect<JobRef, ..., Emails>
const welcome = Outbox.put("hello")

// From one server to the other: reserves from Billing, puts to Emails, and needs both.
const invoice = (done: Deferred.Deferred<void>) =>
  Worker.run(
    Charges,
    ({ euros, to }) => Outbox.put(`${to} paid ${euros} EUR`).pipe(Effect.andThen(Deferred.succeed(done, undefined)))
  )

const program = Effect.gen(function*() {
  yield* welcome
  yield* Charges.put({ to: "ada", euros: 5 })
  const done = yield* Deferred.make<void>()
  yield* Effect.raceFirst(invoice(done), Deferred.await(done))
  yield* Console.log(`emails:  ${(yield* (yield* Emails).listTubes).join(", ")}`)
  yield* Console.log(`billing: ${(yield* (yield* Billing).listTubes).join(", ")}`)
  yield* Console.log(`${(yield* Outbox.stats).currentJobsReady} emails, ${(yield* Charges.stats).totalJobs} charge`)
})

if (import.meta.main) {
  program.pipe(
    Effect.provide(Layer.merge(Emails.layer, Billing.layer)),
    NodeRuntime.runMain
  )
}
