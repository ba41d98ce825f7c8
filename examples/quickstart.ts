/**
 * The main job: put jobs, reserve them, work on them, delete them, look at the statistics. It works on the server that
 * BEANSTALKD_URL names, or else on one of its own.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Option } from "effect"
import { Connection } from "effect-beanstalkd"
import { ownServer } from "./support/ownServer.ts"

const TUBE = "quickstart"

const produce = Effect.gen(function*() {
  const connection = yield* Connection.Connection
  for (const [priority, text] of [[100, "sweep the floor"], [10, "water the plants"], [50, "feed the cat"]] as const) {
    const id = yield* connection.put(text, { tube: TUBE, priority, ttr: "1 minute" })
    yield* Console.log(`put      job ${id}: ${text} (priority ${priority})`)
  }
  const id = yield* connection.put("bake a cake", { tube: TUBE, delay: "1 second" })
  yield* Console.log(`put      job ${id}: bake a cake (in a second)`)
})

const work = Effect.fnUntraced(function*(task: string) {
  yield* Effect.sleep("100 millis")
  return `done: ${task}`
})

// Reserves until no job has come for two seconds.
const consume = Effect.gen(function*() {
  const connection = yield* Connection.Connection
  while (true) {
    const job = yield* connection.reserveWithTimeout("2 seconds").pipe(
      Effect.asSome,
      Effect.catchTag("TimedOut", () => Effect.succeedNone)
    )
    if (Option.isNone(job)) return
    yield* Console.log(`reserved job ${job.value.id}: ${yield* work(job.value.text)}`)
    yield* connection.delete(job.value.id)
    yield* Console.log(`deleted  job ${job.value.id}`)
  }
})

const report = Effect.gen(function*() {
  const connection = yield* Connection.Connection
  const server = yield* connection.stats
  const tube = yield* connection.statsTube(TUBE)
  yield* Console.log(
    `beanstalkd ${server.version}: ${tube.totalJobs} jobs went through ${tube.name}, ` +
      `${tube.currentJobsReady} are ready, ${tube.currentJobsReserved} reserved`
  )
})

const program = Effect.gen(function*() {
  yield* produce
  yield* consume
  yield* report
})

const connection = Layer.unwrap(
  Effect.map(ownServer, (url) => Connection.layer({ url, use: TUBE, watch: TUBE }))
)

// What cannot be helped here is told in one line.
const explain = (error: { readonly message: string }) =>
  Effect.andThen(Console.error(error.message), Effect.sync(() => process.exitCode = 1))

program.pipe(
  Effect.provide(connection),
  Effect.catch(explain),
  NodeRuntime.runMain
)
