/**
 * The examples about hosts that are not Effect: each outcome of a put is a status, a service ends in order, and a handler that
 * is loaded again has the same connections.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, ManagedRuntime } from "effect"
import { Client, Server, Worker } from "effect-beanstalkd"
import { start } from "../../examples/node-service.ts"
import { acceptOrder, Orders } from "../../examples/support/acceptOrder.ts"
import { eventually } from "../support/Eventually.ts"

type Post = (body: string, signal?: AbortSignal) => Promise<Response>

const order = (id: string, item = "tent") => JSON.stringify({ id, item })

const withServer = <A, E>(
  test: (server: Server.Service, client: Layer.Layer<Client.Beanstalkd, unknown>) => Effect.Effect<A, E>,
  options: Client.Options = {}
) =>
  Effect.gen(function*() {
    const server = yield* Server.makeMemory()
    const client = Client.layer({ ...options, ...server.clientOptions, connectionWait: "100 millis" })
    // A runtime has a log of its own.
    return yield* test(server, Layer.provideMerge(client, Logger.layer([])))
  }).pipe(Effect.scoped)

const statusOf = (post: Post, body: string) =>
  Effect.map(Effect.promise(() => post(body)), (response) => response.status)

/** What is so for any host. */
const outcomes = Effect.fnUntraced(function*(server: Server.Service, post: Post) {
  const accepted = yield* Effect.promise(() => post(order("1")))
  assert.strictEqual(accepted.status, 202)
  assert.match(yield* Effect.promise(() => accepted.text()), /^\{"job":"memory.*\/1"\}$/)
  for (const body of ["{", "[]", "{\"id\":\"\",\"item\":\"x\"}", "{\"id\":5}"]) {
    assert.strictEqual(yield* statusOf(post, body), 400)
  }
  assert.strictEqual(yield* statusOf(post, order("2", "x".repeat(70_000))), 413)
  yield* server.injectFaults({ shortage: "jobs" })
  assert.strictEqual(yield* statusOf(post, order("3")), 503)
  // The job is there, buried: to repeat it would make a second one.
  yield* server.injectFaults({ shortage: "queues" })
  assert.strictEqual(yield* statusOf(post, order("3")), 202)
  yield* server.injectFaults({ refuse: true })
  yield* server.dropConnections
  const away = yield* Effect.promise(() => post(order("4")))
  assert.deepStrictEqual([away.status, away.headers.get("retry-after")], [503, "1"])
  yield* server.injectFaults({})
  yield* eventually(Effect.map(statusOf(post, order("5")), (status) => assert.strictEqual(status, 202)))
  yield* server.drain
  assert.strictEqual(yield* statusOf(post, order("6")), 503)
})

interface Module {
  readonly POST: (request: Request) => Promise<Response>
}

const postWith = ({ POST }: Module): Post => (body, signal) =>
  POST(new Request("http://localhost/orders", { method: "POST", body, ...(signal === undefined ? {} : { signal }) }))

const kept = globalThis as { beanstalkdRuntime?: unknown }

/** Loads the handler, as often as it is called: with another query it is another module. */
let loads = 0
const load = Effect.promise((): Promise<Module> => {
  const file = `${new URL("../../examples/nextjs-handler.ts", import.meta.url).pathname}?load=${++loads}`
  return import(/* @vite-ignore */ file)
})

const withHandler = <A, E>(
  test: (server: Server.Service) => Effect.Effect<A, E>,
  layer?: Layer.Layer<Client.Beanstalkd>
) =>
  withServer((server, client) => {
    const runtime = ManagedRuntime.make(layer ?? client)
    kept.beanstalkdRuntime = runtime
    return Effect.ensuring(test(server), Effect.promise(() => runtime.dispose()))
  })

