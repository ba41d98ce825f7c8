/**
 * How long an element takes from its offer in one process to its handler in another, both with stores that have their
 * defaults. The argument is the `Question`, as JSON; the producer prints the milliseconds of all elements, as JSON.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Schema from "effect/Schema"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { own } from "../processes.ts"
import { STORES } from "./stores.ts"

/** What is measured. */
export interface Question {
  readonly store: string
  readonly port: number
  readonly elements: number
  readonly role: "producer" | "consumer"
}

const question: Question = JSON.parse(process.argv[2]!)

/** The same in all processes of this machine, in milliseconds. */
const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

const print = (value: unknown) => Effect.sync(() => console.log(JSON.stringify(value)))

const onQueue = <A, E>(use: (queue: PersistedQueue.PersistedQueue<number>) => Effect.Effect<A, E>) =>
  PersistedQueue.make({ name: "latency", schema: Schema.Number }).pipe(
    Effect.flatMap(use),
    Effect.provide(Layer.provide(PersistedQueue.layer, STORES[question.store]!.store(question.port)))
  )

const consume = onQueue((queue) => {
  const handled = (at: number) => Effect.flatMap(now, (now) => print(now - at))
  return Effect.andThen(print("ready"), Effect.forever(queue.take(handled)))
})

const produce = onQueue((queue) =>
  Effect.gen(function*() {
    const consumer = spawn(process.execPath, [
      fileURLToPath(import.meta.url),
      JSON.stringify({ ...question, role: "consumer" })
    ], { stdio: ["ignore", "pipe", "inherit"] })
    own(consumer)
    const lines = createInterface(consumer.stdout)[Symbol.asyncIterator]()
    const next = Effect.promise(() => lines.next())
    yield* next
    const millis: Array<number> = []
    for (let i = 0; i < question.elements; i++) {
      // At any time of a consumer that polls every second.
      yield* Effect.sleep(100 + (i * 370) % 1000)
      yield* Effect.flatMap(now, (at) => queue.offer(at))
      const { value } = yield* next
      millis.push(Number(value))
    }
    consumer.kill()
    yield* Effect.promise(() => once(consumer, "exit"))
    yield* print(millis)
  })
)

await Effect.runPromise(question.role === "producer" ? produce : consume)
