/**
 * The contract of a store of Effect's queues, as checks that every store has to pass: what Effect's own tests of its stores
 * ask, and what its docs promise.
 *
 * Nobody waits for something not to happen: an element that must not come would come before one that is offered later.
 */
import { assert, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { StoreLayer } from "./Stores.ts"

/** What a store does not promise. */
export interface ContractOptions {
  /** Its delays end up to a second early, since its clock has whole seconds. */
  readonly isEarly?: boolean
}

const Item = Schema.Struct({ n: Schema.BigInt })
const AT_ONCE = Schedule.spaced(0)

const queueOf = (
  name: string,
  options: { maxAttempts?: number; retrySchedule?: Schedule.Schedule<unknown, number> } = {}
) => PersistedQueue.make({ name, schema: Item, ...options })

const ids = (value: typeof Item.Type, metadata: { readonly id: string; readonly attempts: number }) =>
  Effect.succeed({ ...metadata, n: value.n })

const boom = () => Effect.fail("boom")

const ALL = Duration.zero

/** Runs the checks on one store. */
export const contract = (name: string, store: StoreLayer, { isEarly = false }: ContractOptions = {}): void =>
  layer(Layer.provideMerge(PersistedQueue.layer, store), { excludeTestServices: true, timeout: "30 seconds" })(
    name,
    (it) => {
      it.effect("delivers an element once, as its first attempt", () =>
        Effect.gen(function*() {
          const queue = yield* queueOf("delivery")
          const id = yield* queue.offer({ n: 42n })
          assert.deepStrictEqual(yield* queue.take(ids), { id, attempts: 1, n: 42n })
          yield* queue.offer({ n: 43n })
          assert.strictEqual((yield* queue.take(ids)).n, 43n)
        }))

      it.effect("gives an element to a take that waits", () =>
        Effect.gen(function*() {
          const queue = yield* queueOf("waiting")
          const taking = yield* Effect.forkScoped(queue.take(ids), { startImmediately: true })
          yield* queue.offer({ n: 1n }, { id: "own" })
          assert.deepStrictEqual(yield* Fiber.join(taking), { id: "own", attempts: 1, n: 1n })
        }))

      it.effect("releases an element whose take is interrupted, and does not count that", () =>
        Effect.gen(function*() {
          const queue = yield* queueOf("interruption", { maxAttempts: 2, retrySchedule: AT_ONCE })
          yield* queue.offer({ n: 1n })
          for (let i = 0; i < 3; i++) {
            const taken = yield* Deferred.make<number>()
            const taking = yield* Effect.forkScoped(
              queue.take((_, { attempts }) => Effect.andThen(Deferred.succeed(taken, attempts), Effect.never))
            )
            assert.strictEqual(yield* Deferred.await(taken), 1)
            yield* Fiber.interrupt(taking)
          }
          assert.strictEqual(yield* Effect.flip(queue.take(boom)), "boom")
          assert.strictEqual((yield* queue.take(ids)).attempts, 2)
        }))

      it.effect("delivers an element again that failed, as its second attempt", () =>
        Effect.gen(function*() {
          const queue = yield* queueOf("failure", { retrySchedule: AT_ONCE })
          const id = yield* queue.offer({ n: 1n })
          assert.strictEqual(yield* Effect.flip(queue.take(boom)), "boom")
          assert.deepStrictEqual(yield* queue.take(ids), { id, attempts: 2, n: 1n })
        }))

      it.effect("retries after a defect, too", () =>
        Effect.gen(function*() {
          const queue = yield* queueOf("defect", { retrySchedule: AT_ONCE })
          yield* queue.offer({ n: 1n })
          const exit = yield* Effect.exit(queue.take(() => Effect.die("oops")))
          assert.isTrue(exit._tag === "Failure" && Cause.hasDies(exit.cause))
          assert.strictEqual((yield* queue.take(ids)).attempts, 2)
        }))

      it.effect("retries after the delay of the schedule, and not before others", () =>
        Effect.gen(function*() {
          const queue = yield* queueOf("retries", { retrySchedule: Schedule.spaced("1 second") })
          yield* queue.offer({ n: 1n })
          const from = yield* Clock.currentTimeMillis
          yield* Effect.flip(queue.take(boom))
          yield* queue.offer({ n: 2n })
          if (!isEarly) assert.strictEqual((yield* queue.take(ids)).n, 2n)
          const again = yield* queue.take(ids)
          assert.strictEqual(again.n === 1n ? again.attempts : 2, 2)
          if (!isEarly) assert.isAtLeast((yield* Clock.currentTimeMillis) - from, 990)
        }))

      it.effect("delivers a delayed element after its delay, as its first attempt", () =>
        Effect.gen(function*() {
          const queue = yield* queueOf("delays")
          const from = yield* Clock.currentTimeMillis
          yield* queue.offer({ n: 1n }, { delay: "1 second" })
          yield* queue.offer({ n: 2n }, { delay: 0 })
          assert.strictEqual((yield* queue.take(ids)).n, 2n)
          const delayed = yield* queue.take(ids)
          assert.deepStrictEqual([delayed.n, delayed.attempts], [1n, 1])
          assert.isAtLeast((yield* Clock.currentTimeMillis) - from, 990)
        }))

      it.effect("takes an id once, and the delay of a duplicate changes nothing", () =>
        Effect.gen(function*() {
          const queue = yield* queueOf("ids")
          yield* queue.offer({ n: 1n }, { id: "own" })
          yield* queue.offer({ n: 2n }, { id: "own", delay: "1 hour" })
          assert.deepStrictEqual(yield* queue.take(ids), { id: "own", attempts: 1, n: 1n })
          yield* queue.offer({ n: 3n }, { id: "own" })
          yield* queue.offer({ n: 4n }, { id: "other" })
          assert.strictEqual((yield* queue.take(ids)).id, "other")
        }))

      it.effect("takes the same id in each queue", () =>
        Effect.gen(function*() {
          const first = yield* queueOf("ids of the first")
          const second = yield* queueOf("ids of the second")
          yield* first.offer({ n: 1n }, { id: "shared" })
          yield* second.offer({ n: 2n }, { id: "shared" })
          assert.strictEqual((yield* second.take(ids)).n, 2n)
          assert.strictEqual((yield* first.take(ids)).n, 1n)
        }))

      it.effect("gives an element that is in flight to nobody else", () =>
        Effect.gen(function*() {
          const queue = yield* queueOf("in flight")
          yield* queue.offer({ n: 1n })
          const taken = yield* Latch.make()
          const mayEnd = yield* Latch.make()
          const first = yield* Effect.forkScoped(queue.take(() => Effect.andThen(taken.open, mayEnd.await)))
          yield* taken.await
          const second = yield* Effect.forkScoped(queue.take(ids))
          yield* queue.offer({ n: 2n })
          assert.strictEqual((yield* Fiber.join(second)).n, 2n)
          yield* mayEnd.open
          yield* Fiber.join(first)
          yield* queue.offer({ n: 3n })
          assert.strictEqual((yield* queue.take(ids)).n, 3n)
        }))

      it.effect("delivers no element again whose attempts are exhausted, nor one of its id", () =>
        Effect.gen(function*() {
          const queue = yield* queueOf("exhausted", { maxAttempts: 2, retrySchedule: AT_ONCE })
          yield* queue.offer({ n: 1n }, { id: "doomed" })
          for (let i = 0; i < 2; i++) yield* Effect.flip(queue.take(boom))
          yield* queue.offer({ n: 1n }, { id: "doomed" })
          yield* queue.offer({ n: 2n })
          assert.strictEqual((yield* queue.take(ids)).n, 2n)
        }))

      it.effect("fails an element at once that does not decode, and takes the next one", () =>
        Effect.gen(function*() {
          const store = yield* PersistedQueue.PersistedQueueStore
          const queue = yield* queueOf("undecodable", { retrySchedule: AT_ONCE })
          yield* store.offer({ name: "undecodable", id: "poison", element: { n: null }, isCustomId: true })
          yield* queue.offer({ n: 1n })
          assert.strictEqual((yield* queue.take(ids)).n, 1n)
          yield* queue.offer({ n: 2n })
          assert.strictEqual((yield* queue.take(ids)).n, 2n)
        }))

      it.effect("forgets ids that are completed, and no others, with a cleanup", () =>
        Effect.gen(function*() {
          const store = yield* PersistedQueue.PersistedQueueStore
          const queue = yield* queueOf("cleanup")
          yield* queue.offer({ n: 1n }, { id: "done" })
          yield* queue.take(ids)
          yield* store.cleanup({ timeToLive: Duration.days(30), failedTimeToLive: undefined })
          yield* queue.offer({ n: 2n }, { id: "done" })
          yield* queue.offer({ n: 3n }, { id: "pending" })
          // A cutoff can be exclusive.
          yield* Effect.sleep("5 millis")
          yield* store.cleanup({ timeToLive: ALL, failedTimeToLive: undefined })
          yield* queue.offer({ n: 4n }, { id: "pending" })
          yield* queue.offer({ n: 5n }, { id: "done" })
          assert.strictEqual((yield* queue.take(ids)).n, 3n)
          assert.strictEqual((yield* queue.take(ids)).n, 5n)
        }))

      it.effect("forgets ids that failed with a cleanup of these", () =>
        Effect.gen(function*() {
          const store = yield* PersistedQueue.PersistedQueueStore
          const queue = yield* queueOf("cleanup of failed", { maxAttempts: 1 })
          yield* queue.offer({ n: 1n }, { id: "failed" })
          yield* Effect.flip(queue.take(boom))
          yield* Effect.sleep("5 millis")
          yield* store.cleanup({ timeToLive: ALL, failedTimeToLive: undefined })
          yield* queue.offer({ n: 2n }, { id: "failed" })
          yield* store.cleanup({ timeToLive: ALL, failedTimeToLive: ALL })
          yield* queue.offer({ n: 3n }, { id: "failed" })
          assert.deepStrictEqual(yield* queue.take(ids), { id: "failed", attempts: 1, n: 3n })
        }))

      it.effect("delivers each of many elements once to takes side by side, and once more for each failure", () =>
        Effect.gen(function*() {
          const queue = yield* queueOf("side by side", { retrySchedule: AT_ONCE })
          const total = 24n
          const deliveries = new Map<bigint, number>()
          const done = yield* Latch.make()
          const succeeded = new Set<bigint>()
          const all = Array.from({ length: Number(total) }, (_, n) => BigInt(n))
          yield* Effect.forEach(all, (n) => queue.offer({ n }), { concurrency: 8, discard: true })
          const worker = queue.take(({ n }) =>
            Effect.suspend(() => {
              const count = (deliveries.get(n) ?? 0) + 1
              deliveries.set(n, count)
              if (n % 3n === 0n && count === 1) return Effect.fail("transient")
              succeeded.add(n)
              return succeeded.size === all.length ? done.open : Effect.void
            })
          ).pipe(Effect.ignore, Effect.forever)
          for (let i = 0; i < 3; i++) yield* Effect.forkScoped(worker)
          yield* done.await
          for (const n of all) assert.strictEqual(deliveries.get(n), n % 3n === 0n ? 2 : 1, `deliveries of ${n}`)
        }))

      it.effect("takes one element of a hundred producers with one id", () =>
        Effect.gen(function*() {
          const queue = yield* queueOf("a hundred")
          const all = Array.from({ length: 100 }, (_, n) => BigInt(n))
          yield* Effect.forEach(all, (n) => queue.offer({ n }, { id: "one" }), {
            concurrency: "unbounded",
            discard: true
          })
          yield* queue.offer({ n: 1000n })
          const first = yield* queue.take(ids)
          assert.strictEqual(first.id, "one")
          assert.strictEqual((yield* queue.take(ids)).n, 1000n)
        }))
    }
  )
