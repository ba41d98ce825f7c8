/**
 * An administrator looks at the buried jobs of a tube, throws the hopeless ones away and kicks the rest.
 */
import { Console, Effect, Option } from "effect"
import { Client } from "effect-beanstalkd"
import { run } from "./support/run.ts"

const TUBE = "reports"

// Something to clean up.
const prepare = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  yield* beanstalkd.putAll(TUBE, ["good 1", "bad 1", "good 2", "bad 2", "good 3"])
  for (let i = 0; i < 5; i++) {
    yield* Effect.scoped(Effect.flatMap(beanstalkd.reserve(TUBE), (job) => job.bury()))
  }
})

const drain = Effect.gen(function*() {
  const beanstalkd = yield* Client.Beanstalkd
  const nextBuried = beanstalkd.peekBuried(TUBE).pipe(
    Effect.asSome,
    Effect.catchTag("NotFound", () => Effect.succeedNone)
  )
  for (let job = yield* nextBuried; Option.isSome(job); job = yield* nextBuried) {
    const { id, text } = job.value
    const isHopeless = text.startsWith("bad")
    // Somebody else may have been faster, which is fine.
    const settle = isHopeless ? beanstalkd.delete(id) : beanstalkd.kickJob(id)
    yield* Effect.catchTag(settle, "NotFound", () => Effect.void)
    yield* Console.log(`${isHopeless ? "deleted" : "kicked "} job ${id}: ${text}`)
  }
})

run(Effect.gen(function*() {
  yield* prepare
  yield* drain
  const beanstalkd = yield* Client.Beanstalkd
  const stats = yield* beanstalkd.statsTube(TUBE)
  yield* Console.log(`${TUBE}: ${stats.currentJobsBuried} buried, ${stats.currentJobsReady} ready`)
}))
