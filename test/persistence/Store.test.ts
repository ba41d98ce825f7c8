/**
 * What the store on beanstalkd does beyond the contract that all stores have: attempts and crashes, failed elements, foreign
 * jobs, connections.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import * as Errors from "../../src/Errors.ts"
import * as Fleet from "../../src/Fleet.ts"
import * as PersistedQueueStore from "../../src/PersistedQueueStore.ts"
import * as Client from "../../src/Client.ts"
import type { ReservedJob } from "../../src/internal/job/reservedJob.ts"
import { eventually } from "../support/Eventually.ts"
import { areIn, keepLog, statesOf } from "../support/Workplace.ts"
import { drain, FAILED, onStore, QUEUE, takeFrom, TUBE } from "./Setup.ts"

class Boom extends Schema.TaggedError<Boom>()("Boom", {}) {}

const boom = () => Effect.fail(new Boom())
const id = ({ attempts, id }: { readonly id: string; readonly attempts: number }) => Effect.succeed([id, attempts])

/** Reserves the next element as a process that dies does. */
const crash = (beanstalkd: Client.Service) =>
  Effect.scoped(
    Effect.flatMap(beanstalkd.connection, (connection) =>
      Effect.andThen(connection.watch(TUBE), connection.reserveWithTimeout(0)))
  )

/** A store whose intakes are told something else. */
const storeOn = (
  beanstalkd: Client.Service,
  change: (settings: Client.IntakeSettings) => Client.IntakeSettings
) =>
  PersistedQueueStore.make().pipe(
    Effect.provideService(Client.Beanstalkd, {
      ...beanstalkd,
      intake: (settings) => beanstalkd.intake(change(settings))
    })
  )

describe("an element", () => {
  it.effect("whose process died has one attempt less", () =>
    onStore(({ beanstalkd, offer, take }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        yield* crash(beanstalkd)
        yield* eventually(areIn(beanstalkd, { ready: 1 }, TUBE))
        assert.deepStrictEqual(yield* take(id), ["a", 2])
      })
    ))

  it.effect("whose process died in its last attempt is not delivered again, and is kept", () =>
    onStore(({ beanstalkd, offer, take }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        yield* crash(beanstalkd)
        yield* eventually(areIn(beanstalkd, { ready: 1 }, TUBE))
        yield* offer(2, "b")
        assert.deepStrictEqual(yield* take(id, 1), ["b", 1])
        const [record] = yield* drain(beanstalkd, FAILED)
        assert.strictEqual(record!["id"], "a")
        assert.match(String(record!["lastFailure"]), /never settled/)
      })
    ))

  it.effect("has the attempts that the take allows, not those of an earlier one", () =>
    onStore(({ offer, take }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        yield* Effect.flip(take(boom, 2))
        yield* Effect.flip(take(boom, 5))
        assert.deepStrictEqual(yield* take(id, 3), ["a", 3])
      })
    ))

  it.effect("that comes when the last take has left is given back, and is not attempted", () =>
    onStore(({ beanstalkd, offer, server, take }) =>
      Effect.gen(function*() {
        const taking = yield* Effect.forkScoped(take(id))
        yield* server.awaitReservers(TUBE)
        yield* Fiber.interrupt(taking)
        yield* offer(1, "a")
        yield* eventually(areIn(beanstalkd, { ready: 1 }, TUBE))
        assert.deepStrictEqual(yield* take(id), ["a", 1])
      })
    ))

  it.effect("is not attempted when the store ends before its take, and no take hangs", () =>
    onStore(({ another, beanstalkd, offer, take }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        const taken = yield* Latch.make()
        const [holding, waiting] = yield* Effect.scoped(Effect.gen(function*() {
          const other = takeFrom(yield* another())
          const holding = yield* Effect.forkDetach(other(() => Effect.andThen(taken.open, Effect.never)))
          yield* taken.await
          return [holding, yield* Effect.forkDetach(Effect.exit(other(id)), { startImmediately: true })] as const
        }))
        const exit = yield* Fiber.join(waiting)
        assert.isTrue(Exit.isFailure(exit))
        yield* areIn(beanstalkd, { ready: 1 }, TUBE)
        yield* Fiber.interrupt(holding)
        assert.deepStrictEqual(yield* take(id), ["a", 1])
      })
    ))

  it.effect("belongs to its take for as long as that takes", () =>
    onStore(({ beanstalkd, offer, take }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        const mayEnd = yield* Latch.make()
        const taking = yield* Effect.forkScoped(take(() => mayEnd.await))
        yield* eventually(areIn(beanstalkd, { reserved: 1 }, TUBE))
        for (let i = 0; i < 10; i++) yield* TestClock.adjust("20 seconds")
        yield* areIn(beanstalkd, { reserved: 1 }, TUBE)
        yield* mayEnd.open
        yield* Fiber.join(taking)
        yield* areIn(beanstalkd, {}, TUBE)
      })
    ))

  it.effect("whose connection is lost may be delivered again, which is logged", () => {
    const { log, logged } = keepLog()
    return onStore(({ offer, server, take }) =>
      Effect.gen(function*() {
        yield* offer(1)
        yield* take(() => server.dropConnections)
        assert.isTrue(log.some(({ message }) => message.includes("may be delivered again")))
        assert.strictEqual((yield* take(id))[1], 2)
      })
    ).pipe(logged)
  })

  it.effect("with an id that is completed is not delivered again, although its connection was lost", () =>
    onStore(({ beanstalkd, offer, server, take }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        yield* take(() => server.dropConnections)
        yield* eventually(areIn(beanstalkd, { ready: 1 }, TUBE))
        yield* offer(2, "b")
        assert.deepStrictEqual(yield* take(id), ["b", 1])
        yield* areIn(beanstalkd, {}, TUBE)
      })
    ))
})

