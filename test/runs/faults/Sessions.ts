/**
 * Programs that use all there is, each through a network that may fail anywhere.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Client from "../../../src/Client.ts"
import * as Connection from "../../../src/Connection.ts"
import * as Consumer from "../../../src/Consumer.ts"
import type { Job } from "../../../src/Job.ts"
import * as Tube from "../../../src/Tube.ts"
import * as Worker from "../../../src/Worker.ts"
import { eventually } from "../../support/Eventually.ts"
import type { Testimony } from "./Testimony.ts"

export interface Setting {
  /** That of the proxy. */
  readonly port: number
  readonly witness: Testimony
  /** Asks the server itself. */
  readonly raw: (command: string) => Effect.Effect<string>
}

export type Session = (setting: Setting) => Effect.Effect<void, unknown, Scope.Scope>

const TUBE = "work"

// A busy machine must not be taken for a dead one.
const connectTimeout = "1 minute"

// The dial itself may be cut.
const openClient = (port: number) => Effect.retry(Client.make({ port, connectTimeout }), { times: 5 })

/** All 25 commands on one connection, which dies once: after the first failure nothing is sent any more. */
const connection: Session = Effect.fnUntraced(function*({ port, witness }) {
  const beanstalkd = yield* Effect.retry(Connection.make({ port, connectTimeout }), { times: 5 })
  const run = <A, E>(command: Effect.Effect<A, E>, check: (value: A) => void, ...tags: ReadonlyArray<string>) =>
    Effect.map(witness.run(command, ...tags), (value) => {
      if (value !== undefined) assert.strictEqual(witness.failed, 0, "a dead connection has answered")
      if (value !== undefined) check(value)
    })
  const is = (expected: unknown) => (value: unknown) => assert.deepStrictEqual(value, expected)

  yield* run(beanstalkd.use(TUBE), is(TUBE))
  yield* run(beanstalkd.watch(TUBE), is(2))
  yield* run(beanstalkd.ignore("default"), is(1))
  yield* run(beanstalkd.listTubeUsed, is(TUBE))
  yield* run(beanstalkd.listTubesWatched, is([TUBE]))

  const a = yield* witness.put("a", beanstalkd.put("a", { priority: 5 }))
  const b = yield* witness.put("b\r\nput", beanstalkd.put("b\r\nput", { delay: "1 hour" }))
  if (a !== undefined && b !== undefined) {
    const isA = ({ id, text }: { readonly id: number; readonly text: string }) => assert.deepEqual([id, text], [a, "a"])
    const isB = ({ id, text }: { readonly id: number; readonly text: string }) =>
      assert.deepEqual([id, text], [b, "b\r\nput"])
    // It waits for as long as it takes, also for a network that is dead.
    yield* run(Effect.timeout(beanstalkd.reserve, "20 seconds"), isA, "TimeoutError")
    yield* run(beanstalkd.statsJob(a), ({ id, pri, state }) => assert.deepEqual([id, pri, state], [a, 5, "reserved"]))
    yield* run(beanstalkd.touch(a), is(undefined))
    yield* run(beanstalkd.release(a, { priority: 6 }), is(undefined))
    yield* run(beanstalkd.peekReady, isA)
    yield* run(beanstalkd.reserveWithTimeout(0), isA)
    yield* run(beanstalkd.bury(a), is(undefined))
    yield* run(beanstalkd.peekBuried, isA)
    yield* run(beanstalkd.kick(), is(1))
    yield* run(beanstalkd.peekDelayed, isB)
    yield* run(beanstalkd.kickJob(b), is(undefined))
    yield* run(beanstalkd.reserveJob(b), isB)
    yield* run(
      beanstalkd.statsTube(TUBE),
      ({ currentJobsReady, currentJobsReserved, name }) =>
        assert.deepEqual([name, currentJobsReady, currentJobsReserved], [TUBE, 1, 1])
    )
    yield* run(beanstalkd.stats, ({ cmdPut, currentJobsReady }) => assert.deepEqual([cmdPut, currentJobsReady], [2, 1]))
    yield* run(beanstalkd.listTubes, is(["default", TUBE]))
    yield* run(beanstalkd.pauseTube(TUBE, 0), is(undefined))
    yield* witness.remove("b\r\nput", beanstalkd.delete(b))
    yield* run(beanstalkd.peek(a), isA)
  }
  yield* run(beanstalkd.quit, is(undefined))
  assert.isTrue(yield* beanstalkd.closed)
})

/** It goes on after what was lost, and is as good as new. */
const isHealthy = Effect.fnUntraced(function*(beanstalkd: Client.Service) {
  const works = Effect.gen(function*() {
    yield* beanstalkd.put("health", "h")
    const job = yield* beanstalkd.reserve("health", { timeout: 0 })
    assert.strictEqual(job.text, "h")
    yield* job.delete
    yield* beanstalkd.stats
  }).pipe(Effect.scoped)
  yield* eventually(works, { within: "8 seconds" })
  const { used, waiting } = yield* beanstalkd.poolStats
  assert.deepStrictEqual({ used, waiting }, { used: 0, waiting: 0 })
})