describe("a handler as in Next.js", () => {
  it.live("answers with the status of each outcome", () =>
    withHandler((server) => Effect.flatMap(load, (module) => outcomes(server, postWith(module)))))

  it.live("says that a job is perhaps put whose answer has not come", () =>
    withServer(
      (server, client) =>
        Effect.gen(function*() {
          const runtime = ManagedRuntime.make(client)
          yield* Effect.promise(() => runtime.context())
          yield* server.injectFaults({ mute: true })
          const { status } = yield* Effect.promise(() => acceptOrder(runtime, order("1"), new AbortController().signal))
          assert.strictEqual(status, 504)
          yield* Effect.promise(() => runtime.dispose())
        }),
      { commandTimeout: "50 millis" }
    ))

  it.live("keeps its connections when it is loaded again", () =>
    withHandler(Effect.fnUntraced(function*(server) {
      const first = yield* load
      assert.strictEqual(yield* statusOf(postWith(first), order("1")), 202)
      const connections = yield* server.connectionCount
      for (let i = 0; i < 3; i++) {
        const module = yield* load
        assert.notStrictEqual(module.POST, first.POST)
        assert.strictEqual(yield* statusOf(postWith(module), order("2")), 202)
      }
      assert.strictEqual(yield* server.connectionCount, connections)
    })))

  it.live("does not wait longer than its caller, neither for a runtime nor for a silent server", () =>
    Effect.gen(function*() {
      const never = Layer.effect(Client.Beanstalkd, Effect.never)
      yield* withHandler(() =>
        Effect.gen(function*() {
          const post = postWith(yield* load)
          const { status } = yield* Effect.promise(() => post(order("1"), AbortSignal.timeout(20)))
          assert.strictEqual(status, 503)
        }), never)
      yield* withHandler(Effect.fnUntraced(function*(server) {
        const post = postWith(yield* load)
        yield* Effect.promise(() => post(order("1")))
        yield* server.injectFaults({ mute: true })
        const { status } = yield* Effect.promise(() => post(order("2"), AbortSignal.timeout(20)))
        // It has left, so nobody can say.
        assert.strictEqual(status, 504)
      }))
    }))
})

describe("a plain Node service", () => {
  const postTo = (port: number): Post => (body) => fetch(`http://127.0.0.1:${port}/orders`, { method: "POST", body })

  it.live("answers with the status of each outcome", () =>
    withServer(Effect.fnUntraced(function*(server, client) {
      const { port, stop } = yield* Effect.promise(() => start(client))
      yield* outcomes(server, postTo(port))
      assert.strictEqual(yield* statusOf(postTo(port), "x".repeat(5_000_000)), 413)
      const { status } = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/elsewhere`))
      assert.strictEqual(status, 404)
      yield* Effect.promise(stop)
      assert.strictEqual(yield* server.connectionCount, 0)
    })))

  it.live("answers what has begun when it stops, takes no more, and closes its connections", () =>
    withServer(Effect.fnUntraced(function*(server, client) {
      const { port, stop } = yield* Effect.promise(() => start(client))
      yield* server.injectFaults({ delay: "100 millis" })
      const answer = postTo(port)(order("1"))
      // The put is on its way.
      yield* eventually(Effect.map(Worker.health, ([health]) => assert.isAbove(health!.client.commandsInFlight, 1)))
      const stopped = stop()
      assert.strictEqual((yield* Effect.promise(() => answer)).status, 202)
      yield* Effect.promise(() => stopped)
      assert.strictEqual(yield* server.connectionCount, 0)
      const refused = yield* Effect.promise(() => postTo(port)(order("2")).then(() => "taken", () => "refused"))
      assert.strictEqual(refused, "refused")
    })))

  it.live("does not start if its client cannot", () =>
    withServer(Effect.fnUntraced(function*(server, client) {
      yield* server.injectFaults({ refuse: true })
      const outcome = yield* Effect.promise(() => start(client).then(() => "started", String))
      assert.include(outcome, "cannot connect")
    })))

  it.live("works on what it has put", () =>
    withServer(Effect.fnUntraced(function*(server, client) {
      const { port, stop } = yield* Effect.promise(() => start(client))
      assert.strictEqual(yield* statusOf(postTo(port), order("1")), 202)
      const deleted = Effect.map(Orders.stats, ({ cmdDelete }) => assert.strictEqual(cmdDelete, 1))
      yield* eventually(deleted).pipe(
        Effect.provideServiceEffect(Client.Beanstalkd, Client.make(server.clientOptions)),
        Effect.scoped,
        Effect.ensuring(Effect.promise(stop))
      )
    })))
})
