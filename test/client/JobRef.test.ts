/**
 * The identity of a job: a number alone would name the wrong job as soon as there are two servers.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Equal, Hash, Schema } from "effect"
import { Client, Errors, Job, Protocol, Server, Tube } from "effect-beanstalkd"
import { inspect } from "node:util"
import { describeServers } from "../support/AnyServer.ts"

const { JobRef, JobRefFromString } = Job

const id = (number: number) => Protocol.JobId.make(number)
const of = (server: string, number: number) => new JobRef({ server, id: id(number) })

describe("a JobRef", () => {
  it("is equal to another of the same server and id, and has its hash", () => {
    const ref = of("127.0.0.1:11300", 7)
    assert.isTrue(Equal.equals(ref, of("127.0.0.1:11300", 7)))
    assert.strictEqual(Hash.hash(ref), Hash.hash(of("127.0.0.1:11300", 7)))
    for (const other of [of("127.0.0.1:11301", 7), of("127.0.0.1:11300", 8), { server: "127.0.0.1:11300", id: 7 }]) {
      assert.isFalse(Equal.equals(ref, other))
    }
  })

  it.each([
    ["127.0.0.1:11300/7", "127.0.0.1:11300", 7],
    ["[::1]:11300/0", "[::1]:11300", 0],
    ["unix:/run/the queue.sock/12", "unix:/run/the queue.sock", 12],
    ["memory/9007199254740991", "memory", Number.MAX_SAFE_INTEGER]
  ])("is read from the text %s, and is that text again", (text, server, number) => {
    const ref = Schema.decodeSync(JobRefFromString)(text)
    assert.instanceOf(ref, JobRef)
    assert.isTrue(Equal.equals(ref, of(server, number)))
    assert.strictEqual(Schema.encodeSync(JobRefFromString)(ref), text)
    assert.strictEqual(String(ref), text)
    assert.strictEqual(inspect(ref), `JobRef(${text})`)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(ref)), { server, id: number })
  })

  it.each([
    "",
    "7",
    "/7",
    "memory",
    "memory/",
    "memory/-1",
    "memory/07",
    "memory/1.5",
    "memory/9007199254740993",
    "a/b"
  ])(
    "is not read from %j",
    (text) => {
      assert.strictEqual(Schema.decodeExit(JobRefFromString)(text)._tag, "Failure")
    }
  )
})

describeServers("the reference of a job", (target) => {
  const opened = Effect.gen(function*() {
    const server = yield* target.make()
    return yield* Client.make(server.clientOptions)
  })

  it.live("comes from put and putAll, and from each job, and names it to every command", () =>
    Effect.gen(function*() {
      const client = yield* opened
      const ref = yield* client.put("emails", "hello")
      assert.instanceOf(ref, JobRef)
      assert.strictEqual(ref.server, client.server)
      const peeked = yield* client.peek(ref)
      assert.deepStrictEqual([peeked.server, peeked.ref], [client.server, ref])
      assert.strictEqual((yield* client.statsJob(peeked)).id, ref.id)
      const [other] = yield* client.putAll("emails", ["later"])
      yield* client.delete(other!)
      const job = yield* client.reserveJob(ref)
      assert.isTrue(Equal.equals(job.ref, ref))
      assert.strictEqual(job.server, client.server)
      yield* job.bury()
      yield* client.kickJob(job)
      yield* client.delete(ref.id)
      assert.strictEqual((yield* Effect.flip(client.statsJob(ref)))._tag, "NotFound")
    }).pipe(Effect.scoped))

  it.live("also of a tube's jobs", () =>
    Effect.gen(function*() {
      const client = yield* opened
      const Emails = Tube.make("emails", { codec: "text" })
      const { peeked, ref } = yield* Effect.all({ ref: Emails.put("hello"), peeked: Emails.peekReady }).pipe(
        Effect.provideService(Client.Beanstalkd, client)
      )
      assert.isTrue(Equal.equals(peeked.ref, ref))
      yield* client.delete(peeked)
    }).pipe(Effect.scoped))

  it.live("is refused when it is of another server, before anything is sent", () =>
    Effect.gen(function*() {
      const client = yield* opened
      const mine = yield* client.put("emails", "mine")
      const theirs = of("10.0.0.2:11300", mine.id)
      const commands: Record<string, Effect.Effect<unknown, unknown>> = {
        "delete": client.delete(theirs),
        "peek": client.peek(theirs),
        "kick-job": client.kickJob(theirs),
        "stats-job": client.statsJob(theirs),
        "reserve-job": Effect.scoped(Effect.asVoid(client.reserveJob(theirs)))
      }
      for (const [operation, command] of Object.entries(commands)) {
        const error = yield* Effect.flip(command)
        assert.instanceOf(error, Errors.InvalidArgument)
        assert.deepInclude(error, { operation, argument: "id", value: theirs })
        assert.include(error.message, `a job of ${client.server}`)
      }
      assert.strictEqual((yield* client.statsJob(mine)).state, "ready")
    }).pipe(Effect.scoped))

  it.live("is no text and no object of another kind", () =>
    Effect.gen(function*() {
      const client = yield* opened
      const unreadable = Object.defineProperty({}, "server", {
        get: () => {
          throw new Error("unreadable")
        }
      })
      for (const value of ["7", "memory/7", null, {}, unreadable, { server: client.server, id: "7" }]) {
        assert.instanceOf(yield* Effect.flip(client.delete(value as never)), Errors.InvalidArgument)
      }
    }).pipe(Effect.scoped))
})

describe("two servers in memory", () => {
  it.effect("that were given no name refuse each other's jobs", () =>
    Effect.gen(function*() {
      const first = yield* Server.makeMemory()
      const second = yield* Server.makeMemory()
      assert.deepStrictEqual([first.server, second.server], ["memory", "memory-2"])
      const client = yield* Client.make(second.clientOptions)
      yield* client.put("emails", "mine")
      const theirs = yield* Effect.flatMap(Client.make(first.clientOptions), ({ put }) => put("emails", "theirs"))
      assert.instanceOf(yield* Effect.flip(client.delete(theirs)), Errors.InvalidArgument)
    }).pipe(Effect.scoped))

  it.effect("leave their names to those that come after them", () =>
    Effect.gen(function*() {
      const nameOf = Effect.scoped(Effect.map(Server.makeMemory(), ({ server }) => server))
      assert.deepStrictEqual([yield* nameOf, yield* nameOf], ["memory", "memory"])
    }))
})