/** The client: the shared connection, and reserves over the pool. */
const client: Session = Effect.fnUntraced(function*({ port, witness }) {
  const beanstalkd = yield* openClient(port)
  const bodies = ["a", "b", "c", "d"]
  yield* witness.put("a", beanstalkd.put(TUBE, "a"))
  yield* Effect.forEach(["b", "c"], (body) => witness.put(body, beanstalkd.put(TUBE, body)), {
    concurrency: "unbounded"
  })
  yield* witness.run(beanstalkd.putAll(TUBE, ["d"]), "PutAllError")
  const use = (f: (job: Job) => Effect.Effect<unknown>) =>
    Effect.scoped(Effect.gen(function*() {
      const job = yield* witness.run(beanstalkd.reserve(TUBE, { timeout: 0 }), "TimedOut")
      if (job === undefined) return
      assert.include(bodies, job.text)
      yield* f(job)
    }))
  // After a silence the server may have given the job to nobody yet, or to somebody else.
  yield* use((job) =>
    Effect.all([
      Effect.map(witness.run(job.attempt, "NotFound"), (n) => assert.include([1, 2, undefined], n)),
      witness.run(job.touch, "NotFound"),
      witness.run(job.release(), "NotFound")
    ])
  )
  yield* use((job) => witness.run(job.bury(), "NotFound"))
  yield* use((job) => witness.remove(job.text, job.delete, "NotFound"))
  // Nobody settles it: the end of its Scope gives it back.
  yield* use(() => Effect.void)
  yield* Effect.all([
    witness.run(beanstalkd.kick(TUBE)),
    witness.run(beanstalkd.peekReady(TUBE), "NotFound"),
    witness.run(beanstalkd.statsTube(TUBE), "NotFound")
  ], { concurrency: "unbounded" })
  yield* isHealthy(beanstalkd)
})

/** Waits until the server has no more to hand out, and says how many jobs are buried. */
const drained = ({ raw }: Setting, buried: number) =>
  eventually(
    Effect.map(raw(`stats-tube ${TUBE}`), (stats) => {
      const count = (state: string) => Number(new RegExp(`current-jobs-${state}: (\\d+)`).exec(stats)?.[1] ?? 0)
      assert.deepStrictEqual([count("ready"), count("reserved"), count("delayed"), count("buried")], [0, 0, 0, buried])
    }),
    { within: "8 seconds" }
  )

/** A stream, which goes on whatever happens, until all jobs are done. */
const stream: Session = Effect.fnUntraced(function*(setting) {
  const beanstalkd = yield* openClient(setting.port)
  const bodies = ["a", "b", "c"]
  const seen = new Set<string>()
  yield* Effect.forEach(bodies, (body) => setting.raw(`use ${TUBE}\r\nput 0 0 60 1\r\n${body}`))
  const consumer = yield* Effect.forkChild(
    Consumer.stream(TUBE).pipe(
      Stream.mapEffect((job) => {
        seen.add(job.text)
        return setting.witness.remove(job.text, job.delete, "NotFound")
      }),
      Stream.runDrain,
      Effect.provideService(Client.Beanstalkd, beanstalkd)
    )
  )
  yield* drained(setting, 0)
  assert.sameMembers([...seen], bodies)
  assert.isUndefined(consumer.pollUnsafe(), "the stream has ended")
  yield* Fiber.interrupt(consumer)
  yield* isHealthy(beanstalkd)
})

const Work = Tube.make(TUBE, { schema: Schema.Struct({ n: Schema.Int }) })

/** A worker, with crash guard but without the delays of suspects: jobs are deleted, retried at once, and buried. */
const worker: Session = Effect.fnUntraced(function*(setting) {
  const beanstalkd = yield* openClient(setting.port)
  const bodies = ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}", "garbled"]
  const did = new Set<number>()
  yield* Effect.forEach(bodies, (body) => setting.raw(`use ${TUBE}\r\nput 0 0 60 ${body.length}\r\n${body}`))
  const working = yield* Effect.forkChild(
    Worker.run(Work, ({ n }, job) =>
      Effect.gen(function*() {
        // It releases it itself, and gets it again.
        if (n === 2 && !did.has(n)) yield* Effect.ignore(job.release())
        did.add(n)
      }), { concurrency: 2, shutdownTimeout: "10 seconds", isolateSuspects: false }).pipe(
        Effect.provideService(Client.Beanstalkd, beanstalkd)
      )
  )
  yield* drained(setting, 1)
  assert.sameMembers([...did], [1, 2, 3])
  assert.isUndefined(working.pollUnsafe(), "the worker has ended")
  yield* Fiber.interrupt(working)
  yield* isHealthy(beanstalkd)
})

export const sessions: Readonly<Record<string, Session>> = { connection, client, stream, worker }
