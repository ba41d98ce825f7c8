/**
 * Tubes whose jobs carry an envelope: what a put says, what a reader sees, and what stays the same on the way.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Effect, Result, Schema, Stream } from "effect"
import { type Client, Envelope, Errors, Tube, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { onMemory } from "../support/Fixture.ts"
import { areIn, outcomes } from "../support/Workplace.ts"

const Email = Schema.Struct({ to: Schema.String })

const emails = <C = Client.Beanstalkd>(options: Omit<Tube.Options<typeof Email, C>, "schema"> = {}) =>
  Tube.make("emails", { schema: Email, ...options })

const Emails = emails({ envelope: true })

class Refused extends Data.TaggedError("Refused")<{ readonly message: string }> {}

const ADA = { to: "ada@example.com" }

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Works until the test ends, at once. */
const work = <A, E, R>(tube: Tube.Tube<A>, handler: Worker.Handler<A, E, R>, options?: Worker.Options<A, E, R>) =>
  Effect.forkScoped(Worker.run(tube, handler, { shutdownTimeout: 0, ...options }), { startImmediately: true })

/** What a worker sees of all jobs that are there. */
const seen = Effect.fnUntraced(function*<A>(tube: Tube.Tube<A>) {
  const jobs: Array<{ readonly value: A; readonly head: Envelope.Head | undefined }> = []
  yield* Effect.scoped(work(tube, (value, job) => Effect.sync(() => jobs.push({ value, head: job.envelope }))))
  return jobs
})

const refusal = <E>(result: Result.Result<unknown, E>): string => {
  assert(Result.isFailure(result))
  assert(result.failure instanceof Errors.InvalidArgument, String(result.failure))
  return result.failure.message
}

describe("a put", () => {
  it.effect("says what it was told, and when", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* TestClock.setTime(1_000_000)
      yield* Emails.put(ADA, {
        id: "order-7",
        delay: "10 seconds",
        expiresIn: "1 minute",
        replyTo: "answers",
        correlationId: "c-1",
        maxAttempts: 3,
        by: "checkout"
      })
      const { body } = yield* beanstalkd.peekDelayed("emails")
      const { head, payload } = yield* Envelope.decode(body)
      assert.deepStrictEqual(head, {
        id: "order-7",
        at: 1_000_000,
        due: 1_010_000,
        exp: 1_060_000,
        contentType: "json",
        maxAttempts: 3,
        replyTo: "answers",
        correlationId: "c-1",
        by: "checkout"
      })
      assert.strictEqual(new TextDecoder().decode(payload), `{"to":"ada@example.com"}`)
      assert.deepStrictEqual((yield* Emails.peekDelayed).envelope, head)
    })))

  it.effect("has an id of its own, or that of its value", () =>
    onMemory(Effect.fnUntraced(function*() {
      yield* Emails.putAll([ADA, ADA])
      const ById = emails({ envelope: { id: ({ to }) => to } })
      yield* ById.putAll([ADA, { to: "bob@example.com" }])
      yield* ById.put(ADA, { id: "mine" })
      const ids = (yield* seen(Emails)).map(({ head }) => head!.id)
      assert.match(ids[0]!, /^[0-9a-f-]{36}$/)
      assert.notStrictEqual(ids[0], ids[1])
      assert.deepStrictEqual(ids.slice(2), ["ada@example.com", "bob@example.com", "mine"])
    })))

  it.effect("refuses what makes no sense, and puts nothing", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const wrong: ReadonlyArray<readonly [Tube.PutOptions, string]> = [
        [{ id: "" }, "id must be text, not empty"],
        [{ expiresIn: "-1 second" }, "expiresIn must be"],
        [{ expiresIn: 0 }, "expiresIn must be"],
        [{ expiresIn: "10 seconds", delay: "10 seconds" }, "longer than the delay"],
        [{ replyTo: "-answers" }, "replyTo must be"],
        [{ correlationId: "" }, "correlationId must be text, not empty"],
        [{ correlationId: "c".repeat(5000) }, "at most 4096 bytes"],
        [{ maxAttempts: 0 }, "maxAttempts must be a whole number, at least 1"],
        [{ by: 7 as never }, "by must be text, not empty"]
      ]
      for (const [options, why] of wrong) {
        assert.include(refusal(yield* Effect.result(Emails.put(ADA, options))), why)
      }
      const many = yield* Effect.result(Emails.putAll([ADA], { id: "same" }))
      assert(Result.isFailure(many))
      assert.include(String(many.failure.cause), "many jobs are put")
      const thrower = (): string => {
        throw new Error("none")
      }
      for (const id of [() => "", () => 7 as never, thrower]) {
        assert.include(refusal(yield* Effect.result(emails({ envelope: { id } }).put(ADA))), "of which the id")
      }
      yield* areIn(beanstalkd, {}, "emails")
    })))

  it.effect("into a tube that writes no envelope refuses to be told anything for it", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      for (const envelope of [undefined, false, "accept", { accept: true }] as const) {
        const refused = yield* Effect.result(emails({ envelope }).put(ADA, { id: "x" }))
        assert.include(refusal(refused), "id must be left out, since the tube writes no envelope")
      }
      yield* areIn(beanstalkd, {}, "emails")
    })))

  it.effect("of text or bytes that begin like an envelope is refused without one", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const Texts = Tube.make("texts", { codec: "text" })
      const Bytes = Tube.make("texts", { codec: "bytes" })
      for (const text of ["#job/1 {}\n", "#job/2 anything", "#job/1"]) {
        for (const put of [Texts.put(text), Bytes.put(bytes(text))]) {
          assert.include(refusal(yield* Effect.result(put)), "does not begin with \"#job/1\"")
        }
      }
      yield* areIn(beanstalkd, {}, "texts")
      yield* Texts.put("#job")
      yield* Texts.put("#jobs/1")
      const Enclosed = Tube.make("texts", { codec: "text", envelope: true })
      yield* Enclosed.put("#job/1 {}\n")
      assert.deepStrictEqual((yield* seen(Enclosed)).map(({ value }) => value), ["#job", "#jobs/1", "#job/1 {}\n"])
    })))
})

