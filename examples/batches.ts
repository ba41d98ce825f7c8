/**
 * A stream of jobs, where a worker would not do: rows that are written a hundred at a time, or however many have come
 * within a second.
 */
import { Console, Effect, Schema, Stream } from "effect"
import { Tube } from "effect-beanstalkd"
import { run } from "./support/run.ts"

const Clicks = Tube.make("clicks", { schema: Schema.Struct({ page: Schema.String }), ttr: "30 seconds" })

const insert = (rows: ReadonlyArray<{ readonly page: string }>) => Console.log(`inserted ${rows.length} rows`)

// A job that fails is left in the server until the stream ends, so the handling of errors is up to whoever writes this.
const consume = Clicks.stream({ prefetch: 100, keepLeases: true }).pipe(
  Stream.groupedWithin(100, "1 second"),
  Stream.mapEffect((jobs) =>
    Effect.gen(function*() {
      yield* insert(jobs.map((job) => job.value))
      // All at once: pipelined, they leave in one write.
      yield* Effect.forEach(jobs, (job) => job.delete, { concurrency: "unbounded", discard: true })
      return jobs.length
    })
  )
)

run(Effect.gen(function*() {
  yield* Clicks.putAll(Array.from({ length: 250 }, (_, i) => ({ page: `/page/${i}` })))
  yield* consume.pipe(
    Stream.scan(() => 0, (sum, count) => sum + count),
    Stream.takeUntil((sum) => sum === 250),
    Stream.runDrain
  )
  const { currentJobsReady, currentJobsReserved } = yield* Clicks.stats
  yield* Console.log(`${currentJobsReady} ready, ${currentJobsReserved} reserved`)
}))