describe("an element whose lease has run out", () => {
  const lapsing = (beanstalkd: Client.Service) =>
    Effect.gen(function*() {
      const jobs: Array<ReservedJob> = []
      const store = yield* storeOn(beanstalkd, (settings) => ({
        ...settings,
        onJob: (job) => {
          jobs.push(job)
          settings.onJob(job)
        }
      }))
      yield* store.offer({ name: QUEUE, id: "a", element: 1, isCustomId: false })
      return { take: takeFrom(store), lapse: Effect.sync(() => jobs.forEach((job) => job.lose("expired"))) }
    })

  it.effect("is completed all the same, while nobody else has it", () =>
    onStore(({ beanstalkd }) =>
      Effect.gen(function*() {
        const { lapse, take } = yield* lapsing(beanstalkd)
        yield* take(() => lapse)
        yield* areIn(beanstalkd, {}, TUBE)
      }).pipe(Effect.scoped)
    ))

  it.effect("and that failed is left to the server, which is logged", () => {
    const { log, logged } = keepLog()
    return onStore(({ beanstalkd }) =>
      Effect.gen(function*() {
        const { lapse, take } = yield* lapsing(beanstalkd)
        yield* Effect.flip(take(() => Effect.andThen(lapse, boom())))
        yield* areIn(beanstalkd, { reserved: 1 }, TUBE)
        assert.isTrue(log.some(({ message }) => message.includes("could not be settled")))
      }).pipe(Effect.scoped)
    ).pipe(logged)
  })
})