describe("every codec", () => {
  it.effect("has its payload behind the envelope", () =>
    onMemory(Effect.fnUntraced(function*() {
      const text = Tube.make("text", { codec: "text", envelope: true })
      const raw = Tube.make("bytes", { codec: "bytes", envelope: true })
      const binary = Tube.make("binary", { schema: Email, codec: "binary", envelope: true })
      const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      yield* text.put("häßlich\n")
      yield* raw.put(all)
      yield* binary.put(ADA)
      assert.strictEqual((yield* seen(text))[0]?.value, "häßlich\n")
      assert.deepStrictEqual([...(yield* seen(raw))[0]!.value], [...all])
      const [job] = yield* seen(binary)
      assert.deepStrictEqual([job?.value, job?.head?.contentType], [ADA, "binary"])
    })))

  it.effect("refuses the payload of another, and what is no payload at all", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* Emails.put(ADA)
      const text = Tube.make("emails", { codec: "text", envelope: true })
      const job = yield* beanstalkd.peekReady("emails")
      const refused = yield* Effect.result(text.decode(job))
      assert(Result.isFailure(refused))
      assert.include(refused.failure.message, "its payload is of the codec json, and the tube has the codec text")
      assert.include(refusal(yield* Effect.result(text.put(7 as never))), "body must be")
    })))
})

