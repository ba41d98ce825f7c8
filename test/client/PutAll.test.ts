/**
 * Putting many jobs: what is in memory meanwhile, in which order the ids come, and what is known when it fails.
 */
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Fiber, Stream } from "effect"
import { Client, Errors, Job, Protocol, Server } from "effect-beanstalkd"
import * as PutAll from "../../src/internal/job/putAll.ts"
import { eventually } from "../support/Eventually.ts"
import * as RealServer from "../support/RealServer.ts"

const WINDOW = 512

/** With the type that the client gives it. */
const putAll: <E = never, R = never>(
  put: (body: PutAll.Body) => Effect.Effect<Job.JobRef, Errors.PutAllError["cause"]>,
  bodies: Iterable<PutAll.Body> | Stream.Stream<PutAll.Body, E, R>
) => Effect.Effect<ReadonlyArray<Job.JobRef>, E | Errors.PutAllError, R> = PutAll.putAll

const refOf = (id: number) => new Job.JobRef({ server: "here", id: Protocol.JobId.make(id) })

const idsOf = (refs: ReadonlyArray<Job.JobRef>): ReadonlyArray<number> => refs.map(({ id }) => id)

class Broken extends Data.TaggedError("Broken")<{}> {}

/** Bodies that come one by one, and how many have come. */
const pulling = (length: number) => {
  const seen = { pulled: 0, returned: false }
  const bodies = function*() {
    try {
      for (let i = 0; i < length; i++) {
        seen.pulled++
        yield `${i}`
      }
    } finally {
      seen.returned = seen.pulled < length
    }
  }
  return { seen, bodies }
}

/** A server that takes a turn for each put, and what it was given. */
const slow = (refuse: (body: string) => Errors.PutAllError["cause"] | undefined = () => undefined) => {
  const taken: Array<string> = []
  const put = Effect.fnUntraced(function*(body: PutAll.Body) {
    yield* Effect.yieldNow
    const refusal = refuse(String(body))
    if (refusal !== undefined) return yield* refusal
    return refOf(taken.push(String(body)))
  })
  return { taken, put }
}

const tooBig = new Errors.JobTooBig({ server: "here", size: 7 })

