/**
 * An HTTP handler that puts a job and answers with its reference. What it takes and what the tube holds is one Schema. To have
 * something to see, the program calls itself.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { Tube } from "effect-beanstalkd"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { run } from "./support/run.ts"

const Email = Schema.Struct({ to: Schema.String, text: Schema.String })

const Emails = Tube.make("emails", { schema: Email, ttr: "1 minute" })

const route = HttpRouter.add(
  "POST",
  "/emails",
  Effect.gen(function*() {
    const email = yield* HttpServerRequest.schemaBodyJson(Email)
    const job = yield* Emails.put(email)
    return yield* HttpServerResponse.json({ job: String(job) }, { status: 202 })
  }).pipe(
    Effect.catchTags({
      SchemaError: (error) => HttpServerResponse.json({ error: error.message }, { status: 400 }),
      JobTooBig: (error) => HttpServerResponse.json({ error: error.message }, { status: 413 }),
      Draining: () => HttpServerResponse.json({ error: "try again later" }, { status: 503 }),
      BeanstalkdError: () => HttpServerResponse.json({ error: "try again later" }, { status: 503 })
    })
  )
)

const callItself = Effect.gen(function*() {
  const client = yield* HttpClient.HttpClient
  for (const body of [{ to: "ada@example.org", text: "hello" }, { to: "nobody" }]) {
    const response = yield* client.execute(HttpClientRequest.bodyJsonUnsafe(HttpClientRequest.post("/emails"), body))
    yield* Console.log(`${response.status} ${(yield* response.text).slice(0, 60)}`)
  }
})

run(callItself.pipe(
  Effect.provide(
    HttpRouter.serve(route, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layerTest)
    )
  )
))