describe("the id", () => {
  it.effect("stays the same through retries, snoozes and the dead-letter tube", () =>
    onMemory(Effect.fnUntraced(function*() {
      const ids: Array<string | undefined> = []
      const dues: Array<number | undefined> = []
      yield* work(Emails, (_, job) =>
        Effect.gen(function*() {
          ids.push(job.envelope?.id)
          dues.push(job.envelope?.due)
          if (ids.length === 1) return yield* Worker.snooze("5 seconds")
          return yield* new Refused({ message: "no such user" })
        }), { maxAttempts: 2, deadLetter: emailsDead })
      yield* Emails.put(ADA, { id: "order-7", correlationId: "c-1" })
      yield* TestClock.adjust("1 minute")
      const [dead] = yield* seen(emailsDead)
      assert.deepStrictEqual(ids, ["order-7", "order-7", "order-7"])
      assert.deepStrictEqual(dues, [undefined, 5000, 5000])
      assert.deepStrictEqual(dead?.value, ADA)
      const { deadLetter, ...head } = dead!.head!
      assert.deepInclude(head, { id: "order-7", at: 0, correlationId: "c-1" })
      const { at, id, server, ...reason } = deadLetter!
      assert.deepStrictEqual(reason, { tube: "emails", attempts: 2, error: "Refused: no such user" })
      assert.isAtLeast(at, 5000)
      assert.strictEqual(typeof id, "number")
      assert.include(server, "memory")
    })))

  const emailsDead = Tube.make("emails.dead", { schema: Email, envelope: true })

  it.effect("is given to a dead letter that came without an envelope, and the reason with it", () =>
    onMemory(Effect.fnUntraced(function*() {
      yield* emails().put(ADA)
      yield* work(Emails, () => Effect.die(new Error("x".repeat(5000))), { maxAttempts: 1, deadLetter: emailsDead })
      const [dead] = yield* seen(emailsDead)
      assert.deepStrictEqual(dead?.value, ADA)
      assert.strictEqual(dead?.head?.deadLetter?.error, `Error: ${"x".repeat(493)}`)
      assert.match(dead!.head!.id, /^[0-9a-f-]{36}$/)
    })))

  it.effect("of a dead letter stays, and its error is as long as there is room for", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { maxJobSize } = yield* beanstalkd.stats
      yield* Emails.put({ to: "" }, { id: "full" })
      const frame = (yield* beanstalkd.peekReady("emails")).body.length
      yield* Emails.put({ to: "t".repeat(maxJobSize - frame) }, { id: "full" })
      for (const length of [3000, 3600, 3900, 4000]) {
        yield* Emails.put(ADA, { id: "i".repeat(length), expiresIn: "1 day" })
      }
      yield* work(Emails, () => Effect.fail(new Refused({ message: "x".repeat(500) })), {
        maxAttempts: 1,
        deadLetter: emailsDead
      })
      const dead = yield* seen(emailsDead)
      assert.deepStrictEqual(
        dead.map(({ head }) => [head?.id.length, head?.deadLetter?.error.length, head?.exp]),
        [[4, 500, undefined], [4, undefined, undefined], [3000, 500, undefined], [3600, 100, undefined], [
          3900,
          0,
          undefined
        ], [4000, undefined, undefined]]
      )
    })))

  it.effect("of a dead letter that has waited for longer than its job was needed is there", () =>
    onMemory(Effect.fnUntraced(function*() {
      yield* Emails.put(ADA, { expiresIn: "10 seconds", delay: "1 second" })
      yield* TestClock.adjust("1 second")
      yield* Effect.scoped(work(Emails, () => Effect.fail("no"), { maxAttempts: 1, deadLetter: emailsDead }))
      yield* TestClock.adjust("1 hour")
      const [dead] = yield* seen(emailsDead)
      assert.deepStrictEqual(dead?.value, ADA)
      assert.notProperty(dead?.head, "exp")
      assert.notProperty(dead?.head, "due")
    })))

  it.effect("and the rest of an envelope reach streams, and single jobs", () =>
    onMemory(Effect.fnUntraced(function*() {
      yield* Emails.putAll([ADA, ADA], { by: "checkout" })
      const jobs = yield* Emails.stream().pipe(
        Stream.mapEffect((job) => Effect.as(job.delete, [job.value, job.envelope?.by])),
        Stream.take(2),
        Stream.runCollect
      )
      assert.deepStrictEqual(jobs, [[ADA, "checkout"], [ADA, "checkout"]])
      yield* Emails.put(ADA, { by: "api" }).pipe(Effect.provideService(Envelope.Sender, "web"))
      yield* Emails.put(ADA).pipe(Effect.provideService(Envelope.Sender, "web"))
      assert.deepStrictEqual((yield* seen(Emails)).map(({ head }) => head?.by), ["api", "web"])
    })))
})

