/**
 * The example about health: who is ready says so, and who is not says why, while both are alive.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Schema } from "effect"
import { Tube, Worker } from "effect-beanstalkd"
import { HttpClient, HttpRouter } from "effect/http"
import { Readiness, routes } from "../../examples/health.ts"
import { eventually } from "../support/Eventually.ts"
import { onMemory } from "../support/Fixture.ts"

const Emails = Tube.make("emails", { schema: Schema.String })

const Endpoints = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provideMerge(NodeHttpServer.layerTest)
)

const ready = Effect.gen(function*() {
  const client = yield* HttpClient.HttpClient
  const response = yield* client.get("/ready")
  const body = yield* Schema.decodeUnknownEffect(Readiness)(yield* response.json)
  assert.strictEqual((yield* client.get("/live")).status, 200)
  return { ...body, code: response.status }
})

const is = (code: number, status: typeof Readiness.Type["status"]) =>
  eventually(Effect.map(ready, (now) => {
    assert.deepInclude(now, { code, status })
    return now
  }))

describe("the example about health", () => {
  it.live("is not ready while the server is away, and ready when it is back", () =>
    onMemory((_, server) =>
      Effect.gen(function*() {
        yield* is(200, "ready")
        yield* server.injectFaults({ refuse: true })
        yield* server.dropConnections
        const { server: health } = yield* is(503, "unreachable")
        assert.isFalse(health.isReachable)
        assert.include(health.reason, "closed")
        yield* server.injectFaults({})
        yield* is(200, "ready")
      }).pipe(Effect.provide(Endpoints))
    ))

  it.live("is not ready while the server is silent, and does not wait for it", () =>
    onMemory((_, server) =>
      Effect.gen(function*() {
        yield* server.injectFaults({ mute: true })
        yield* is(503, "silent")
      }).pipe(Effect.provide(Endpoints))
    ))

  it.live("is not ready while the server drains", () =>
    onMemory((_, server) => Effect.andThen(server.drain, is(503, "draining")).pipe(Effect.provide(Endpoints))))

  it.live("is not ready while a worker shuts down, whose handler still runs", () =>
    onMemory(() =>
      Effect.gen(function*() {
        const sent = yield* Deferred.make<void>()
        const working = yield* Effect.forkScoped(Worker.run(Emails, () => Deferred.await(sent)))
        yield* Emails.put("ada")
        const running = yield* eventually(Effect.map(ready, (now) => {
          assert.strictEqual(now.workers[0]?.running, 1)
          return now
        }))
        assert.strictEqual(running.status, "ready")
        const stopping = yield* Effect.forkScoped(Fiber.interrupt(working))
        const { workers } = yield* is(503, "stopping")
        assert.deepInclude(workers[0], { tube: "emails", isStopping: true, running: 1 })
        yield* Deferred.succeed(sent, undefined)
        yield* Fiber.join(stopping)
        yield* is(200, "ready")
      }).pipe(Effect.provide(Endpoints))
    ))
})
