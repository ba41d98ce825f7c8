/**
 * A fleet of servers in memory: puts spread, jobs come from all, one bound holds.
 */
import { assert, describe, it } from "@effect/vitest"
import { Client, Fleet, Tube, Worker } from "effect-beanstalkd"
import { Effect, Latch } from "effect"

const Work = Tube.make("work", { codec: "text" })

describe("a fleet in memory", () => {
  it.effect("spreads puts and consumes them all", () =>
    Effect.gen(function*() {
      const fleet = yield* Fleet.Fleet
      const refs = yield* Work.putAll(Array.from({ length: 300 }, (_, i) => String(i)))
      const counts = new Map<string, number>()
      for (const { server } of refs) counts.set(server, (counts.get(server) ?? 0) + 1)
      assert.strictEqual(counts.size, 3)
      for (const count of counts.values()) assert.isAbove(count, 60)
      const done = yield* Latch.make()
      const seen = new Set<string>()
      let running = 0
      let most = 0
      yield* Effect.forkScoped(Worker.run(Work, (text) =>
        Effect.gen(function*() {
          running++
          most = Math.max(most, running)
          yield* Effect.yieldNow
          running--
          seen.add(text)
          if (seen.size === 300) yield* done.open
        }), { concurrency: 7 }))
      yield* done.await
      assert.strictEqual(most, 7)
      const stats = yield* fleet.statsTube("work")
      assert.strictEqual(stats.currentJobsReady, 0)
    }).pipe(Effect.provide(Fleet.layerMemory(3))))

  for (const concurrency of [1, 2, 3, 4]) {
    it.effect(`with concurrency ${concurrency}, each job of an idle fleet is handled at once`, () =>
      Effect.gen(function*() {
        const client = yield* Client.Beanstalkd
        const fleet = yield* Fleet.Fleet
        const names = (yield* fleet.servers).map(({ server }) => server)
        let handled = 0
        const latch = yield* Latch.make()
        yield* Effect.forkScoped(Worker.run(Work, () =>
          Effect.suspend(() => {
            handled++
            return latch.open
          }), { concurrency }))
        for (let i = 0; i < 20; i++) {
          yield* latch.close
          const one = yield* fleet.on(names[i % 3]!)
          yield* one.put("work", String(i))
          yield* latch.await
          yield* Effect.yieldNow
        }
        assert.strictEqual(handled, 20)
        assert.strictEqual(client.server, names.join(","))
      }).pipe(Effect.provide(Fleet.layerMemory(3))))
  }
})