describe("a dead-letter tube", () => {
  it.effect("has to read envelopes if the worker's tube does", () =>
    onMemory(Effect.fnUntraced(function*() {
      const refused = yield* Effect.result(
        Worker.run(Emails, () => Effect.void, { deadLetter: Tube.make("dead", { schema: Email }) })
      )
      assert(Result.isFailure(refused))
      assert.include(refused.failure.message, "a tube that reads envelopes")
    })))

  it.effect("with wrong options is refused", () =>
    onMemory(Effect.fnUntraced(function*() {
      const deadLetter = Tube.make("dead", { schema: Email, envelope: "bad" as never })
      for (const tube of [Emails, emails()]) {
        const refused = yield* Effect.result(Worker.run(tube, () => Effect.void, { deadLetter }))
        assert(Result.isFailure(refused))
        assert.include(refused.failure.message, "envelope must be true, false")
      }
    })))
})

describe("a job that has expired", () => {
  it.effect("runs no handler: it is deleted, and counted", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* Emails.put(ADA, { expiresIn: "10 seconds" })
      yield* Emails.put({ to: "bob" }, { expiresIn: "1 hour" })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual((yield* seen(Emails)).map(({ value }) => value), [{ to: "bob" }])
      yield* areIn(beanstalkd, {}, "emails")
      const counted = yield* outcomes(beanstalkd.server, "emails")
      assert.deepStrictEqual(counted, { reserved: 2, succeeded: 1, expired: 1 })
    })))

  it.effect("is given up if the worker says so, and no attempt has failed", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const given: Array<string> = []
      yield* Emails.put(ADA, { expiresIn: "10 seconds" })
      yield* TestClock.adjust("1 minute")
      yield* work(Emails, () => Effect.void, {
        onExpired: "giveUp",
        onFailure: () => Effect.sync(() => given.push("failure")),
        onGiveUp: (cause) => Effect.sync(() => given.push(String(Cause.squash(cause))))
      })
      assert.deepStrictEqual(given, ["Error: it has expired at 1970-01-01T00:00:10.000Z"])
      yield* areIn(beanstalkd, { buried: 1 }, "emails")
      const counted = yield* outcomes(beanstalkd.server, "emails")
      assert.deepStrictEqual(counted, { reserved: 1, expired: 1, buried: 1 })
    })))

  it.effect("is told by a retry too", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      let runs = 0
      yield* Emails.put(ADA, { expiresIn: "20 seconds" })
      yield* work(Emails, () => Effect.andThen(Effect.sync(() => runs++), Worker.snooze("10 seconds")))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(runs, 2)
      yield* areIn(beanstalkd, {}, "emails")
    })))
})

describe("the attempts of a job", () => {
  it.effect("are what it says itself", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const runs = new Map<string, number>()
      yield* Emails.put({ to: "once" }, { maxAttempts: 1 })
      yield* Emails.put({ to: "four" }, { maxAttempts: 4 })
      yield* Emails.put({ to: "two" })
      yield* work(Emails, ({ to }) => {
        runs.set(to, (runs.get(to) ?? 0) + 1)
        return Effect.fail("no")
      }, { maxAttempts: 2 })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(Object.fromEntries(runs), { once: 1, four: 4, two: 2 })
      yield* areIn(beanstalkd, { buried: 3 }, "emails")
    })))
})

describe("the attempts of a job that does not decode", () => {
  it.effect("are what it says itself, too", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* beanstalkd.put("emails", yield* Envelope.encode("{}", { maxAttempts: 1 }))
      yield* work(Emails, () => Effect.void, { maxAttempts: 3, onUndecodable: "retry" })
      yield* areIn(beanstalkd, { buried: 1 }, "emails")
      assert.strictEqual((yield* beanstalkd.statsJob(1 as never)).reserves, 1)
    })))
})