describe("putAll", () => {
  it.effect("pulls no more than a window ahead of the answers, from 100,000 bodies", () =>
    Effect.gen(function*() {
      const { bodies, seen } = pulling(100_000)
      const { put, taken } = slow()
      let most = 0
      const watched = Effect.fnUntraced(function*(body: PutAll.Body) {
        most = Math.max(most, seen.pulled - taken.length)
        return yield* put(body)
      })
      const ids = yield* putAll(watched, bodies())
      assert.strictEqual(ids.length, 100_000)
      assert.strictEqual(most, WINDOW)
    }))

  it.effect("pulls no more than a window ahead of the answers, from a stream", () =>
    Effect.gen(function*() {
      const { bodies, seen } = pulling(20_000)
      const { put, taken } = slow()
      let most = 0
      const watched = Effect.fnUntraced(function*(body: PutAll.Body) {
        most = Math.max(most, seen.pulled - taken.length)
        return yield* put(body)
      })
      const chunkSize = 16
      const ids = yield* putAll(watched, Stream.fromIterable(bodies(), { chunkSize }))
      assert.strictEqual(ids.length, 20_000)
      // One chunk of the stream on top.
      assert.isAtMost(most, WINDOW + chunkSize)
    }))

  it.effect("gives the ids in the order of the bodies, whatever the order of the answers", () =>
    Effect.gen(function*() {
      const bodies = Array.from({ length: 2_000 }, (_, i) => `${i}`)
      const put = Effect.fnUntraced(function*(body: PutAll.Body) {
        for (let turns = Number(body) % 5; turns > 0; turns--) yield* Effect.yieldNow
        return refOf(Number(body))
      })
      const ids = idsOf(yield* putAll(put, bodies))
      assert.deepStrictEqual(ids, bodies.map(Number))
      const fromStream = idsOf(yield* putAll(put, Stream.fromIterable(bodies)))
      assert.deepStrictEqual(fromStream, bodies.map(Number))
    }))

  it.effect("puts nothing of nothing", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* putAll(slow().put, []), [])
      assert.deepStrictEqual(yield* putAll(slow().put, Stream.empty), [])
    }))

  it.effect("stops at the first refusal: it awaits what is on its way, tells what was put, and pulls no more", () =>
    Effect.gen(function*() {
      const { bodies, seen } = pulling(100_000)
      const { put, taken } = slow((body) => body === "1000" ? tooBig : undefined)
      const error = yield* Effect.flip(putAll(put, bodies()))
      assert.instanceOf(error, Errors.PutAllError)
      assert.strictEqual(error.cause, tooBig)
      // All that was put, and in order.
      assert.deepStrictEqual(idsOf(error.inserted), taken.map((_, i) => i + 1))
      assert.isAtMost(seen.pulled, 1000 + WINDOW)
      const { pulled } = seen
      yield* Effect.yieldNow
      assert.deepStrictEqual([seen.pulled, taken.length], [pulled, pulled - 1])
    }))

  it.effect("tells the ids in the order of the bodies also when it fails", () =>
    Effect.gen(function*() {
      const put = Effect.fnUntraced(function*(body: PutAll.Body) {
        // By then all have been pulled.
        for (let turns = body === "90" ? 3 : Number(body) % 5; turns > 0; turns--) yield* Effect.yieldNow
        return body === "90" ? yield* tooBig : refOf(Number(body))
      })
      const { inserted } = yield* Effect.flip(putAll(put, Array.from({ length: 100 }, (_, i) => `${i}`)))
      const ids = idsOf(inserted)
      assert.deepStrictEqual(ids, ids.toSorted((a, b) => a - b))
      assert.deepStrictEqual([ids.length, ids[90]], [99, 91])
    }))

  it.effect("closes an iterator that it does not read to its end", () =>
    Effect.gen(function*() {
      const { bodies, seen } = pulling(100_000)
      yield* Effect.flip(putAll(slow(() => tooBig).put, bodies()))
      assert.isTrue(seen.returned)
      const other = pulling(100_000)
      const putting = yield* Effect.forkChild(putAll(slow().put, other.bodies()), { startImmediately: true })
      yield* Fiber.interrupt(putting)
      assert.isTrue(other.seen.returned)
    }))

  it.effect("passes on the error of a stream, and its requirements", () =>
    Effect.gen(function*() {
      const { put, taken } = slow()
      const broken = Stream.concat(Stream.fromIterable(["a", "b"]), Stream.fail(new Broken()))
      assert.instanceOf(yield* Effect.flip(putAll(put, broken)), Broken)
      assert.includeMembers(["a", "b"], taken)
    }))

  it.effect("ends the stream that it does not read to its end", () =>
    Effect.gen(function*() {
      let ended = false
      const bodies = Stream.ensuring(
        Stream.fromIterable(pulling(10_000).bodies()),
        Effect.sync(() => {
          ended = true
        })
      )
      yield* Effect.flip(putAll(slow(() => tooBig).put, bodies))
      assert.isTrue(ended)
    }))

  it.effect("tells what an iterator has thrown, and what was put before", () =>
    Effect.gen(function*() {
      const thrown = new Error("no more")
      const bodies = function*() {
        yield "a"
        yield "b"
        throw thrown
      }
      const { cause, inserted } = yield* Effect.flip(putAll(slow().put, bodies()))
      assert.deepStrictEqual(idsOf(inserted), [1, 2])
      assert.deepInclude(cause, { _tag: "InvalidArgument", argument: "bodies", value: thrown })
    }))

  it.effect("does not close an iterator that has thrown, as for...of does not", () =>
    Effect.gen(function*() {
      let closed = 0
      const next = () => {
        throw new Error("no more")
      }
      const bodies = { [Symbol.iterator]: () => ({ next, return: () => ({ done: true, value: closed++ }) }) }
      yield* Effect.flip(putAll(slow().put, bodies as Iterable<string>))
      assert.strictEqual(closed, 0)
    }))

  const malformed: Record<string, () => unknown> = {
    "has no next": () => ({}),
    "gives no results": () => ({ next: () => 5 }),
    "throws at once": () => {
      throw new Error("no")
    },
    "cannot be asked": () => null
  }
  it.effect.each(Object.entries(malformed))(
    "refuses an iterable whose iterator %s",
    ([, iterator]) =>
      Effect.gen(function*() {
        const bodies = { [Symbol.iterator]: iterator } as Iterable<string>
        const { cause, inserted } = yield* Effect.flip(putAll(slow().put, bodies))
        assert.deepStrictEqual(inserted, [])
        assert.deepInclude(cause, { _tag: "InvalidArgument", argument: "bodies" })
      })
  )

  it.effect("says why it stopped also when the iterator throws as it is closed", () =>
    Effect.gen(function*() {
      const bodies = {
        [Symbol.iterator]: () => ({
          next: () => ({ value: "a" }),
          return: () => {
            throw new Error("not closed")
          }
        })
      } as Iterable<string>
      assert.strictEqual((yield* Effect.flip(putAll(slow(() => tooBig).put, bodies))).cause, tooBig)
    }))
})

