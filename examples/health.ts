/**
 * Endpoints that say how a service is doing. `/live`: the process answers, so there is no reason to restart it; that would not
 * bring the queue back. `/ready`: whether to send requests here that put jobs. It is 503 while the server cannot be reached,
 * stays silent, or takes no new jobs, and while the workers of this process shut down.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schedule, Schema } from "effect"
import { Client, Server, Tube, Worker } from "effect-beanstalkd"
import { HttpClient, HttpRouter, HttpServerResponse } from "effect/http"

/** The first of these that is so. */
const Status = Schema.Literals(["stopping", "unreachable", "silent", "draining", "ready"])

export const Readiness = Schema.Struct({
  status: Status,
  server: Client.Health,
  workers: Schema.Array(Worker.Health)
})

/** `health` asks the server nothing. That it drains, only the server can tell; a probe must not wait long for it. */
const ask = (beanstalkd: Client.Service) =>
  beanstalkd.stats.pipe(
    Effect.map(({ draining }) => draining === true ? "draining" : "ready"),
    Effect.timeoutOrElse({ duration: "1 second", orElse: () => Effect.succeed("silent" as const) }),
    Effect.orElseSucceed(() => "unreachable" as const)
  )

export const readiness = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  const workers = yield* Worker.health
  const { isReachable } = yield* beanstalkd.health
  const status: typeof Status.Type = workers.some(({ isStopping }) => isStopping)
    ? "stopping"
    : isReachable
    ? yield* ask(beanstalkd)
    : "unreachable"
  return { status, server: yield* beanstalkd.health, workers }
})

export const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/live", HttpServerResponse.text("alive")),
  HttpRouter.add(
    "GET",
    "/ready",
    Effect.gen(function*() {
      const now = yield* readiness
      const body = yield* Schema.encodeEffect(Readiness)(now)
      return yield* HttpServerResponse.json(body, { status: now.status === "ready" ? 200 : 503 })
    })
  )
)

const Http = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
  // In a service: NodeHttpServer.layer(createServer, { port: 3000 })
  Layer.provideMerge(NodeHttpServer.layerTest)
)

const Emails = Tube.make("emails", { schema: Schema.Struct({ to: Schema.String }) })

// The worker is provided with the endpoints, so they are closed after it, and answer while it shuts down.
const Service = Worker.layer(
  Emails,
  ({ to }) => Effect.sleep("200 millis").pipe(Effect.andThen(Console.log(`sent to ${to}`)))
).pipe(
  Layer.provideMerge(Http)
)

const look = Effect.gen(function*() {
  const client = yield* HttpClient.HttpClient
  const { status: live } = yield* client.get("/live")
  const response = yield* client.get("/ready")
  const { status } = (yield* response.json) as typeof Readiness.Encoded
  return `/live ${live}, /ready ${response.status} ${status}`
})

const show = Effect.flatMap(look, Console.log)

const showOnce = (status: string) =>
  look.pipe(
    Effect.repeat({ until: (seen) => seen.endsWith(status), schedule: Schedule.spaced("20 millis") }),
    Effect.flatMap(Console.log)
  )

const demo = Effect.gen(function*() {
  const server = yield* Server.Server
  yield* show
  yield* server.injectFaults({ refuse: true })
  yield* server.dropConnections
  yield* showOnce("unreachable")
  yield* server.injectFaults({})
  yield* showOnce("ready")
  yield* server.drain
  yield* show
})

if (import.meta.main) {
  demo.pipe(Effect.provide(Layer.provideMerge(Service, Server.layerMemory())), NodeRuntime.runMain)
}