describe("an element that failed", () => {
  it.effect("is kept whole, with the reason and the time", () =>
    onStore(({ beanstalkd, offer, take }) =>
      Effect.gen(function*() {
        yield* TestClock.adjust("1 hour")
        yield* offer({ to: "ada" }, "a")
        yield* Effect.flip(take(boom, 1))
        const [record, ...others] = yield* drain(beanstalkd, FAILED)
        assert.strictEqual(others.length, 0)
        const { lastFailure, token, ...rest } = record!
        assert.deepStrictEqual(rest, {
          id: "a",
          element: { to: "ada" },
          queue: QUEUE,
          attempts: 1,
          failedAt: 3_600_000
        })
        assert.match(String(lastFailure), /Boom/)
        assert.isString(token)
        yield* areIn(beanstalkd, {}, TUBE)
      })
    ))

  it.effect("since it does not decode has failed in its first attempt, for that reason", () =>
    onStore(({ beanstalkd, offer, store }) =>
      Effect.gen(function*() {
        const factory = yield* Effect.provideService(
          PersistedQueue.makeFactory,
          PersistedQueue.PersistedQueueStore,
          store
        )
        const queue = yield* factory.make({ name: QUEUE, schema: Schema.Struct({ n: Schema.Finite }) })
        yield* offer({ n: "none" }, "a")
        yield* offer({ n: 1 }, "b")
        assert.deepStrictEqual(yield* queue.take(Effect.succeed), { n: 1 })
        const [record] = yield* drain(beanstalkd, FAILED)
        assert.deepStrictEqual([record!["id"], record!["attempts"]], ["a", 1])
        assert.match(String(record!["lastFailure"]), /SchemaError[^]*\["n"\]/)
      })
    ))

  it.effect("is delivered again when its record is put back", () =>
    onStore(({ beanstalkd, offer, take }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        yield* Effect.flip(take(boom, 1))
        const [record] = yield* drain(beanstalkd, FAILED)
        yield* beanstalkd.put(TUBE, JSON.stringify(record))
        assert.deepStrictEqual(yield* take(id), ["a", 1])
      })
    ))

  it.effect("keeps a reason as long as there is room, and its beginning otherwise", () =>
    onStore(({ beanstalkd, offer, take }) =>
      Effect.gen(function*() {
        for (const length of [5000, 100_000]) {
          yield* offer(length, `${length}`)
          yield* Effect.flip(take(() => Effect.fail("x".repeat(length)), 1))
        }
        const lengths = (yield* drain(beanstalkd, FAILED)).map(({ lastFailure }) => String(lastFailure).length)
        assert.isAtLeast(lengths[0]!, 5000)
        assert.strictEqual(lengths[1], 1003)
      })
    ))

  it.effect("stays buried where it is if there is no room for it and the reason, and is cleaned up with that", () =>
    onStore(({ beanstalkd, claims, offer, store, take }) =>
      Effect.gen(function*() {
        yield* offer("x".repeat(65_400), "a")
        yield* Effect.flip(take(boom, 1))
        yield* areIn(beanstalkd, { buried: 1 }, TUBE)
        const record = JSON.parse((yield* beanstalkd.peekReady(FAILED)).text)
        assert.strictEqual(record.id, "a")
        assert.match(record.lastFailure, /Boom/)
        assert.strictEqual(record.job, String((yield* beanstalkd.peekBuried(TUBE)).ref))
        yield* TestClock.adjust("1 hour")
        yield* store.cleanup({ timeToLive: Duration.zero, failedTimeToLive: Duration.hours(1) })
        assert.isUndefined(yield* claims.lookup(QUEUE, "a"))
        yield* areIn(beanstalkd, {}, TUBE)
        yield* areIn(beanstalkd, {}, FAILED)
      })
    ))

  it.effect("is removed when it is old enough, the oldest first, and those of other stores are not", () =>
    onStore(({ beanstalkd, claims, offer, store, take }) =>
      Effect.gen(function*() {
        const cleanup = (hours: number) =>
          store.cleanup({ timeToLive: Duration.zero, failedTimeToLive: Duration.hours(hours) })
        const record = { id: "z", queue: "work", attempts: 1, lastFailure: "", failedAt: 0 }
        yield* beanstalkd.put("pq.other.work.failed", JSON.stringify(record))
        for (const name of ["a", "b"]) {
          yield* offer(1, name)
          yield* Effect.flip(take(boom, 1))
          yield* TestClock.adjust("1 hour")
        }
        yield* cleanup(3)
        yield* areIn(beanstalkd, { ready: 2 }, FAILED)
        yield* cleanup(2)
        yield* areIn(beanstalkd, { ready: 1 }, FAILED)
        assert.isUndefined(yield* claims.lookup(QUEUE, "a"))
        assert.isDefined(yield* claims.lookup(QUEUE, "b"))
        yield* cleanup(0)
        yield* areIn(beanstalkd, {}, FAILED)
        yield* areIn(beanstalkd, { ready: 1 }, "pq.other.work.failed")
      })
    ))

  it.effect("is left behind a job that is no record, which is never removed, and the log says so once", () => {
    const { log, logged } = keepLog()
    return onStore(({ beanstalkd, offer, store, take }) =>
      Effect.gen(function*() {
        const times = { timeToLive: Duration.zero, failedTimeToLive: Duration.zero }
        const fail = (name: string) => Effect.andThen(offer(1, name), Effect.flip(take(boom, 1)))
        yield* fail("a")
        const refs = [
          yield* beanstalkd.put(FAILED, "no record"),
          yield* beanstalkd.put(FAILED, JSON.stringify({ id: "x", queue: QUEUE }))
        ]
        yield* fail("b")
        for (let left = 3; left > 1; left--) {
          for (let i = 0; i < 2; i++) yield* store.cleanup(times)
          yield* areIn(beanstalkd, { ready: left }, FAILED)
          yield* beanstalkd.delete(yield* beanstalkd.peekReady(FAILED))
        }
        const lines = log.filter(({ message }) => message.includes("is no failed element"))
        assert.deepStrictEqual(lines.map(({ message }) => message.split(" ")[1]), refs.map(String))
        yield* store.cleanup(times)
        yield* areIn(beanstalkd, {}, FAILED)
      })
    ).pipe(logged)
  })

  it.effect("keeps the claim of a newer element of its id", () =>
    onStore(({ claims, offer, store, take }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        yield* Effect.flip(take(boom, 1))
        yield* claims.remove(QUEUE, "a")
        yield* offer(2, "a")
        yield* store.cleanup({ timeToLive: Duration.zero, failedTimeToLive: Duration.zero })
        assert.isDefined(yield* claims.lookup(QUEUE, "a"))
      })
    ))

  it.effect("is neither lost nor attempted while the server takes no jobs", () => {
    const { log, logged } = keepLog()
    return onStore(({ beanstalkd, offer, server, take }) =>
      Effect.gen(function*() {
        yield* offer(1, "a")
        yield* offer(2, "b")
        yield* server.drain
        yield* Effect.flip(take(boom, 1))
        assert.isTrue(log.some(({ message }) => message.includes("could not be recorded yet")))
        assert.strictEqual((yield* statesOf(beanstalkd, TUBE)).delayed, 1)
        yield* TestClock.adjust("10 seconds")
        // The server lets nothing in for as long as it lives, so that it is refused once more.
        assert.deepStrictEqual(yield* take(id, 1), ["b", 1])
        assert.strictEqual((yield* statesOf(beanstalkd, TUBE)).delayed, 1)
      })
    ).pipe(logged)
  })
})