describe("large payloads", () => {
  const Bulky = emails({ envelope: { compress: true } })

  it.effect("are compressed, beyond what the server takes", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const to = "a long address; ".repeat(10_000)
      const refused = yield* Effect.result(Emails.put({ to }))
      assert(Result.isFailure(refused))
      assert.strictEqual(refused.failure._tag, "JobTooBig")
      yield* Bulky.put({ to })
      assert.isBelow((yield* beanstalkd.peekReady("emails")).body.length, 10_000)
      // Readers need no option for it.
      const [job] = yield* seen(Emails)
      assert.strictEqual(job?.value.to, to)
      assert.strictEqual(job?.head?.compression, "gzip")
    })))

  it.live("are compressed off the event loop when they are very large", () =>
    onMemory(Effect.fnUntraced(function*() {
      const to = "a long address; ".repeat(100_000)
      yield* Bulky.put({ to })
      const job = yield* Emails.peekReady
      assert.strictEqual(job.value.to, to)
    })))

  it.effect("stay as they are when they are small, or do not shrink", () =>
    onMemory(Effect.fnUntraced(function*() {
      const Always = Tube.make("bytes", { codec: "bytes", envelope: { compress: { over: 0, algorithm: "zstd" } } })
      const noise = crypto.getRandomValues(new Uint8Array(2000))
      yield* Always.put(noise)
      yield* Always.put(new Uint8Array(2000))
      const [first, second] = yield* seen(Always)
      assert.deepStrictEqual([first?.head?.compression, second?.head?.compression], [undefined, "zstd"])
      assert.deepStrictEqual([...first!.value], [...noise])
      assert.strictEqual(second?.value.length, 2000)
      yield* Bulky.put(ADA)
      assert.strictEqual((yield* seen(Bulky))[0]?.head?.compression, undefined)
    })))

  it.effect("keep their compression when they are moved", () =>
    onMemory(Effect.fnUntraced(function*() {
      const dead = Tube.make("dead", { schema: Email, envelope: true })
      const to = "x".repeat(100_000)
      yield* Bulky.put({ to })
      yield* work(Bulky, () => Effect.fail("no"), { maxAttempts: 1, deadLetter: dead })
      assert.strictEqual((yield* seen(dead))[0]?.value.to, to)
    })))
})

describe("the version of a Schema", () => {
  const Old = Tube.make("users", { schema: Schema.Struct({ name: Schema.String }), envelope: true })
  const New = Tube.make("users", {
    schema: Schema.Struct({ first: Schema.String, last: Schema.String, age: Schema.Finite }),
    envelope: {
      version: 3,
      upcast: {
        1: ({ name }: { readonly name: string }) => ({ first: name.split(" ")[0], last: name.split(" ")[1] }),
        2: (old: object) => ({ ...old, age: 0 })
      }
    }
  })

  it.effect("is that of the payload, which is brought up step by step", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* Old.put({ name: "Ada Lovelace" })
      yield* New.put({ first: "Grace", last: "Hopper", age: 85 })
      yield* beanstalkd.put("users", yield* Envelope.encode(`{"first":"Alan","last":"Turing"}`, { version: 2 }))
      yield* beanstalkd.put("users", `{"name":"Edsger Dijkstra"}`)
      assert.deepStrictEqual((yield* seen(New)).map(({ value }) => value), [
        { first: "Ada", last: "Lovelace", age: 0 },
        { first: "Grace", last: "Hopper", age: 85 },
        { first: "Alan", last: "Turing", age: 0 },
        { first: "Edsger", last: "Dijkstra", age: 0 }
      ])
    })))

  it.effect("is refused when it is of the future, and when its function throws", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* New.put({ first: "Grace", last: "Hopper", age: 85 })
      const job = yield* beanstalkd.peekReady("users")
      const future = yield* Effect.result(Old.decode(job))
      assert(Result.isFailure(future))
      assert.include(future.failure.message, "its payload is of version 3, and the tube reads versions up to 1")
      const broken = yield* Effect.result(New.decode({ id: job.id, body: bytes(`{"name":7}`) }))
      assert(Result.isFailure(broken))
      assert.include(broken.failure.message, "split")
    })))

  it.effect("brings up text and bytes too", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const texts = Tube.make("texts", {
        codec: "text",
        envelope: { version: 2, upcast: { 1: (old: string) => `new ${old}` } }
      })
      const wrong = Tube.make("texts", { codec: "text", envelope: { version: 2, upcast: { 1: () => 7 } } })
      const { id } = yield* beanstalkd.put("texts", "old")
      assert.strictEqual(yield* texts.decode({ id, body: bytes("old") }), "new old")
      const refused = yield* Effect.result(wrong.decode({ id, body: bytes("old") }))
      assert(Result.isFailure(refused))
      assert.include(refused.failure.message, "its upcast did not give text")
    })))
})

