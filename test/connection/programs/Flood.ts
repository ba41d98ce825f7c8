/**
 * Asks a flooding server one question after another, each on a connection of its own, and reports the outcomes and the
 * growth of the memory in use, in bytes.
 *
 * Arguments: port, number of questions, maxReplySize.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Connection from "../../../src/Connection.ts"
import { JobId } from "../../../src/internal/protocol/scalars.ts"

const [port, questions, maxReplySize] = process.argv.slice(2).map(Number) as [number, number, number]

const memoryInUse = Effect.sync(() => {
  globalThis.gc?.()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
})

const ask = Effect.gen(function*() {
  const connection = yield* Connection.make({ port, maxReplySize })
  const before = yield* memoryInUse
  let peak = before
  const watch = Effect.map(memoryInUse, (bytes) => {
    peak = Math.max(peak, bytes)
  })
  yield* Effect.forkScoped(Effect.repeat(watch, Schedule.spaced("1 millis")))
  const error = yield* Effect.flip(connection.peek(JobId.make(1)))
  yield* watch
  return { reason: error._tag === "BeanstalkdError" ? error.reason._tag : error._tag, growth: peak - before }
}).pipe(Effect.scoped)

const report = await Effect.runPromise(Effect.replicateEffect(ask, questions))
process.stdout.write(JSON.stringify(report))
