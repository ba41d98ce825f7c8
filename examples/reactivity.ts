/**
 * A view that follows the work: a query runs again when a job of the worker has changed what it reads. `Reactivity` knows
 * nothing but keys: the handler names those that it has written, the query those that it reads. It works inside one process.
 */
import { Console, Effect, Schema, Stream } from "effect"
import { Tube, Worker } from "effect-beanstalkd"
import { Reactivity } from "effect/reactivity"
import { run } from "./support/run.ts"

const Payment = Schema.Struct({ account: Schema.String, euros: Schema.Int })

export const Payments = Tube.make("payments", { schema: Payment })

// A table, in a real program.
export const balances = new Map<string, number>()

export class Refused extends Schema.TaggedError<Refused>()("Refused", { account: Schema.String }) {}

const book = Effect.fnUntraced(function*({ account, euros }: typeof Payment.Type) {
  if (euros <= 0) return yield* new Refused({ account })
  balances.set(account, (balances.get(account) ?? 0) + euros)
})

// A record stands for a row and for its table: queries of `balances` run again, and those of this account. A handler that
// fails invalidates nothing.
export const worker = Worker.run(
  Payments,
  (payment) => Reactivity.mutation(book(payment), { balances: [payment.account] }),
  { maxAttempts: 1 }
)

/** The balance of an account, now and each time that a payment to it was booked. Its key is that of the row alone. */
export const balanceOf = (account: string) =>
  Reactivity.stream(Effect.sync(() => balances.get(account) ?? 0), [`balances:${account}`])

/** The sum of all balances, now and each time that any payment was booked. */
export const total = Reactivity.stream(
  Effect.sync(() => [...balances.values()].reduce((sum, euros) => sum + euros, 0)),
  ["balances"]
)

const demo = Effect.gen(function*() {
  yield* Payments.put({ account: "grace", euros: 50 })
  const seen = balanceOf("ada").pipe(
    Stream.tap((euros) => Console.log(`ada has ${euros} EUR`)),
    // The next payment, once the one before it is seen.
    Stream.tap((euros) => Payments.put({ account: "ada", euros: euros + 10 })),
    Stream.takeUntil((euros) => euros >= 30),
    Stream.runDrain
  )
  yield* Effect.raceFirst(worker, seen)
}).pipe(Effect.provide(Reactivity.layer))

if (import.meta.main) run(demo)