describe("a change while it rolls out", () => {
  const Bare = emails()
  const Accepting = emails({ envelope: "accept" })

  it.effect("works with consumers first: they read what old and new producers put, and write what old consumers read", () =>
    onMemory(Effect.fnUntraced(function*() {
      yield* Bare.put(ADA)
      yield* Emails.put({ to: "bob" })
      yield* Accepting.put({ to: "eve" })
      const jobs = yield* seen(Accepting)
      assert.deepStrictEqual(jobs.map(({ value }) => value.to), ["ada@example.com", "bob", "eve"])
      assert.deepStrictEqual(jobs.map(({ head }) => head === undefined), [true, false, true])
      yield* Accepting.put(ADA)
      assert.deepStrictEqual((yield* seen(Bare)).map(({ value }) => value), [ADA])
    })))

  it.effect("with producers first is refused by old consumers, with the reason, and nothing is lost", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const reasons: Array<string> = []
      yield* Emails.put(ADA)
      yield* Effect.scoped(
        work(Bare, () => Effect.void, {
          maxAttempts: 1,
          onGiveUp: (cause) => Effect.sync(() => reasons.push(String(Cause.squash(cause))))
        })
      )
      assert.include(reasons[0], "begins as an envelope does, which the tube does not read (its option envelope)")
      yield* areIn(beanstalkd, { buried: 1 }, "emails")
      yield* Accepting.kick()
      assert.deepStrictEqual((yield* seen(Accepting)).map(({ value }) => value), [ADA])
    })))

  it.effect("ends where bare bodies are refused", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* Bare.put(ADA)
      const refused = yield* Effect.result(emails({ envelope: { require: true } }).peekReady)
      assert(Result.isFailure(refused))
      assert.include(String(refused.failure), "it has no envelope")
      yield* areIn(beanstalkd, { ready: 1 }, "emails")
    })))

  it.effect("of text and bytes is refused rather than read, head and all", () =>
    onMemory(Effect.fnUntraced(function*() {
      yield* Tube.make("texts", { codec: "text", envelope: true }).put("hello")
      for (const codec of ["text", "bytes"] as const) {
        const refused = yield* Effect.result(Tube.make("texts", { codec } as { codec: "text" }).peekReady)
        assert(Result.isFailure(refused))
        assert.include(String(refused.failure), "which the tube does not read")
      }
    })))
})

describe("a put of a program that is not careful", () => {
  it.effect("writes an envelope that can be read", () =>
    onMemory(Effect.fnUntraced(function*() {
      for (const sender of ["", 7 as never]) yield* Emails.put(ADA).pipe(Effect.provideService(Envelope.Sender, sender))
      for (const expiresIn of [Number.MAX_SAFE_INTEGER, 1e300, Infinity]) yield* Emails.put(ADA, { expiresIn })
      yield* emails({ envelope: "cloudevents" }).put(ADA, { expiresIn: 1e300 })
      const jobs = yield* seen(emails({ envelope: "cloudevents" }))
      assert.deepStrictEqual(
        jobs.map(({ head }) => [head?.by, head?.exp]),
        Array.from({ length: 6 }, () => [undefined, undefined])
      )
    })))

  it.effect("leaves out a trace state that is longer than others have to pass on", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      const Next = Tube.make("next", { schema: Email, envelope: true })
      const body = yield* Envelope.encode(JSON.stringify(ADA), { traceparent, tracestate: `v=${"x".repeat(3900)}` })
      yield* beanstalkd.put("emails", body)
      yield* Effect.scoped(work(Emails, (value) => Next.put(value)))
      const { envelope } = yield* Next.peekReady
      assert.include(envelope?.traceparent, "0af7651916cd43dd8448eb211c80319c")
      assert.strictEqual(envelope?.tracestate, undefined)
    })))
})

