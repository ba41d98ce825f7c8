/**
 * Claims of each kind, and what the store makes of claims that fail.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import { TestClock } from "effect/testing"
import * as Claims from "../../src/Claims.ts"
import { eventually } from "../support/Eventually.ts"
import * as NodeSqlite from "../support/NodeSqlite.ts"
import { describePostgres } from "../support/Postgres.ts"
import { describeRedis, layer as redisLayer } from "../support/Redis.ts"
import { areIn, keepLog } from "../support/Workplace.ts"
import { FAILED, onStore, QUEUE, type Store, takeFrom, TUBE } from "./Setup.ts"
import { claims } from "./Stores.ts"

const cleanup = (claims: Claims.Service, hours: number) => claims.cleanup({ timeToLive: Duration.hours(hours) })

const contract = (name: string, live: Layer.Layer<Claims.Claims>): void =>
  layer(live, { timeout: "30 seconds" })(name, (it) => {
    it.effect("claim an id once, for one of all that ask at once", () =>
      Effect.gen(function*() {
        const claims = yield* Claims.Claims
        assert.isUndefined(yield* claims.lookup("q", "once"))
        const tokens = Array.from({ length: 20 }, (_, n) => `token ${n}`)
        const owners = yield* Effect.forEach(tokens, (token) => claims.claim("q", "once", token), {
          concurrency: "unbounded"
        })
        assert.strictEqual(new Set(owners).size, 1)
        assert.include(tokens, owners[0])
        assert.strictEqual(yield* claims.lookup("q", "once"), owners[0])
      }))

    it.effect("keep apart what only looks alike", () =>
      Effect.gen(function*() {
        const claims = yield* Claims.Claims
        const pairs = [["a", "b:c"], ["a:b", "c"], ["a", "B:C"], ["a ", "b:c"], ["\ud800", "\0"], [
          "\ud801",
          "\0"
        ]] as const
        for (const [n, [queue, id]] of pairs.entries()) {
          assert.strictEqual(yield* claims.claim(queue, id, `token ${n}`), `token ${n}`)
        }
        for (const [n, [queue, id]] of pairs.entries()) {
          assert.strictEqual(yield* claims.lookup(queue, id), `token ${n}`)
        }
        const long = "x".repeat(10_000)
        assert.strictEqual(yield* claims.claim(long, long, "long"), "long")
        assert.strictEqual(yield* claims.claim(long, `${long}y`, "other"), "other")
      }))

    it.effect("say that an element is completed, to its own job as well", () =>
      Effect.gen(function*() {
        const claims = yield* Claims.Claims
        yield* claims.claim("q", "done", "mine")
        yield* claims.completed("q", "done")
        assert.strictEqual(yield* claims.claim("q", "done", "mine"), Claims.COMPLETED)
        assert.strictEqual(yield* claims.claim("q", "done", "another"), Claims.COMPLETED)
        assert.strictEqual(yield* claims.lookup("q", "done"), "mine")
        yield* claims.completed("q", "never claimed")
        assert.isUndefined(yield* claims.lookup("q", "never claimed"))
      }))

    it.effect("are removed when they were completed long ago, and not before", () =>
      Effect.gen(function*() {
        const claims = yield* Claims.Claims
        yield* claims.claim("q", "pending", "a")
        yield* claims.claim("q", "old", "b")
        yield* claims.completed("q", "old")
        yield* TestClock.adjust("2 hours")
        // Twice is once.
        yield* claims.completed("q", "old")
        yield* cleanup(claims, 3)
        assert.isDefined(yield* claims.lookup("q", "old"))
        yield* cleanup(claims, 2)
        assert.isUndefined(yield* claims.lookup("q", "old"))
        assert.isDefined(yield* claims.lookup("q", "pending"))
        assert.strictEqual(yield* claims.claim("q", "old", "c"), "c")
      }))

    it.effect("are removed by name", () =>
      Effect.gen(function*() {
        const claims = yield* Claims.Claims
        yield* claims.claim("q", "removed", "a")
        yield* claims.remove("q", "removed")
        yield* claims.remove("q", "removed")
        assert.strictEqual(yield* claims.claim("q", "removed", "b"), "b")
      }))
  })

describe("claims", () => {
  contract("in memory", claims.memory)
  contract("in SQLite", claims.sqlite)

  it.effect("share a table that exists already", () =>
    Effect.gen(function*() {
      const sqlite = yield* Layer.build(NodeSqlite.layer())
      const make = Layer.build(Layer.fresh(Claims.layerSql({ table: "my claims" }))).pipe(Effect.provideContext(sqlite))
      const [first, second] = yield* Effect.all([make, make])
      yield* first.pipe((context) => Effect.provideContext(claim("a"), context))
      assert.strictEqual(yield* Effect.provideContext(claim("b"), second), "a")
    }).pipe(Effect.scoped))
})

const claim = (token: string) => Effect.flatMap(Claims.Claims, (claims) => claims.claim("q", "id", token))

describeRedis("claims", () => {
  contract("in Redis", claims.redis)

  layer(redisLayer, { excludeTestServices: true })((it) => {
    it.effect("in Redis are removed by Redis itself, after their own time to live", () =>
      Effect.gen(function*() {
        const redis = yield* Redis.Redis
        const ttlOf = (name: string, timeToLive: Duration.Input) =>
          Effect.gen(function*() {
            // Characters that a pattern of keys would read otherwise.
            const prefix = `*[${name}]:`
            const claims = yield* Effect.provide(
              Effect.flatMap(
                Claims.Claims,
                (claims) => Effect.as(Effect.andThen(claims.claim("q", "a", "t"), claims.completed("q", "a")), claims)
              ),
              Claims.layerRedis({ prefix, timeToLive })
            )
            const key = `${prefix}["q","a"]`
            const ttl = Number(yield* redis.send("PTTL", key))
            yield* claims.cleanup({ timeToLive: Duration.zero })
            return { ttl, isLeft: Number(yield* redis.send("EXISTS", key)) }
          })
        const day = yield* ttlOf("day", "1 day")
        assert.isAbove(day.ttl, 86_000_000)
        assert.isAtMost(day.ttl, 86_400_000)
        assert.strictEqual(day.isLeft, 0)
        assert.deepStrictEqual(yield* ttlOf("infinity", Duration.infinity), { ttl: -1, isLeft: 0 })
      }))
  })
})

describePostgres("claims", () => {
  contract("in PostgreSQL", claims.postgres)
})

describe("the options of claims", () => {
  const messageOf = (layer: Layer.Layer<Claims.Claims, unknown>) =>
    Effect.map(Effect.flip(Effect.scoped(Layer.build(layer))), String)

  it.effect("are refused by name", () =>
    Effect.gen(function*() {
      const redis = Layer.succeed(Redis.Redis, {} as Redis.Redis["Service"])
      const refused = [
        [Claims.layerRedis({ prefix: "" }).pipe(Layer.provide(redis)), "Claims.layerRedis: prefix must be"],
        [Claims.layerRedis({ timeToLive: 0 }).pipe(Layer.provide(redis)), "Claims.layerRedis: timeToLive must be"],
        [Claims.layerSql({ table: "" }).pipe(Layer.provide(NodeSqlite.layer())), "Claims.layerSql: table must be"]
      ] as const
      for (const [layer, message] of refused) assert.include(yield* messageOf(layer), message)
    }))
})

describe("a store", () => {
  const down = new Claims.ClaimsError({ reason: "Store", cause: "down" })
  const id = ({ attempts, id }: { readonly id: string; readonly attempts: number }) => Effect.succeed([id, attempts])

  it.effect("without claims refuses ids of their own, by a typed error, and takes all others", () =>
    onStore(({ another, beanstalkd }) =>
      Effect.gen(function*() {
        const none = yield* Effect.flatMap(
          Effect.provide(Claims.Claims, Claims.layerUnsupported),
          (claims) => another(claims)
        )
        const offer = (isCustomId: boolean) => none.offer({ name: QUEUE, id: "a", element: 1, isCustomId })
        const error = yield* Effect.flip(offer(true))
        assert.strictEqual(error._tag, "PersistedQueueError")
        assert.instanceOf(error.cause, Claims.ClaimsError)
        assert.strictEqual(error.cause.reason, "Unsupported")
        yield* areIn(beanstalkd, {}, TUBE)
        yield* offer(false)
        assert.deepStrictEqual(yield* takeFrom(none)(id), ["a", 1])
      })
    ))

  it.effect("whose claims fail at the take gives the element back, which is no attempt", () =>
    onStore(({ another, beanstalkd, claims, offer, take }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        const other = yield* another({ ...claims, claim: () => Effect.fail(down) })
        const error = yield* Effect.flip(takeFrom(other)(id))
        assert.strictEqual(error.cause, down)
        yield* areIn(beanstalkd, { delayed: 1 }, TUBE)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* take(id), ["a", 1])
      })
    ))

  it.effect("whose claims hang can be interrupted, which is no attempt", () =>
    onStore(({ another, beanstalkd, claims, offer, take }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        const other = yield* another({ ...claims, claim: () => Effect.never })
        const taking = yield* Effect.forkScoped(takeFrom(other)(id))
        yield* eventually(areIn(beanstalkd, { reserved: 1 }, TUBE))
        yield* Fiber.interrupt(taking)
        assert.deepStrictEqual(yield* take(id), ["a", 1])
      })
    ))

  it.effect("whose claims fail at the end deletes the element all the same, and says what is left", () => {
    const { log, logged } = keepLog()
    return onStore(({ another, beanstalkd, claims, offer }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        const other = yield* another({ ...claims, completed: () => Effect.fail(down) })
        const taking = yield* Effect.forkScoped(takeFrom(other)(id))
        yield* eventually(Effect.gen(function*() {
          yield* TestClock.adjust("1 second")
          assert.isDefined(taking.pollUnsafe())
        }))
        yield* areIn(beanstalkd, {}, TUBE)
        assert.isTrue(log.some(({ message }) => message.includes("its claim could not be marked")))
        assert.isDefined(yield* claims.lookup(QUEUE, "a"))
      })
    ).pipe(logged)
  })

  // A store that is silent answers nothing, not even that it is to stop.
  const silent = Effect.uninterruptible(Effect.never)

  it.effect("whose claims are silent at the end waits six seconds, and deletes the element", () => {
    const { log, logged } = keepLog()
    return onStore(({ another, beanstalkd, claims, offer }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        const asked = yield* Latch.make()
        const other = yield* another({ ...claims, completed: () => Effect.andThen(asked.open, silent) })
        const taking = yield* Effect.forkScoped(takeFrom(other)(id))
        yield* asked.await
        yield* TestClock.adjust("5999 millis")
        yield* areIn(beanstalkd, { reserved: 1 }, TUBE)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* Fiber.join(taking), ["a", 1])
        yield* areIn(beanstalkd, {}, TUBE)
        assert.isTrue(log.some(({ message }) => message.includes("its claim could not be marked")))
      })
    ).pipe(logged)
  })

  it.effect("whose claims are silent can be interrupted at the take and at both calls of an offer", () =>
    onStore(({ another, beanstalkd, claims, offer, take }) =>
      Effect.gen(function*() {
        const interruptedIn = (
          call: "lookup" | "claim",
          use: (store: Store) => Effect.Effect<unknown, unknown>
        ) =>
          Effect.gen(function*() {
            const asked = yield* Latch.make()
            const other = yield* another({ ...claims, [call]: () => Effect.andThen(asked.open, silent) })
            const using = yield* Effect.forkScoped(use(other))
            yield* asked.await
            yield* Fiber.interrupt(using)
          })
        const offering = (store: Store) => store.offer({ name: QUEUE, id: "a", element: 1, isCustomId: true })
        yield* interruptedIn("lookup", offering)
        yield* areIn(beanstalkd, {}, TUBE)
        yield* interruptedIn("claim", offering)
        yield* areIn(beanstalkd, { ready: 1 }, TUBE)
        yield* interruptedIn("claim", (store) => takeFrom(store)(id))
        yield* areIn(beanstalkd, { ready: 1 }, TUBE)
        yield* offer(2, "b")
        assert.deepStrictEqual([yield* take(id), yield* take(id)], [["a", 1], ["b", 1]])
      })
    ))

  it.effect("whose claims throw, or give no Effect, keeps no element", () => {
    const { log, logged } = keepLog()
    return onStore(({ another, beanstalkd, claims, offer, store, take }) =>
      Effect.gen(function*() {
        const thrown = (): never => {
          throw new Error("thrown")
        }
        for (const wrong of [thrown, () => Promise.resolve("token") as never]) {
          yield* offer(1, "a")
          const taking = yield* another({ ...claims, claim: wrong })
          assert.isTrue(Exit.hasDies(yield* Effect.exit(takeFrom(taking)(id))))
          yield* areIn(beanstalkd, { delayed: 1 }, TUBE)
          yield* TestClock.adjust("1 second")
          const completing = yield* another({ ...claims, completed: wrong })
          assert.deepStrictEqual(yield* takeFrom(completing)(id), ["a", 1])
          yield* areIn(beanstalkd, {}, TUBE)
          assert.isTrue(log.splice(0).some(({ message }) => message.includes("its claim could not be marked")))
          const offering = yield* another({ ...claims, lookup: wrong })
          const offered = offering.offer({ name: QUEUE, id: "b", element: 1, isCustomId: true })
          assert.isTrue(Exit.hasDies(yield* Effect.exit(offered)))
          yield* claims.remove(QUEUE, "a")
        }
        yield* offer(1, "c")
        yield* Effect.flip(take(() => Effect.fail("boom"), 1))
        const cleaning = yield* another({ ...claims, remove: thrown })
        const times = { timeToLive: Duration.zero, failedTimeToLive: Duration.zero }
        assert.isTrue(Exit.hasDies(yield* Effect.exit(cleaning.cleanup(times))))
        yield* areIn(beanstalkd, { ready: 1 }, FAILED)
        yield* store.cleanup(times)
        yield* areIn(beanstalkd, {}, FAILED)
      })
    ).pipe(logged)
  })

  it.effect("loses nothing if claims fail after the put, and delivers one of two then", () =>
    onStore(({ another, beanstalkd, claims, offer, take }) =>
      Effect.gen(function*() {
        const other = yield* another({ ...claims, claim: () => Effect.fail(down) })
        yield* Effect.flip(other.offer({ name: QUEUE, id: "a", element: 1, isCustomId: true }))
        yield* areIn(beanstalkd, { ready: 1 }, TUBE)
        yield* offer(2, "a")
        yield* offer(3, "b")
        assert.deepStrictEqual(yield* take(id), ["a", 1])
        assert.deepStrictEqual(yield* take(id), ["b", 1])
        yield* areIn(beanstalkd, {}, TUBE)
      })
    ))
})
