/**
 * What the pool of a client does while the server is away, and what its handles do when they are stale.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Scope } from "effect"
import { Client, type Connection, Errors, Pool } from "effect-beanstalkd"
import { eventually } from "../support/Eventually.ts"
import * as RealServer from "../support/RealServer.ts"

RealServer.describeReal("a pool", () => {
  it.live("has its minConnections again after the server was away", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const beanstalkd = yield* Client.make({ port: server.port, minConnections: 3 })
      const isFull = eventually(Effect.map(beanstalkd.poolStats, ({ idle }) => assert.strictEqual(idle, 3)))
      yield* isFull
      yield* server.restart
      yield* eventually(Effect.map(beanstalkd.poolStats, ({ lost }) => assert.strictEqual(lost, 4)))
      yield* isFull
    }))

  it.live("fails all of 2,000 waiting borrowers together when the server does not come back", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const beanstalkd = yield* Client.make({ port: server.port, commandTimeout: "1 second" })
      yield* server.kill
      const reserve = Effect.flip(Effect.scoped(beanstalkd.reserve("nothing")))
      const errors = yield* Effect.forEach(Array.from({ length: 2_000 }), () => reserve, { concurrency: "unbounded" })
      for (const error of errors) {
        assert.instanceOf(error, Errors.BeanstalkdError)
        assert.deepStrictEqual([error.sent, error.reason._tag], [false, "OpenError"])
      }
      assert.strictEqual((yield* beanstalkd.poolStats).waiting, 0)
      yield* server.restart
      yield* eventually(beanstalkd.put("nothing", "x"))
      yield* Effect.scoped(Effect.flatMap(beanstalkd.reserve("nothing"), (job) => job.delete))
    }))

  it.live("lets nobody reach a connection that was given back", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const pool = yield* Pool.make({ port: server.port, maxConnections: 1 })
      const stale = yield* pool.use((connection) => Effect.succeed(connection))
      yield* pool.use(Effect.fnUntraced(function*(connection: Connection.Service) {
        assert.isTrue(yield* stale.closed)
        const error = yield* Effect.flip(stale.use("evil"))
        assert.deepInclude(error, { _tag: "BeanstalkdError", sent: false })
        assert.strictEqual(yield* connection.listTubeUsed, "default")
      }))
    }))

  it.live("is closed at once, though somebody still holds a job of it", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const outer = yield* Scope.make()
      const text = yield* Effect.gen(function*() {
        const beanstalkd = yield* Client.Beanstalkd
        yield* beanstalkd.put("jobs", "still in hand")
        return (yield* Scope.provide(beanstalkd.reserve("jobs"), outer)).text
      }).pipe(Effect.provide(Client.layer({ port: server.port })))
      assert.strictEqual(text, "still in hand")
      yield* eventually(
        Effect.map(server.stats, (stats) => assert.strictEqual(stats["current-jobs-ready"], "1"))
      )
    }))

  it.live("takes no tube that is undefined for the default one", () =>
    Effect.gen(function*() {
      const server = yield* RealServer.make()
      const beanstalkd = yield* Client.make({ port: server.port })
      const unset = undefined as never
      const commands: ReadonlyArray<Effect.Effect<unknown, Errors.InvalidArgument | { readonly _tag: string }>> = [
        beanstalkd.put(unset, "x"),
        beanstalkd.kick(unset),
        beanstalkd.peekReady(unset),
        beanstalkd.peekDelayed(unset),
        beanstalkd.peekBuried(unset)
      ]
      for (const command of commands) {
        assert.deepInclude(yield* Effect.flip(command), { _tag: "InvalidArgument", argument: "tube" })
      }
      assert.deepInclude(yield* Effect.flip(beanstalkd.putAll("jobs", "hello")), { _tag: "PutAllError" })
      assert.strictEqual((yield* server.stats)["total-jobs"], "0")
    }))
})