describe("a foreign job", () => {
  it.effect("that is an element is taken", () =>
    onStore(({ beanstalkd, take }) =>
      Effect.gen(function*() {
        yield* beanstalkd.put(TUBE, "{\"id\":\"foreign\",\"element\":1}", { priority: 0 })
        yield* Effect.flip(take(boom))
        assert.deepStrictEqual(yield* take(id), ["foreign", 2])
      })
    ))

  it.effect("that is none fails at once, and holds up nobody", () =>
    onStore(({ beanstalkd, offer, take }) =>
      Effect.gen(function*() {
        const bodies = ["no json", "null", "{\"element\":1}", "{\"id\":7}", "{\"id\":\"a\",\"token\":7}"]
        for (const body of bodies) yield* beanstalkd.put(TUBE, body)
        yield* beanstalkd.put(TUBE, Uint8Array.of(0xff, 0xfe))
        yield* offer(1, "a")
        assert.deepStrictEqual(yield* take(id), ["a", 1])
        const records = yield* Effect.tap(drain(beanstalkd, FAILED), () => areIn(beanstalkd, {}, TUBE))
        assert.deepStrictEqual(records.map(({ body, bodyBase64 }) => body ?? bodyBase64), [...bodies, "//4="])
        assert.isTrue(records.every(({ lastFailure }) => String(lastFailure).startsWith("the body ")))
      })
    ))

  it.effect("that would be an element but for a byte that is no UTF-8 fails at once, and its record has the bytes", () =>
    onStore(({ beanstalkd, offer, take }) =>
      Effect.gen(function*() {
        const body = Buffer.from("{\"id\":\"a\",\"element\":\"caf\xe9\"}", "latin1")
        yield* beanstalkd.put(TUBE, body)
        yield* offer("caf\u00e9", "b")
        assert.deepStrictEqual(yield* take(({ element }) => Effect.succeed(element)), "caf\u00e9")
        const [record] = yield* drain(beanstalkd, FAILED)
        assert.deepInclude(record, { bodyBase64: body.toString("base64"), lastFailure: "the body is no UTF-8" })
      })
    ))

  it.effect("without a known priority has its attempts", () =>
    onStore(({ beanstalkd, take }) =>
      Effect.gen(function*() {
        for (const priority of [0, 4_294_967_295]) {
          yield* beanstalkd.put(TUBE, "{\"id\":\"a\",\"element\":1}", { priority })
          for (let i = 0; i < 3; i++) yield* Effect.flip(take(boom))
          yield* areIn(beanstalkd, {}, TUBE)
        }
        assert.strictEqual((yield* drain(beanstalkd, FAILED)).length, 2)
      })
    ))
})

