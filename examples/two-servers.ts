/**
 * Two servers in one program: each has a tag of its own, and no effect can reach the wrong one.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer } from "effect"
import { Client, Server } from "effect-beanstalkd"

// In a real program: Client.make({ host: "emails.internal" })
const clientOfNewServer = Effect.flatMap(Server.makeMemory(), ({ clientOptions }) => Client.make(clientOptions))

class Emails extends Context.Service<Emails, Client.Service>()("example/Emails") {
  static readonly layer = Layer.effect(Emails, clientOfNewServer)
}

class Billing extends Context.Service<Billing, Client.Service>()("example/Billing") {
  static readonly layer = Layer.effect(Billing, clientOfNewServer)
}

// Effect<JobId, ..., Emails>
const sendEmail = Effect.flatMap(Emails, (emails) => emails.put("outbox", "hello"))

// Effect<JobId, ..., Billing>
const charge = Effect.flatMap(Billing, (billing) => billing.put("charges", "5 EUR"))

const program = Effect.gen(function*() {
  yield* sendEmail
  yield* charge
  yield* Console.log(`emails:  ${(yield* (yield* Emails).listTubes).join(", ")}`)
  yield* Console.log(`billing: ${(yield* (yield* Billing).listTubes).join(", ")}`)
})

program.pipe(
  Effect.provide(Layer.merge(Emails.layer, Billing.layer)),
  NodeRuntime.runMain
)
