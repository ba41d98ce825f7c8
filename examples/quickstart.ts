/**
 * The main job: put jobs, reserve them, work on them, delete them, look at the statistics. It works on the server that
 * BEANSTALKD_URL names, or else on one inside this process.
 */
import { Console, Effect } from "effect"
import { Client } from "effect-beanstalkd"
import { run } from "./support/run.ts"

const TUBE = "quickstart"

const produce = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  for (const [priority, text] of [[100, "sweep the floor"], [10, "water the plants"], [50, "feed the cat"]] as const) {
    const id = yield* beanstalkd.put(TUBE, text, { priority, ttr: "1 minute" })
    yield* Console.log(`put      job ${id}: ${text} (priority ${priority})`)
  }
  const id = yield* beanstalkd.put(TUBE, "bake a cake", { delay: "1 second" })
  yield* Console.log(`put      job ${id}: bake a cake (in a second)`)
})

const work = Effect.fnUntraced(function*(task: string) {
  yield* Effect.sleep("100 millis")
  return `done: ${task}`
})

// The job belongs to the Scope: if the work fails or is interrupted, it is released.
const handleOne = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  const job = yield* beanstalkd.reserve(TUBE, { timeout: "2 seconds" })
  yield* Console.log(`reserved job ${job.id}: ${yield* work(job.text)}`)
  yield* job.delete
  yield* Console.log(`deleted  job ${job.id}`)
}).pipe(Effect.scoped)

// One after the other, until none has come for two seconds.
const consume = Effect.forever(handleOne).pipe(
  Effect.catchTag("TimedOut", () => Effect.void)
)

const report = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  const server = yield* beanstalkd.stats
  const tube = yield* beanstalkd.statsTube(TUBE)
  yield* Console.log(
    `beanstalkd ${server.version}: ${tube.totalJobs} jobs went through ${tube.name}, ` +
      `${tube.currentJobsReady} are ready, ${tube.currentJobsReserved} reserved`
  )
})

run(Effect.gen(function*() {
  yield* produce
  yield* consume
  yield* report
}))