describe("an element that cannot be offered", () => {
  it.effect("since it is too large, is refused and claims no id", () =>
    onStore(({ beanstalkd, claims, offer }) =>
      Effect.gen(function*() {
        for (const name of [undefined, "a"]) {
          const error = yield* Effect.flip(offer("x".repeat(70_000), name))
          assert.strictEqual(error._tag, "PersistedQueueError")
          assert.strictEqual((error.cause as { readonly _tag: string })._tag, "JobTooBig")
        }
        assert.isUndefined(yield* claims.lookup(QUEUE, "a"))
        yield* areIn(beanstalkd, {}, TUBE)
      })
    ))

  it.effect("since its id is no text, is refused, and says so", () =>
    onStore(({ beanstalkd, store }) =>
      Effect.gen(function*() {
        for (const id of [7, null, { a: 1 }] as ReadonlyArray<unknown> as ReadonlyArray<string>) {
          for (const isCustomId of [true, false]) {
            const error = yield* Effect.flip(store.offer({ name: QUEUE, id, element: 1, isCustomId }))
            assert.strictEqual(error._tag, "PersistedQueueError")
            assert.instanceOf(error.cause, Errors.InvalidArgument)
            assert.include(error.cause.message, "PersistedQueue.offer: id must be a text")
          }
        }
        yield* areIn(beanstalkd, {}, TUBE)
      })
    ))

  it.effect("since it is no JSON, is refused", () =>
    onStore(({ offer }) =>
      Effect.gen(function*() {
        for (const name of [undefined, "a"]) {
          assert.strictEqual((yield* Effect.flip(offer(1n, name)))._tag, "PersistedQueueError")
        }
      })
    ))
})

