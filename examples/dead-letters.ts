/**
 * Retries, and what becomes of a job that failed for good: it is moved to a tube of dead letters, its bytes and its
 * priority as they were, where somebody looks at it, repairs it and puts it back.
 */
import { Console, Effect, Schedule, Schema } from "effect"
import { Tube, Worker } from "effect-beanstalkd"
import { run } from "./support/run.ts"

const Payment = Schema.Struct({ account: Schema.String, euros: Schema.Finite })
const Payments = Tube.make("payments", { schema: Payment })
const DeadPayments = Tube.make("payments-dead", { schema: Payment })

class BankIsDown extends Schema.TaggedError<BankIsDown>()("BankIsDown", {}) {}
class NoSuchAccount extends Schema.TaggedError<NoSuchAccount>()("NoSuchAccount", { account: Schema.String }) {}

let visits = 0
let paid = 0

const pay = Effect.fnUntraced(function*({ account, euros }: typeof Payment.Type) {
  if (account === "nobody") return yield* new NoSuchAccount({ account })
  if (visits++ === 0) return yield* new BankIsDown()
  yield* Console.log(`paid ${euros} EUR to ${account}`)
  paid += euros
})

const worker = Worker.run(Payments, pay, {
  // After 1, 2, 4, ... seconds, at most a minute. The delays run in the server: nobody waits for them here.
  retrySchedule: Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")]),
  maxAttempts: 8,
  // Tomorrow there will be no such account either.
  retryIf: (error) => error._tag !== "NoSuchAccount",
  deadLetter: DeadPayments
})

// What an operator might do: put a better payment into the first tube. The dead one is deleted when that has worked.
const repair = Worker.run(DeadPayments, (payment, job) =>
  Effect.gen(function*() {
    yield* Console.log(`a dead letter: ${job.text}`)
    yield* Payments.put({ ...payment, account: "grace" })
  }))

const untilAllIsPaid = Effect.sync(() => paid).pipe(
  Effect.repeat({ until: (euros) => euros === 30, schedule: Schedule.spaced("50 millis") })
)

run(Effect.gen(function*() {
  yield* Payments.put({ account: "ada", euros: 10 })
  yield* Payments.put({ account: "nobody", euros: 20 })
  yield* Effect.raceAllFirst([worker, repair, untilAllIsPaid])
}))
