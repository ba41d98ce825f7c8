/**
 * Reserves and deletes jobs for a long time in one outer Scope with two connections, then tries in vain for a while, and
 * reports what has grown.
 *
 * Arguments: the port of a server, how many jobs.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Client from "../../../src/Client.ts"

const [port, times] = process.argv.slice(2).map(Number) as [number, number]

const WARM_UP = 5_000

const usedHeap = Effect.sync(() => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
})

const program = Effect.gen(function*() {
  const beanstalkd = yield* Client.make({ port, maxConnections: 2 })
  yield* beanstalkd.putAll("work", Array.from({ length: times }, (_, i) => `${i}`))
  const outer = yield* Scope.make()
  const reserveAndDelete = Effect.flatMap(beanstalkd.reserve("work", { timeout: 0 }), (job) => job.delete)
  const half = (n: number) => Effect.repeat(Scope.provide(reserveAndDelete, outer), { times: n / 2 - 1 })
  const run = (n: number) => Effect.all([half(n), half(n)], { concurrency: 2, discard: true })
  yield* run(WARM_UP)
  const before = yield* usedHeap
  yield* run(times - WARM_UP)
  yield* Effect.repeat(Effect.flip(Scope.provide(reserveAndDelete, outer)), { times: 499 })
  const growth = (yield* usedHeap) - before
  const finalizers = outer.state._tag === "Open" ? outer.state.finalizers?.size ?? 1 : 0
  return { growth, finalizers, stats: yield* beanstalkd.poolStats }
}).pipe(Effect.scoped)

process.stdout.write(JSON.stringify(await Effect.runPromise(program)))
