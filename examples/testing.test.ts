/**
 * How to test what works on jobs: on a server in memory, under a TestClock. A day of delays and retries takes milliseconds.
 */
import { assert, it } from "@effect/vitest"
import { Context, DateTime, Effect, Fiber, Layer, Schedule, Schema } from "effect"
import { Client, Server, Tube, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"

// ---------------------------------------------------------------------------------------------------------------------
// What is to be tested: a mail that cannot be sent is tried again after one hour, two, four, and given up after the
// fourth time. What has been sent is noted in the next tube.
// ---------------------------------------------------------------------------------------------------------------------

const Mails = Tube.make("mails", { schema: Schema.Struct({ to: Schema.String }), ttr: "1 minute" })
const DeadMails = Tube.make("mails-dead", { schema: Schema.Struct({ to: Schema.String }) })
const Sent = Tube.make("mails-sent", { schema: Schema.Struct({ to: Schema.String, at: Schema.DateTimeUtcFromString }) })

class MailError extends Schema.TaggedError<MailError>()("MailError", {}) {}

class Mailer extends Context.Service<Mailer, {
  readonly send: (to: string) => Effect.Effect<void, MailError>
}>()("example/Mailer") {}

const worker = Worker.run(
  Mails,
  Effect.fnUntraced(function*({ to }) {
    yield* (yield* Mailer).send(to)
    yield* Sent.put({ to, at: yield* DateTime.now })
  }),
  { concurrency: 4, retrySchedule: Schedule.exponential("1 hour"), maxAttempts: 4, deadLetter: DeadMails }
)

// ---------------------------------------------------------------------------------------------------------------------
// The tests
// ---------------------------------------------------------------------------------------------------------------------

// A mailer that fails so many times, needs so long, and keeps what it has sent.
const makeMailer = ({ failures = 0, seconds = 0 }) => {
  const sent: Array<string> = []
  let left = failures
  const send = Effect.fnUntraced(function*(to: string) {
    if (left-- > 0) return yield* new MailError()
    yield* Effect.sleep(seconds * 1000)
    sent.push(to)
  })
  return { sent, layer: Layer.succeed(Mailer, { send }) }
}

it.effect("a mail that could not be sent is sent three hours later", () => {
  const mailer = makeMailer({ failures: 2 })
  return Effect.gen(function*() {
    yield* Effect.forkScoped(worker)
    yield* Mails.put({ to: "ada" })
    yield* TestClock.adjust("2 hours")
    assert.deepStrictEqual(mailer.sent, [])
    yield* TestClock.adjust("1 hour")
    assert.deepStrictEqual(mailer.sent, ["ada"])
    const { value } = yield* Sent.peekReady
    assert.strictEqual(DateTime.formatIso(value.at), "1970-01-01T03:00:00.000Z")
  }).pipe(Effect.scoped, Effect.provide([Server.layerMemory(), mailer.layer]))
})

it.effect("a mail that cannot be sent at all is a dead letter in the end, and another one does not wait for it", () => {
  const mailer = makeMailer({ failures: 4 })
  return Effect.gen(function*() {
    const server = yield* Server.Server
    yield* Effect.forkScoped(worker)
    yield* server.awaitReservers("mails") // the worker is there
    yield* Mails.put({ to: "nobody" }, { priority: 7 })
    yield* TestClock.adjust("7 hours")
    const { id, value } = yield* DeadMails.peekReady
    assert.deepStrictEqual(value, { to: "nobody" })
    const beanstalkd = yield* Client.Beanstalkd
    assert.strictEqual((yield* beanstalkd.statsJob(id)).pri, 7)
    yield* Mails.put({ to: "ada" })
    yield* TestClock.adjust(0)
    assert.deepStrictEqual(mailer.sent, ["ada"])
  }).pipe(Effect.scoped, Effect.provide([Server.layerMemory(), mailer.layer]))
})

it.effect("a mail that takes longer than its time to run is sent once", () => {
  const mailer = makeMailer({ seconds: 600 })
  return Effect.gen(function*() {
    yield* Effect.forkScoped(worker)
    yield* Effect.forkScoped(worker) // another one, who would get it
    yield* Mails.put({ to: "ada" })
    yield* TestClock.adjust("1 hour")
    assert.deepStrictEqual(mailer.sent, ["ada"])
  }).pipe(Effect.scoped, Effect.provide([Server.layerMemory(), mailer.layer]))
})

it.effect("a mail that is being sent when the worker is told to end is sent, and no other is begun", () => {
  const mailer = makeMailer({ seconds: 10 })
  return Effect.gen(function*() {
    const working = yield* Effect.forkScoped(worker)
    yield* Mails.put({ to: "ada" })
    yield* TestClock.adjust("1 second")
    const ending = yield* Effect.forkChild(Fiber.interrupt(working))
    yield* TestClock.adjust("1 second")
    yield* Mails.put({ to: "grace" })
    yield* TestClock.adjust("10 seconds")
    yield* Fiber.join(ending)
    assert.deepStrictEqual(mailer.sent, ["ada"])
    assert.strictEqual((yield* Mails.stats).currentJobsReady, 1)
  }).pipe(Effect.scoped, Effect.provide([Server.layerMemory(), mailer.layer]))
})

it.effect("a mail whose connection is lost while it is being sent is sent by the next attempt", () => {
  const mailer = makeMailer({ seconds: 10 })
  return Effect.gen(function*() {
    const server = yield* Server.Server
    yield* Effect.forkScoped(worker)
    const beanstalkd = yield* Client.Beanstalkd
    const id = yield* Mails.put({ to: "ada" })
    yield* TestClock.adjust("5 seconds")
    yield* server.dropConnections
    yield* TestClock.adjust("1 minute")
    // The first attempt was interrupted.
    assert.deepStrictEqual(mailer.sent, ["ada"])
    assert.strictEqual((yield* Effect.flip(beanstalkd.statsJob(id)))._tag, "NotFound") // done and deleted
  }).pipe(Effect.scoped, Effect.provide([Server.layerMemory(), mailer.layer]))
})
