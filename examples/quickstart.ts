/**
 * The main job: a tube of tasks, a producer that puts some, a worker that reserves them, works on them and deletes them.
 * It works on the server that BEANSTALKD_URL names, or else on one inside this process.
 */
import { Console, Effect, Schedule, Schema } from "effect"
import { Client, Tube, Worker } from "effect-beanstalkd"
import { run } from "./support/run.ts"

// Producers and workers share this, and cannot disagree.
const Tasks = Tube.make("quickstart", {
  schema: Schema.Struct({ what: Schema.String, minutes: Schema.Int }),
  ttr: "1 minute"
})

const produce = Effect.gen(function*() {
  const tasks = [["sweep the floor", 20, 100], ["water the plants", 5, 10], ["feed the cat", 1, 50]] as const
  for (const [what, minutes, priority] of tasks) {
    const { id } = yield* Tasks.put({ what, minutes }, { priority })
    yield* Console.log(`put      job ${id}: ${what} (priority ${priority})`)
  }
  const { id } = yield* Tasks.put({ what: "bake a cake", minutes: 60 }, { delay: "1 second" })
  yield* Console.log(`put      job ${id}: bake a cake (in a second)`)
})

// One at a time, the most urgent first. What succeeds is deleted, what fails is tried again later.
const worker = Worker.run(Tasks, ({ minutes, what }, job) =>
  Effect.gen(function*() {
    yield* Console.log(`reserved job ${job.id}: ${what}`)
    yield* Effect.sleep(minutes * 10)
    yield* Console.log(`done     job ${job.id}: it took ${minutes} minutes`)
  }))

// A worker goes on until it is interrupted: here, when there is nothing left to do.
const untilAllIsDone = Tasks.stats.pipe(
  Effect.repeat({
    until: (tube) => tube.currentJobsReady + tube.currentJobsReserved + tube.currentJobsDelayed === 0,
    schedule: Schedule.spaced("50 millis")
  })
)

run(Effect.gen(function*() {
  yield* produce
  const tube = yield* Effect.raceFirst(worker, untilAllIsDone)
  const { version } = yield* (yield* Client.Beanstalkd).stats
  yield* Console.log(`beanstalkd ${version}: ${tube.totalJobs} jobs put into ${tube.name}, ${tube.cmdDelete} deleted`)
}))
