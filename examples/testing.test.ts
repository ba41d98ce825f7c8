/**
 * How to test what works on jobs: on a server in memory, under a TestClock. A day of delays and retries takes milliseconds.
 */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schema } from "effect"
import { Client, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"

class MailError extends Schema.TaggedError<MailError>()("MailError", {}) {}

class Mailer extends Context.Service<Mailer, {
  readonly send: (text: string) => Effect.Effect<void, MailError>
}>()("example/Mailer") {}

// What is to be tested: a mail that cannot be sent is tried again in an hour, and given up after the third time.
const handleOne = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  const mailer = yield* Mailer
  const job = yield* beanstalkd.reserve("mails")
  const attempt = yield* job.attempt
  yield* Effect.matchEffect(mailer.send(job.text), {
    onSuccess: () => job.delete,
    onFailure: () => attempt < 3 ? job.release({ delay: "1 hour" }) : job.bury()
  })
}).pipe(Effect.scoped)

const worker = Effect.forever(handleOne)

// A mailer that fails so many times, and keeps what it has sent.
const makeMailer = (failures: number) => {
  const sent: Array<string> = []
  let left = failures
  const send = (text: string) =>
    Effect.suspend(() => {
      if (left-- > 0) return Effect.fail(new MailError())
      sent.push(text)
      return Effect.void
    })
  return { sent, layer: Layer.succeed(Mailer, { send }) }
}

it.effect("a mail that could not be sent is sent two hours later", () => {
  const mailer = makeMailer(2)
  return Effect.gen(function*() {
    const beanstalkd = yield* Client.Beanstalkd
    const server = yield* Server.Server
    const working = yield* Effect.forkChild(worker)
    yield* server.awaitWaiting("mails") // the worker is there
    yield* beanstalkd.put("mails", "hello")
    yield* server.awaitWaiting("mails") // the worker has tried, and waits for the next job
    yield* TestClock.adjust("1 hour")
    assert.deepStrictEqual(mailer.sent, [])
    yield* TestClock.adjust("1 hour")
    assert.deepStrictEqual(mailer.sent, ["hello"])
    assert.strictEqual((yield* beanstalkd.stats).currentJobsDelayed, 0)
    yield* Fiber.interrupt(working)
  }).pipe(Effect.provide([Server.layerMemory, mailer.layer]))
})

it.effect("a mail that cannot be sent at all is buried in the end", () => {
  const mailer = makeMailer(Infinity)
  return Effect.gen(function*() {
    const beanstalkd = yield* Client.Beanstalkd
    const id = yield* beanstalkd.put("mails", "hello", { delay: "24 hours" })
    const working = yield* Effect.forkChild(worker)
    yield* TestClock.adjust("26 hours")
    const { buries, releases, state } = yield* beanstalkd.statsJob(id)
    assert.deepStrictEqual({ state, releases, buries }, { state: "buried", releases: 2, buries: 1 })
    yield* Fiber.interrupt(working)
  }).pipe(Effect.provide([Server.layerMemory, mailer.layer]))
})

it.effect("a mail is not lost when the connection is", () => {
  const mailer = makeMailer(0)
  return Effect.gen(function*() {
    const beanstalkd = yield* Client.Beanstalkd
    const server = yield* Server.Server
    yield* beanstalkd.put("mails", "hello")
    const job = yield* beanstalkd.reserve("mails")
    yield* server.dropConnections
    assert.strictEqual((yield* Effect.flip(job.delete))._tag, "BeanstalkdError")
    const working = yield* Effect.forkChild(worker)
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(mailer.sent, ["hello"])
    yield* Fiber.interrupt(working)
  }).pipe(Effect.scoped, Effect.provide([Server.layerMemory, mailer.layer]))
})
