/**
 * Takes jobs from the tube `work` as a stream or a worker, until it has had as many as it is told, and reports their
 * bodies, the growth of the memory in use in bytes, how long it took in milliseconds, and what was logged.
 *
 * Arguments: port, `stream` or `worker`, number of jobs.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Client from "../../../src/Client.ts"
import * as Consumer from "../../../src/Consumer.ts"
import * as Tube from "../../../src/Tube.ts"
import * as Worker from "../../../src/Worker.ts"

const [port, kind, count] = process.argv.slice(2)

const log: Array<string> = []
const logger = Logger.make(({ logLevel, message }) => {
  log.push(`${logLevel}: ${String(message)}`)
})

const memoryInUse = Effect.sync(() => {
  globalThis.gc?.()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
})

const program = Effect.gen(function*() {
  const texts = yield* Queue.unbounded<string>()
  const before = yield* memoryInUse
  let peak = before
  const watch = Effect.map(memoryInUse, (bytes) => {
    peak = Math.max(peak, bytes)
  })
  yield* Effect.forkScoped(Effect.repeat(watch, Schedule.spaced("5 millis")))
  const began = performance.now()
  const consuming = kind === "worker"
    ? Worker.run(Tube.make("work", { codec: "text" }), (text) => Queue.offer(texts, text), { concurrency: 2 })
    : Consumer.stream("work").pipe(
      Stream.mapEffect((job) => Effect.andThen(job.delete, Queue.offer(texts, job.text))),
      Stream.runDrain
    )
  yield* Effect.forkScoped(consuming)
  const bodies = yield* Queue.takeN(texts, Number(count))
  const millis = performance.now() - began
  return { bodies, growth: peak - before, millis, log }
}).pipe(
  Effect.scoped,
  Effect.provide(Client.layer({ port: Number(port) }).pipe(Layer.provideMerge(Logger.layer([logger]))))
)

process.stdout.write(JSON.stringify(await Effect.runPromise(program)))
