/**
 * The type of each command lists exactly the errors that it can fail with. Outcomes are caught by their tags, the reasons
 * of a `BeanstalkdError` by theirs.
 */
import { Console, Effect, Schedule } from "effect"
import { Client } from "effect-beanstalkd"
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

// A job that is gone already is fine here.
const remove = Effect.fnUntraced(function*(id: Parameters<Client.Service["delete"]>[0]) {
  const beanstalkd = yield* Client.Beanstalkd
  yield* beanstalkd.delete(id).pipe(
    Effect.catchTag("NotFound", (error) => Console.log(`gone: ${error.message}`))
  )
})

// No server listens there. The handler gets the reason and the whole error.
const unreachable = Effect.scoped(Client.make({ port: 1 })).pipe(
  Effect.asVoid,
  Effect.catchReason(
    "BeanstalkdError",
    "OpenError",
    (reason, error) =>
      Console.log(`unreachable: ${reason.message}, sent: ${error.sent}, retryable: ${error.isRetryable}`)
  )
)

// Wrong options are a reason of their own. `unwrapReason` makes errors of the reasons.
const misconfigured = Effect.scoped(Client.make({ port: 0 })).pipe(
  Effect.asVoid,
  Effect.unwrapReason("BeanstalkdError"),
  Effect.catchTag("InvalidOptions", (error) => Console.log(`misconfigured: ${error.message}`))
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
  yield* misconfigured
}))