describe("a reason", () => {
  it.effect("is told whatever the handler failed with", () =>
    onMemory(Effect.fnUntraced(function*() {
      class HttpError extends Data.TaggedError("HttpError")<{ readonly status: number }> {}
      const failures: ReadonlyArray<readonly [unknown, string]> = [
        ["no", "no"],
        [new HttpError({ status: 500 }), "HttpError"],
        [{ _tag: "Plain", why: "no" }, "why"],
        [Object.create(null), ""],
        [new Proxy({}, { get: () => assert.fail("read"), getPrototypeOf: () => assert.fail("read") }), "cannot be read"]
      ]
      for (const [failure, expected] of failures) {
        const dead = Tube.make("dead", { schema: Email, envelope: true })
        yield* Emails.put(ADA)
        yield* Effect.scoped(work(Emails, () => Effect.fail(failure), { maxAttempts: 1, deadLetter: dead }))
        const [job] = yield* seen(dead)
        assert.include(job?.head?.deadLetter?.error, expected)
      }
    })))
})

describe("an upcast", () => {
  it.effect("costs nothing for versions that have none", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const version = 5_000_000_000
      const tube = emails({
        envelope: { version, upcast: { [version - 1]: (old: object) => ({ ...old, to: "new" }) } }
      })
      const { id } = yield* beanstalkd.put("emails", "{}")
      assert.deepStrictEqual(yield* tube.decode({ id, body: bytes(`{"to":"old"}`) }), { to: "new" })
    })))

  it.effect("has to give the value itself", () =>
    onMemory(Effect.fnUntraced(function*() {
      for (const upcast of [() => Promise.resolve({}), () => Effect.succeed({})]) {
        const tube = Tube.make("emails", {
          schema: Schema.Struct({ to: Schema.optionalKey(Schema.String) }),
          envelope: { version: 2, upcast: { 1: upcast } }
        })
        const refused = yield* Effect.result(tube.decode({ id: 1 as never, body: bytes("{}") }))
        assert(Result.isFailure(refused))
        assert.include(refused.failure.message, "its upcast gave an Effect or a Promise")
      }
    })))
})

describe("a tube", () => {
  it.effect("with an option for its envelope that makes no sense refuses everything with the reason", () =>
    onMemory(Effect.fnUntraced(function*() {
      const wrong: ReadonlyArray<readonly [unknown, string]> = [
        ["yes", "envelope must be true, false, \"accept\", \"cloudevents\", or an object"],
        [7, "envelope must be"],
        [null, "envelope must be"],
        [{ format: "xml" }, "envelope.format must be one of \"line\", \"cloudevents\""],
        [{ accept: 1 }, "envelope.accept must be true or false"],
        [{ require: "yes" }, "envelope.require must be true or false"],
        [{ accept: true, require: true }, "envelope.require must be left out"],
        [{ accept: true, format: "line" }, "envelope.format must be left out"],
        [{ trace: "child" }, "envelope.trace must be one of"],
        [{ compress: 7 }, "envelope.compress must be"],
        [{ compress: { over: -1 } }, "envelope.compress.over must be"],
        [{ compress: { algorithm: "lzma" } }, "envelope.compress.algorithm must be one of"],
        [{ format: "cloudevents", compress: true }, "envelope.compress must be left out"],
        [{ version: 0 }, "envelope.version must be"],
        [{ upcast: { 1: () => 1 } }, "envelope.upcast must be"],
        [{ version: 3, upcast: { 3: () => 1 } }, "envelope.upcast must be"],
        [{ version: 3, upcast: { one: () => 1 } }, "envelope.upcast must be"],
        [{ version: 3, upcast: { 1: 1 } }, "envelope.upcast must be"],
        [{ id: "x" }, "envelope.id must be"]
      ]
      for (const [envelope, why] of wrong) {
        assert.include(refusal(yield* Effect.result(emails({ envelope: envelope as never }).put(ADA))), why)
      }
    })))
})
