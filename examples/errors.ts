/**
 * What each command can fail with is in its type, and each outcome can be acted upon by its tag.
 */
import { Console, Effect, Schedule } from "effect"
import { Client, Errors } from "effect-beanstalkd"
import { run } from "./support/run.ts"

// put: InvalidArgument | JobTooBig | JobBuried | Draining | OutOfMemory | BeanstalkdError
const submit = Effect.fnUntraced(function*(body: string) {
  const beanstalkd = yield* Client.Beanstalkd
  return yield* beanstalkd.put("errors", body, { ttr: "1 minute" }).pipe(
    // Issued again only if the first attempt cannot have had an effect.
    Effect.retry({
      while: (error) => error._tag === "BeanstalkdError" && !error.sent && error.isRetryable,
      schedule: Schedule.exponential("100 millis"),
      times: 5
    }),
    Effect.asSome,
    Effect.catchTags({
      JobTooBig: (error) => Effect.andThen(Console.log(`refused: ${error.message}`), Effect.succeedNone),
      Draining: () => Effect.andThen(Console.log("the server is going down"), Effect.succeedNone)
    })
  )
})

// A ttr of 60 is 60 milliseconds, and refused before a byte is sent.
const wrong = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  yield* beanstalkd.put("errors", "x", { ttr: 60 })
}).pipe(
  Effect.catchTag("InvalidArgument", (error) => Console.log(`invalid: ${error.message}`))
)

// Deleting what is gone already is fine here.
const remove = Effect.fnUntraced(function*(id: Parameters<Client.Service["delete"]>[0]) {
  const beanstalkd = yield* Client.Beanstalkd
  yield* beanstalkd.delete(id).pipe(
    Effect.catchTag("NotFound", (error) => Console.log(`gone: ${error.message}`))
  )
})

// The reasons of a BeanstalkdError are tagged as well.
const unreachable = Effect.scoped(Client.make({ port: 1 })).pipe(
  Effect.asVoid,
  Effect.catchIf(
    (error) => error instanceof Errors.BeanstalkdError && error.reason._tag === "OpenError",
    (error) => Console.log(`unreachable: ${error.command}, sent: ${error.sent}, retryable: ${error.isRetryable}`)
  )
)

run(Effect.gen(function*() {
  const id = yield* submit("a job")
  yield* submit("x".repeat(100_000))
  yield* wrong
  if (id._tag === "Some") {
    yield* remove(id.value)
    yield* remove(id.value)
  }
  yield* unreachable
}))
