/**
 * An embedded server with a few jobs, a client of it, and the questions that are asked after an interruption.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Client } from "effect-beanstalkd"
import { makeDialer } from "../../../src/internal/connection/loopback.ts"
import * as EngineHost from "../../../src/internal/server/engineHost.ts"
import { endpointOf } from "../../../src/internal/server/loopback.ts"
import type { JobId } from "effect-beanstalkd/Protocol"
import assert from "node:assert/strict"
import { censusOf } from "../../support/Census.ts"
import { defer } from "./DeferredDialer.ts"
import type { Stepper } from "./Stepper.ts"
import { poolOf } from "../../../src/internal/client/internals.ts"

/** How the client reaches the server: at once, or through turns of the event loop. */
export type Network = "synchronous" | "deferred"

/** How many connections the pool lends at most. */
export const MAX_CONNECTIONS = 2

/** The priority that all jobs have, and that none may lose. */
export const PRIORITY = 7

export interface Stage {
  readonly host: EngineHost.EngineHost
  readonly options: Client.Options
  readonly client: Client.Service
  /** Jobs of the tube `jobs`, one of each kind. */
  readonly ready: JobId
  readonly delayed: JobId
  readonly buried: JobId
  readonly stepper: Stepper
  /** Closes the client, and then the server. */
  readonly closeClient: Effect.Effect<void>
  readonly closeServer: Effect.Effect<void>
}

const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

// So many turns in which nothing has happened: then nothing does without the clock.
const QUIET_TURNS = 3

/** Waits until nothing happens any more, or the fiber has ended. */
export const settle = Effect.fnUntraced(function*(stepper: Stepper, fiber?: Fiber.Fiber<unknown, unknown>) {
  for (let quiet = 0; quiet < QUIET_TURNS && fiber?.pollUnsafe() === undefined;) {
    const before = stepper.operations
    yield* turn
    quiet = stepper.operations === before ? quiet + 1 : 0
  }
})

// How long somebody may wait who is not hung: longer than any pause between two dials.
const PATIENCE_SECONDS = 10

/** What it ends with; it hangs if it has not ended when nothing happens any more, even some seconds later. */
export const complete = Effect.fnUntraced(function*<A, E>(stepper: Stepper, fiber: Fiber.Fiber<A, E>) {
  yield* settle(stepper, fiber)
  for (let seconds = 0; fiber.pollUnsafe() === undefined; seconds++) {
    assert.ok(seconds < PATIENCE_SECONDS, "it hangs")
    yield* TestClock.adjust("1 second")
    yield* settle(stepper, fiber)
  }
  return fiber.pollUnsafe()!
})

const sure = Effect.fnUntraced(function*<A, E>(stepper: Stepper, effect: Effect.Effect<A, E>) {
  return yield* yield* complete(stepper, yield* Effect.forkChild(effect))
})

export const make = Effect.fnUntraced(function*(network: Network, stepper: Stepper) {
  const serverScope = yield* Scope.make()
  const clientScope = yield* Scope.make()
  const host = yield* Scope.provide(EngineHost.make({}), serverScope)
  const dialer = makeDialer("memory", endpointOf(host))
  const options: Client.Options = {
    dialer: network === "deferred" ? defer(dialer) : dialer,
    maxConnections: MAX_CONNECTIONS
  }
  const client = yield* Scope.provide(Client.make(options), clientScope)
  const put = (options?: Client.PutOptions) => client.put("jobs", "a job", { priority: PRIORITY, ...options })
  const buried = yield* put()
  yield* Effect.scoped(Effect.flatMap(client.reserve("jobs"), (job) => job.bury()))
  const stage: Stage = {
    host,
    options,
    client,
    ready: (yield* put()).id,
    delayed: (yield* put({ delay: "1 hour" })).id,
    buried: buried.id,
    stepper,
    closeClient: Scope.close(clientScope, Exit.void),
    closeServer: Scope.close(serverScope, Exit.void)
  }
  return stage
})

/** How many jobs there are. */
export const countJobs = ({ host }: Stage): number => censusOf(host.engine.store).jobs

/** No job is reserved, and nobody waits for one. */
export const nothingIsHeld = ({ host: { engine: { store } } }: Stage): void =>
  assert.deepEqual(
    { reserved: store.reserved, waiting: store.waiting },
    { reserved: 0, waiting: 0 },
    "a job is stranded"
  )

/** The server and the client are as good as new. */
export const isSound = Effect.fnUntraced(function*(stage: Stage) {
  const { client, host: { engine }, stepper } = stage
  nothingIsHeld(stage)
  assert.deepEqual(censusOf(engine.store).contradictions, [])
  yield* sure(
    stepper,
    Effect.gen(function*() {
      const { id } = yield* client.put("next", "the next command")
      const job = yield* client.reserve("next", { timeout: 0 })
      assert.equal(job.id, id)
      yield* job.delete
      // All of them at once: none has been lost.
      const borrow = Effect.replicateEffect(poolOf(client).get, MAX_CONNECTIONS)
      const tubes = Effect.flatMap(borrow, Effect.forEach((connection) => connection.listTubesWatched))
      assert.deepEqual(yield* Effect.scoped(tubes), Array.from({ length: MAX_CONNECTIONS }, () => ["default"]))
    }).pipe(Effect.scoped)
  )
  yield* settle(stepper)
  const { idle, shared, used, waiting } = yield* client.poolStats
  assert.deepEqual({ used, waiting, shared }, { used: 0, waiting: 0, shared: true }, "a permit is lost")
  assert.equal(engine.connectionCount, idle + 1, "a connection is leaked")
})

/** After all is closed: no connection, no fiber. */
export const endsCleanly = Effect.fnUntraced(function*(stage: Stage) {
  const { host, stepper } = stage
  yield* stage.closeClient
  yield* settle(stepper)
  assert.equal(host.engine.connectionCount, 0, "a connection outlives its client")
  yield* stage.closeServer
  yield* settle(stepper)
  const alive = [...stepper.fibers].filter((fiber) => fiber.pollUnsafe() === undefined)
  assert.equal(alive.length, 0, "a fiber is leaked")
})