describe("the connections of a store", () => {
  it.effect("are closed when nobody takes any more, and opened for the next take", () =>
    onStore(({ offer, server, take }) =>
      Effect.gen(function*() {
        const before = yield* server.connectionCount
        yield* offer(1, "a")
        yield* take(id)
        assert.isAbove(yield* server.connectionCount, before)
        for (let i = 0; i < 4; i++) yield* TestClock.adjust("31 seconds")
        yield* eventually(Effect.map(server.connectionCount, (count) => assert.strictEqual(count, before)))
        yield* offer(2, "b")
        assert.deepStrictEqual(yield* take(id), ["b", 1])
      })
    ))

  it.effect("stay open while a take waits or an element is in hand", () =>
    onStore(({ offer, take }) =>
      Effect.gen(function*() {
        const mayEnd = yield* Latch.make()
        yield* offer(1, "a")
        const holding = yield* Effect.forkScoped(take((taken) => Effect.andThen(mayEnd.await, id(taken))))
        const waiting = yield* Effect.forkScoped(take(id))
        for (let i = 0; i < 10; i++) yield* TestClock.adjust("31 seconds")
        yield* offer(2, "b")
        assert.deepStrictEqual(yield* Fiber.join(waiting), ["b", 1])
        yield* mayEnd.open
        assert.deepStrictEqual(yield* Fiber.join(holding), ["a", 1])
      })
    ))

  it.effect("are few for many takes", () =>
    onStore(({ offer, server, take }) =>
      Effect.gen(function*() {
        const before = yield* server.connectionCount
        const mayEnd = yield* Latch.make()
        yield* Effect.forEach(Array.from({ length: 64 }), () => Effect.forkScoped(take(() => mayEnd.await)))
        yield* Effect.forEach(Array.from({ length: 64 }), () => offer(1), { discard: true })
        assert.isAtMost((yield* server.connectionCount) - before, 2)
        yield* mayEnd.open
      }), { maxConnections: 2 }))

  it.effect("that cannot be had any more fail the takes that wait, and the next take tries again", () =>
    onStore(({ beanstalkd }) =>
      Effect.gen(function*() {
        const opened: Array<Client.IntakeSettings> = []
        const store = yield* storeOn(beanstalkd, (settings) => {
          opened.push(settings)
          return settings
        })
        const take = takeFrom(store)
        const waiting = yield* Effect.forkScoped(Effect.flip(take(id)), { startImmediately: true })
        yield* eventually(Effect.sync(() => assert.strictEqual(opened.length, 1)))
        const reason = new Errors.ConnectionClosed({ detail: "gone" })
        opened[0]!.onFailure(new Errors.BeanstalkdError({ command: "connect", server: "memory", sent: false, reason }))
        const error = yield* Fiber.join(waiting)
        assert.strictEqual(error._tag, "PersistedQueueError")
        yield* store.offer({ name: QUEUE, id: "a", element: 1, isCustomId: false })
        assert.deepStrictEqual(yield* take(id), ["a", 1])
        assert.strictEqual(opened.length, 2)
      }).pipe(Effect.scoped)
    ))
})

describe("a store over a fleet", () => {
  it.live("takes what lies on any server, once", () =>
    Effect.gen(function*() {
      const client = yield* Client.Beanstalkd
      const store = yield* PersistedQueueStore.make().pipe(Effect.provideService(Client.Beanstalkd, client))
      const take = takeFrom(store)
      for (let i = 0; i < 30; i++) {
        yield* store.offer({ name: QUEUE, id: `${i}`, element: i, isCustomId: false })
      }
      yield* Effect.flip(take(boom, 1))
      const taken = yield* Effect.forEach(Array.from({ length: 29 }), () => take(id), { concurrency: 5 })
      assert.strictEqual(new Set(taken.map(([id]) => id)).size, 29)
      assert.isTrue(taken.every(([, attempts]) => attempts === 1))
      yield* store.cleanup({ timeToLive: Duration.zero, failedTimeToLive: Duration.zero })
      yield* areIn(client, {}, FAILED)
    }).pipe(Effect.scoped, Effect.provide(Fleet.layerMemory(3))))
})

describe("the options of a store", () => {
  const refused = (options: object) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(PersistedQueueStore.layer(options))))
      return `${error._tag} ${error.reason._tag} ${error.message}`
    })

  it.effect("are refused by name", () =>
    onStore(({ beanstalkd }) =>
      Effect.gen(function*() {
        for (
          const [name, options] of Object.entries({
            prefix: { prefix: "no spaces" },
            ttr: { ttr: 60 },
            maxConnections: { maxConnections: 0 }
          })
        ) {
          const message = yield* refused(options).pipe(Effect.provideService(Client.Beanstalkd, beanstalkd))
          assert.include(message, `BeanstalkdError InvalidOptions PersistedQueueStore.layer: ${name} must be`)
        }
        for (const prefix of ["", "-a", "x".repeat(101), "ü", 7, null]) {
          const options = { prefix: prefix as string }
          assert.include(
            yield* refused(options).pipe(Effect.provideService(Client.Beanstalkd, beanstalkd)),
            "prefix must be"
          )
        }
      })
    ))
})
