/**
 * Producers and takers of two processes with faults, seed after seed: connections are cut, takes are interrupted, stores end
 * and begin anew. No element may be lost, and none of an id completed twice, unless a connection was cut while it was handled.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as Claims from "../../src/Claims.ts"
import * as Client from "../../src/Client.ts"
import * as MemoryClaims from "../../src/internal/persistence/memoryClaims.ts"
import * as PersistedQueueStore from "../../src/PersistedQueueStore.ts"
import { onMemory } from "../support/Fixture.ts"
import { QUEUE, type Store, takeFrom } from "./Setup.ts"

/** What is broken on purpose, so that the checks have something to find. */
interface Breakage {
  readonly claims?: (claims: Claims.Service) => Claims.Service
  readonly client?: (client: Client.Service) => Client.Service
}

const IDS = 8
const PRODUCERS = 3
const TAKERS = 3
const SEEDS = 20

interface Ledger {
  /** How often connections were cut so far. */
  cuts: number
  /** For each success, whether a connection was cut while the element was handled. */
  readonly successes: Map<string, Array<boolean>>
}

const chance = (percent: number) => Effect.map(Random.nextIntBetween(0, 100), (n) => n < percent)
const pause = (most: number) => Effect.flatMap(Random.nextIntBetween(1, most), (millis) => Effect.sleep(millis))

/** A process: a store that ends and begins anew, and what takes from it. */
class Process {
  readonly #open: Effect.Effect<Store, unknown, Scope.Scope>
  readonly #ledger: Ledger
  store: Store | undefined
  #scope: Scope.Closeable | undefined
  #takers: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = []

  constructor(open: Effect.Effect<Store, unknown, Scope.Scope>, ledger: Ledger) {
    this.#open = open
    this.#ledger = ledger
  }

  get start(): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function*() {
      const scope = this.#scope = yield* Scope.make()
      const store = this.store = yield* Scope.provide(this.#open, scope)
      const taking = Effect.forever(Effect.exit(takeFrom(store)((taken) => this.#handle(taken.id), 1000)))
      this.#takers = yield* Effect.replicateEffect(Effect.forkDetach(taking), TAKERS)
    })
  }

  get stop(): Effect.Effect<void> {
    return Effect.andThen(Fiber.interruptAll(this.#takers), Scope.close(this.#scope!, Exit.void))
  }

  #handle(id: string): Effect.Effect<void, string> {
    return Effect.gen({ self: this }, function*() {
      const { cuts } = this.#ledger
      yield* pause(200)
      if (yield* chance(20)) return yield* Effect.fail("it failed")
      const all = this.#ledger.successes.get(id) ?? []
      this.#ledger.successes.set(id, [...all, cuts !== this.#ledger.cuts])
    })
  }
}

const run = (seed: number, breakage: Breakage = {}) =>
  onMemory((beanstalkd, server) =>
    Effect.gen(function*() {
      const claims = yield* MemoryClaims.make
      const ledger: Ledger = { cuts: 0, successes: new Map() }
      const client = { ...beanstalkd }
      const open = PersistedQueueStore.make().pipe(
        Effect.provideService(Claims.Claims, breakage.claims?.(claims) ?? claims),
        Effect.provideService(Client.Beanstalkd, breakage.client?.(client) ?? client)
      )
      const processes = [new Process(open, ledger), new Process(open, ledger)]
      yield* Effect.forEach(processes, ({ start }) => start)
      const produce = (n: number) =>
        Effect.forEach(Array.from({ length: IDS }, (_, id) => `id ${id}`), (id) =>
          Effect.andThen(
            pause(100),
            Effect.suspend(() => processes[n % 2]!.store!.offer({ name: QUEUE, id, element: n, isCustomId: true }))
          ).pipe(Effect.eventually))
      const trouble = Effect.gen(function*() {
        yield* pause(400)
        if (yield* chance(40)) {
          // A handler that begins before its process hears of the cut was cut as well.
          ledger.cuts++
          yield* server.dropConnections
          yield* Effect.sleep(1)
          ledger.cuts++
        } else {
          const process = processes[yield* Random.nextIntBetween(0, 2)]!
          yield* Effect.andThen(process.stop, process.start)
        }
      })
      const producers = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: PRODUCERS }, (_, n) => n), produce, { concurrency: "unbounded" })
      )
      const nemesis = yield* Effect.forkChild(Effect.replicateEffect(trouble, 4))
      const isDone = () =>
        producers.pollUnsafe() !== undefined && nemesis.pollUnsafe() !== undefined && ledger.successes.size === IDS
      for (let i = 0; i < 400 && !isDone(); i++) yield* TestClock.adjust("50 millis")
      // What is there twice would come now.
      for (let i = 0; i < 60; i++) yield* TestClock.adjust("50 millis")
      yield* Effect.forEach(processes, ({ stop }) => stop)
      return ledger.successes
    })
  ).pipe(Random.withSeed(seed))

const check = (successes: Ledger["successes"]) => {
  assert.strictEqual(successes.size, IDS, "elements are lost")
  for (const [id, cuts] of successes) {
    assert.isAtMost(cuts.length - cuts.filter((wasCut) => wasCut).length, 1, `${id} was completed twice`)
  }
}

/** Whether the checks find something wrong in one of the seeds. */
const isNoticed = (breakage: Breakage) =>
  Effect.gen(function*() {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const successes = yield* run(seed, breakage)
      const checked = yield* Effect.exit(Effect.sync(() => check(successes)))
      if (Exit.isFailure(checked)) return true
    }
    return false
  })

describe("a simulation of two processes", () => {
  it.effect("loses no element, and completes none of an id twice", () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= SEEDS; seed++) check(yield* run(seed))
    }))

  it.effect("notices claims that everybody gets", () =>
    Effect.map(
      isNoticed({
        claims: (claims) => ({
          ...claims,
          lookup: () => Effect.undefined,
          claim: (_queue, _id, token) => Effect.succeed(token)
        })
      }),
      (isNoticed) => assert.isTrue(isNoticed)
    ))

  it.effect("notices a put that is answered and not done", () =>
    Effect.map(
      isNoticed({
        client: (client) => ({
          ...client,
          put: (tube, body, options) =>
            Effect.tap(client.put(tube, body, options), (job) => Effect.ignore(client.delete(job)))
        })
      }),
      (isNoticed) => assert.isTrue(isNoticed)
    ))
})
