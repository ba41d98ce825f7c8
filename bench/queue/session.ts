/**
 * Fibers that offer elements to a queue, or take them, through `PersistedQueue` as a program does it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Schema from "effect/Schema"
import type { Open } from "../support.ts"
import { STORES } from "./stores.ts"

const Item = Schema.Struct({ n: Schema.Number, text: Schema.String })
const TEXT = "0123456789".repeat(4)

/** What the fibers do. Elements with ids have them from the producer. */
export const BENCHES = ["offer", "offer-id", "take", "take-id"] as const

type Queue = PersistedQueue.PersistedQueue<typeof Item.Type>

const ids = { next: 0 }

const offer = (queue: Queue, hasId: boolean) =>
  Effect.suspend(() => {
    const n = ids.next++
    return queue.offer({ n, text: TEXT }, hasId ? { id: `${process.pid}-${n}` } : undefined)
  })

const take = (queue: Queue) => queue.take(() => Effect.void)

const times = (count: number, once: Effect.Effect<unknown, unknown>): Effect.Effect<void, unknown> =>
  Effect.suspend(() => {
    let done = 0
    return Effect.whileLoop({ while: () => done < count, body: () => once, step: () => void done++ })
  })

/** Opens a store and does one of the `BENCHES`. */
export const open = (name: string, bench: string): Open => async (port, fibers) => {
  const runtime = ManagedRuntime.make(Layer.provide(PersistedQueue.layer, STORES[name]!.store(port)))
  const queue = await runtime.runPromise(PersistedQueue.make({ name: "bench", schema: Item }))
  const once = bench.startsWith("offer") ? offer(queue, bench === "offer-id") : take(queue)
  const run = (ops: number) =>
    runtime.runPromise(
      Effect.forEach(Array.from({ length: fibers }), () => times(ops / fibers, once), {
        concurrency: "unbounded",
        discard: true
      })
    )
  return { connections: 1, run, close: () => runtime.dispose() }
}
