/**
 * Much of everything. Each load is run twice, first a part of it to get warm, and says how long the rest took and what has
 * grown meanwhile.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Client from "../../../src/Client.ts"
import * as Connection from "../../../src/Connection.ts"
import * as Tube from "../../../src/Tube.ts"
import * as Worker from "../../../src/Worker.ts"
import { type Footprint, measure } from "./Footprint.ts"

export interface Load {
  /** What there is so much of. */
  readonly unit: string
  readonly warmUp: number
  readonly count: number
  /** Does so many, in the Scope of the load, and says in words what else there is to say. */
  readonly start: (
    port: number
  ) => Effect.Effect<(count: number) => Effect.Effect<string, unknown>, unknown, Scope.Scope>
}

const AT_A_TIME = 10_000

const chunks = (count: number) =>
  Array.from({ length: Math.ceil(count / AT_A_TIME) }, (_, i) => Math.min(AT_A_TIME, count - i * AT_A_TIME))

/** Jobs that are put by one client and worked on by a worker of another. */
export const jobs = (count: number): Load => ({
  unit: "jobs through put and worker",
  warmUp: Math.ceil(count / 10),
  count,
  start: Effect.fnUntraced(function*(port) {
    const producer = yield* Client.make({ port })
    const work = Tube.make("work", { codec: "text" })
    const isDone = Latch.makeUnsafe(false)
    let left = 0
    yield* Effect.forkScoped(
      Worker.run(work, () =>
        Effect.sync(() => {
          if (--left === 0) Latch.openUnsafe(isDone)
        }), { concurrency: 64, crashGuard: false }).pipe(Effect.provide(Client.layer({ port })))
    )
    return Effect.fnUntraced(function*(count: number) {
      for (const size of chunks(count)) {
        left = size
        Latch.closeUnsafe(isDone)
        yield* producer.putAll("work", Array.from({ length: size }, (_, i) => `job ${i} `.padEnd(64, ".")))
        yield* Latch.await(isDone)
      }
      return "none left"
    })
  })
})

/** Fibers that all wait for a job at the same time, and have ten connections between them. */
export const fibers = (count: number): Load => ({
  unit: "fibers that reserve over a pool of 10",
  warmUp: count,
  count,
  start: Effect.fnUntraced(function*(port) {
    const beanstalkd = yield* Client.make({ port, maxConnections: 10 })
    return Effect.fnUntraced(function*(count: number) {
      const began = yield* Clock.currentTimeMillis
      const waits: Array<number> = []
      const order: Array<number> = []
      const one = Effect.fnUntraced(function*(n: number) {
        const job = yield* beanstalkd.reserve("crowd")
        order.push(n)
        waits.push((yield* Clock.currentTimeMillis) - began)
        yield* job.delete
      }, Effect.scoped)
      const waiting = yield* Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => Effect.forkChild(one(n)))
      yield* beanstalkd.putAll("crowd", Array.from({ length: count }, () => "x"))
      yield* Effect.forEach(waiting, Fiber.join, { discard: true })
      const overtaken = Math.max(...order.map((n, turn) => turn - n))
      return `the longest wait was ${Math.max(...waits)} ms, nobody was overtaken by more than ${overtaken}`
    })
  })
})

/** Connections that are opened, used for one command, and closed. */
export const connections = (count: number): Load => ({
  unit: "scoped connections opened and closed",
  warmUp: Math.ceil(count / 10),
  count,
  start: (port) =>
    Effect.succeed((count: number) =>
      Effect.forEach(
        Array.from({ length: count }),
        () => Effect.scoped(Effect.flatMap(Connection.make({ port }), ({ listTubeUsed }) => listTubeUsed)),
        { concurrency: 16, discard: true }
      ).pipe(Effect.as("all were answered"))
    )
})

export interface Report {
  readonly load: Load
  readonly seconds: number
  readonly said: string
  readonly before: Footprint
  readonly after: Footprint
}

/** Runs a load on the server at this port. */
export const run = Effect.fnUntraced(
  function*(port: number, load: Load) {
    const work = yield* load.start(port)
    yield* work(load.warmUp)
    const before = yield* measure
    const began = yield* Clock.currentTimeMillis
    const said = yield* work(load.count)
    const seconds = ((yield* Clock.currentTimeMillis) - began) / 1000
    const report: Report = { load, seconds, said, before, after: yield* measure }
    return report
  },
  Effect.scoped
)
