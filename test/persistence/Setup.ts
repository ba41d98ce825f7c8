/**
 * A store on an embedded server of its own, whose time is that of the test, and a look at its tubes.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Scope from "effect/Scope"
import * as Claims from "../../src/Claims.ts"
import * as Client from "../../src/Client.ts"
import * as MemoryClaims from "../../src/internal/persistence/memoryClaims.ts"
import * as PersistedQueueStore from "../../src/PersistedQueueStore.ts"
import type * as Server from "../../src/Server.ts"
import { onMemory } from "../support/Fixture.ts"

export type Store = PersistedQueue.PersistedQueueStore["Service"]

/** What a test gets. */
export interface Setup {
  readonly store: Store
  readonly claims: Claims.Service
  readonly beanstalkd: Client.Service
  readonly server: Server.Service
  /** Another store on the same server, with the same claims unless it is given others. */
  readonly another: (claims?: Claims.Service) => Effect.Effect<Store, never, Scope.Scope>
  /** Offers an element to the queue `work`. */
  readonly offer: (element: unknown, id?: string) => Effect.Effect<void, PersistedQueue.PersistedQueueError>
  /** Takes from the queue `work`, as `PersistedQueue` does it: `f` is the handler. */
  readonly take: <A, E>(
    f: (taken: Taken) => Effect.Effect<A, E>,
    maxAttempts?: number
  ) => Effect.Effect<A, E | PersistedQueue.PersistedQueueError>
}

export interface Taken {
  readonly id: string
  readonly attempts: number
  readonly element: unknown
}

/** The queue that tests work on, and its tubes. */
export const QUEUE = "work"
export const TUBE = "pq.work"
export const FAILED = "pq.work.failed"

/** The `take` of a store. */
export const takeFrom = (store: Store): Setup["take"] => (f, maxAttempts = 3) =>
  Effect.scopedWith((scope) =>
    store.take({ name: QUEUE, maxAttempts, retryDelay: () => Effect.succeed(Duration.zero) }).pipe(
      Scope.provide(scope),
      Effect.flatMap(f)
    )
  )

/** An id of its own counts as one of the producer's. */
let count = 0

/** Runs a test on a store with claims in memory. */
export const onStore = <A, E>(
  test: (setup: Setup) => Effect.Effect<A, E, Scope.Scope>,
  options?: PersistedQueueStore.Options
) =>
  onMemory((beanstalkd, server) =>
    Effect.gen(function*() {
      const claims = yield* MemoryClaims.make
      const another: Setup["another"] = (other = claims) =>
        PersistedQueueStore.make(options).pipe(
          Effect.provideService(Claims.Claims, other),
          Effect.provideService(Client.Beanstalkd, beanstalkd),
          Effect.orDie
        )
      const store = yield* another()
      const offer: Setup["offer"] = (element, id) =>
        store.offer({ name: QUEUE, id: id ?? `made ${count++}`, element, isCustomId: id !== undefined })
      return yield* test({ store, claims, beanstalkd, server, another, offer, take: takeFrom(store) })
    })
  )

/** The bodies of the ready jobs of a tube, parsed; the jobs are deleted. */
export const drain = (beanstalkd: Client.Service, tube: string) =>
  Effect.gen(function*() {
    const all: Array<Record<string, unknown>> = []
    while (true) {
      const job = yield* Effect.orElseSucceed(beanstalkd.peekReady(tube), () => undefined)
      if (job === undefined) return all
      all.push(JSON.parse(job.text))
      yield* beanstalkd.delete(job)
    }
  })
