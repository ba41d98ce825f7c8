/**
 * Worker processes that are killed: no job is lost, and only the jobs that were in flight run again.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually } from "../support/Eventually.ts"
import { onServer } from "../support/Fixture.ts"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"
import { type Service, service } from "./Processes.ts"
import { areIn, statesOf, TUBE } from "../support/Workplace.ts"

/** `WORKER_FULL=1` kills ten times under 20,000 jobs. */
const FULL = process.env["WORKER_FULL"] === "1"
const JOBS = FULL ? 20_000 : 3_000
const KILLS = FULL ? 10 : 2
const CONCURRENCY = 16

const open = Effect.gen(function*() {
  const { beanstalkd, server } = yield* onServer(RealServer)()
  const dir = yield* tempDir
  const start = (options: object) => service(server.port, dir, options)
  return { beanstalkd, start }
})

RealServer.describeReal("worker processes", () => {
  it.live(
    `of four, one killed ${KILLS} times under ${JOBS} jobs: all are handled, none is lost`,
    () =>
      Effect.gen(function*() {
        const { beanstalkd, start } = yield* open
        const ids = (yield* beanstalkd.putAll(TUBE, Array.from({ length: JOBS }, () => "short"), { ttr: "10 minutes" }))
          .map(({ id }) => id)
        const spawn = start({ concurrency: CONCURRENCY })
        const all: Array<Service> = []
        const alive: Array<Service> = []
        for (let n = 0; n < 4; n++) alive.push(yield* spawn)
        all.push(...alive)
        const killed: Array<Service> = []
        for (let kill = 0; kill < KILLS; kill++) {
          const victim = alive.shift()!
          yield* eventually(Effect.sync(() => assert.isAtLeast(victim.told("began").length, 50)), {
            within: "20 seconds"
          })
          victim.child.kill("SIGKILL")
          yield* victim.exited
          killed.push(victim)
          const next = yield* spawn
          alive.push(next)
          all.push(next)
        }
        assert.isAbove((yield* statesOf(beanstalkd)).ready, 0, "killed while there was work")
        yield* eventually(areIn(beanstalkd, {}), { within: "60 seconds", every: "50 millis" })

        const handled = new Set(all.flatMap(({ told }) => told("ended")))
        assert.deepStrictEqual(ids.filter((id) => !handled.has(id)), [], "never handled")
        const times = new Map<number, number>()
        for (const id of all.flatMap(({ told }) => told("began"))) times.set(id, (times.get(id) ?? 0) + 1)
        const twice = [...times].filter(([, count]) => count > 1).map(([id]) => id)
        const begun = new Set(killed.flatMap(({ told }) => told("began")))
        assert.deepStrictEqual(twice.filter((id) => !begun.has(id)), [], "ran twice, but nobody was killed over it")
        const again = [...times.values()].reduce((sum, count) => sum + count - 1, 0)
        assert.isAtMost(again, KILLS * CONCURRENCY, "ran again")
        assert.strictEqual((yield* beanstalkd.stats).jobTimeouts, 0)
        if (FULL) console.log(`${JOBS} jobs, ${KILLS} kills: ${again} ran again`)
      }),
    90_000
  )

  it.live(
    "that a job kills are not killed by it forever: it is buried after maxCrashes",
    () =>
      Effect.gen(function*() {
        const { beanstalkd, start } = yield* open
        const { id } = yield* beanstalkd.put(TUBE, "kills", { priority: 0 })
        yield* beanstalkd.putAll(TUBE, Array.from({ length: 20 }, () => "short"))
        for (let attempt = 1; attempt <= 2; attempt++) {
          const worker = yield* start({ maxCrashes: 2 })
          yield* worker.exited
          assert.strictEqual(worker.child.signalCode, "SIGKILL")
          assert.deepStrictEqual(worker.told("began"), [id])
          yield* eventually(
            Effect.map(
              beanstalkd.statsJob(id),
              (stats) => assert.deepInclude(stats, { state: "ready", reserves: attempt })
            )
          )
        }
        const worker = yield* start({ maxCrashes: 2 })
        yield* eventually(areIn(beanstalkd, { buried: 1 }), { within: "10 seconds" })
        assert.deepInclude(yield* beanstalkd.statsJob(id), { state: "buried", reserves: 3, pri: 0 })
        assert.strictEqual(worker.told("ended").length, 20)
      }),
    30_000
  )
}, { concurrent: true })
