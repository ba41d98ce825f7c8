/**
 * Orders of several customers, handled by a worker, on several servers. `one-server.ts` is this program on one.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Option, Schedule, Schema } from "effect"
import { Client, Fleet, Tube, Worker } from "effect-beanstalkd"

// The servers in BEANSTALKD_URL, beanstalk://a:11300,b:11300, or else three in memory.
const Queue = Layer.unwrap(Effect.map(
  Config.option(Config.String("BEANSTALKD_URL")),
  Option.match({
    onNone: () => Fleet.layerMemory(3),
    onSome: (url) => Fleet.layerUrl(url)
  })
))

const Orders = Tube.make("orders", {
  schema: Schema.Struct({ customer: Schema.String, item: Schema.String }),
  // The orders of a customer go to one server, in order. Where there is only one, the key changes nothing.
  key: ({ customer }) => customer
})

const produce = Effect.forEach(
  ["ada", "edsger", "grace", "tony"],
  (customer) => Orders.putAll(["tent", "rope", "lamp"].map((item) => ({ customer, item })))
)

const worker = Worker.run(
  Orders,
  ({ customer, item }, job) => Console.log(`${String(job.ref)}: ${item} for ${customer}`),
  { concurrency: 4 }
)

const untilAllIsDone = Orders.stats.pipe(
  Effect.repeat({
    until: (tube) => tube.currentJobsReady + tube.currentJobsReserved + tube.currentJobsDelayed === 0,
    schedule: Schedule.spaced("50 millis")
  })
)

const program = Effect.gen(function*() {
  yield* produce
  const { totalJobs } = yield* Effect.raceFirst(worker, untilAllIsDone)
  const { server } = yield* Client.Beanstalkd
  yield* Console.log(`${totalJobs} orders, by way of ${server}`)
})

program.pipe(Effect.provide(Queue), NodeRuntime.runMain)