RealServer.describeReal("putAll of the client", () => {
  const open = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
    const server = yield* RealServer.make({ args })
    return { server, beanstalkd: yield* Client.make({ port: server.port }) }
  })

  /** The bodies of the jobs with these ids. */
  const bodiesOf = (beanstalkd: Client.Service, ids: ReadonlyArray<Client.JobIdentifier>) =>
    Effect.forEach(ids, (id) => Effect.map(beanstalkd.peek(id), ({ text }) => text), { concurrency: "unbounded" })

  it.live("puts 100,000 bodies of a generator, each once and in order", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open()
      const { bodies } = pulling(100_000)
      const ids = (yield* beanstalkd.putAll("jobs", bodies())).map(({ id }) => id)
      assert.isTrue(ids.every((id, i) => i === 0 || id > ids[i - 1]!))
      assert.strictEqual((yield* server.stats)["total-jobs"], "100000")
      const some = ids.filter((_, i) => i % 997 === 0)
      assert.deepStrictEqual(yield* bodiesOf(beanstalkd, some), some.map((_, i) => `${i * 997}`))
    }))

  it.live("puts the bodies of a stream, with the options", () =>
    Effect.gen(function*() {
      const { beanstalkd } = yield* open()
      const bodies = Stream.map(Stream.range(1, 3_000), (n) => `${n}`)
      const ids = (yield* beanstalkd.putAll("jobs", bodies, { priority: 5, delay: "1 hour" })).map(({ id }) => id)
      assert.strictEqual(ids.length, 3_000)
      assert.deepInclude(yield* beanstalkd.statsJob(ids[2_999]!), { pri: 5, state: "delayed", tube: "jobs" })
    }))

  it.live("tells what was put before the server began to drain", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open()
      const { bodies, seen } = pulling(Infinity)
      const putting = yield* Effect.forkChild(beanstalkd.putAll("jobs", bodies()))
      yield* eventually(Effect.map(server.stats, (stats) => assert.isAbove(Number(stats["total-jobs"]), 1_000)))
      yield* server.signal("SIGUSR1")
      const error = yield* Effect.flip(Fiber.join(putting))
      assert.strictEqual(error.cause._tag, "Draining")
      assert.strictEqual(String(error.inserted.length), (yield* server.stats)["total-jobs"])
      assert.isAtMost(seen.pulled - error.inserted.length, 2 * WINDOW)
      const last = error.inserted.at(-1)!
      assert.deepStrictEqual(yield* bodiesOf(beanstalkd, [last]), [`${error.inserted.length - 1}`])
    }))

  const wrong: Record<string, readonly [body: unknown, tag: string]> = {
    "is too big for the server": ["x".repeat(101), "JobTooBig"],
    "is no body": [42, "InvalidArgument"],
    "cannot be UTF-8": ["\ud800", "InvalidArgument"]
  }
  it.live.each(Object.entries(wrong))("tells what was put when a body %s", ([, [body, tag]]) =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open("-z", "100")
      const bodies = Array.from({ length: 5_000 }, (_, i) => i === 2_000 ? body as string : `${i}`)
      const error = yield* Effect.flip(beanstalkd.putAll("jobs", bodies))
      assert.strictEqual(error.cause._tag, tag)
      assert.strictEqual(String(error.inserted.length), (yield* server.stats)["total-jobs"])
      assert.deepStrictEqual(
        yield* bodiesOf(beanstalkd, error.inserted),
        bodies.filter((_, i) => i !== 2_000).slice(0, error.inserted.length)
      )
      assert.isTrue(error.inserted.length >= 2_000 - 1 && error.inserted.length < 2_000 + WINDOW)
    }))

  it.live("tells what was put when the server goes away", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open()
      const { bodies } = pulling(Infinity)
      const putting = yield* Effect.forkChild(beanstalkd.putAll("jobs", bodies()))
      yield* eventually(Effect.map(server.stats, (stats) => assert.isAbove(Number(stats["total-jobs"]), 1_000)))
      yield* server.kill
      const { cause, inserted } = yield* Effect.flip(Fiber.join(putting))
      assert.instanceOf(cause, Errors.BeanstalkdError)
      assert.isTrue(cause.sent)
      assert.isAbove(inserted.length, 1_000)
    }))
})

describe("what is no collection of bodies", () => {
  const none: Record<string, unknown> = {
    "a text, which has letters": "hello",
    "an empty text": "",
    "bytes, which have numbers": new Uint8Array(3),
    "a view of bytes": new DataView(new ArrayBuffer(3)),
    "a number": 5,
    "nothing": undefined,
    "null": null,
    "an object": {},
    "what cannot be looked at": new Proxy({}, {
      get: () => {
        throw new Error("no")
      },
      has: () => {
        throw new Error("no")
      }
    })
  }
  it.effect.each(Object.entries(none))(
    "is refused, and nothing of it is put: %s",
    ([, bodies]) =>
      Effect.gen(function*() {
        const { put, taken } = slow()
        const { cause, inserted } = yield* Effect.flip(putAll(put, bodies as Iterable<string>))
        assert.deepStrictEqual([inserted, taken], [[], []])
        assert.deepInclude(cause, {
          _tag: "InvalidArgument",
          argument: "bodies",
          rule: "an iterable or a Stream of bodies, not a single one"
        })
      })
  )
})

describe("nothing to put", () => {
  const wrong: ReadonlyArray<readonly [argument: string, tube: unknown, options: unknown]> = [
    ["tube", "no tube", {}],
    ["tube", "", {}],
    // One that is not set is not `default`.
    ["tube", undefined, {}],
    ["priority", "jobs", { priority: -1 }],
    ["ttr", "jobs", { ttr: -1 }],
    ["delay", "jobs", { delay: "soon" }],
    ["options", "jobs", null]
  ]
  it.effect.each(wrong)("into nowhere, or with options that make no sense, is refused all the same: %s", (
    [argument, tube, options]
  ) =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const client = yield* Client.make(server.clientOptions)
      const { cause, inserted } = yield* Effect.flip(client.putAll(tube as string, [], options as Client.PutOptions))
      assert.deepStrictEqual(inserted, [])
      assert.deepInclude(cause, { _tag: "InvalidArgument", operation: "put", argument })
      assert.deepStrictEqual(yield* client.putAll("jobs", []), [])
      assert.strictEqual((yield* client.stats).cmdPut, 0)
    }))
})
