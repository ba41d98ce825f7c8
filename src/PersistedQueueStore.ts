/**
 * A store for Effect's `PersistedQueue` and `DurableQueue` on beanstalkd: elements are jobs, pushed to whoever takes them
 * instead of polled for. `docs/persisted-queue.md` has its guarantees beside those of Effect's own stores.
 *
 * Elements outlive the server only if it has a binlog (`beanstalkd -b DIR`), and only with `-f0` is each on the disk before
 * its offer returns. An element is at most 65,535 bytes of JSON, unless the server was started with a larger `-z`.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import type * as Scope from "effect/Scope"
import * as Claims from "./Claims.ts"
import * as Client from "./Client.ts"
import type * as Errors from "./Errors.ts"
import { noClaims } from "./internal/persistence/noClaims.ts"
import * as Settings from "./internal/persistence/settings.ts"
import * as Store from "./internal/persistence/store.ts"

/**
 * Options of the store. All have defaults.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * What the names of its tubes begin with, 1 to 100 characters that a tube's name can have. Processes that share queues share
   * the prefix; no other prefix may begin with it. Default: `"pq."`.
   */
  readonly prefix?: string | undefined

  /**
   * How long an element belongs to a process that hangs, at least a second, rounded up to whole seconds; a plain number is
   * milliseconds. While the process is alive it is renewed, however long the handler takes. Default: 60 seconds.
   */
  readonly ttr?: Duration.Input | undefined

  /** Over how many connections the elements of one queue are taken at most, at least 1. Default: 8. */
  readonly maxConnections?: number | undefined
}

/**
 * Makes the store, which ends with the Scope. Without {@link Claims.Claims} it refuses elements with ids of their own. Options
 * that are not allowed fail with the reason `InvalidOptions`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<
  PersistedQueue.PersistedQueueStore["Service"],
  Errors.BeanstalkdError,
  Client.Beanstalkd | Scope.Scope
> {
  const client = yield* Client.Beanstalkd
  const claims = yield* Effect.serviceOption(Claims.Claims)
  const settings = yield* Settings.resolve(client, options)
  return yield* Store.make(client, Option.getOrElse(claims, () => noClaims), settings)
})

/**
 * The store as a layer, for `PersistedQueue.layer`. Without {@link Claims.Claims} it refuses elements with ids of their own,
 * which `DurableQueue` needs. A client of several servers (`Fleet.layer`) works too.
 *
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { Claims, Client, PersistedQueueStore } from "effect-beanstalkd"
 * import { Effect, Layer, Schema } from "effect"
 * import { PersistedQueue } from "effect/persistence"
 *
 * const Queues = PersistedQueue.layer.pipe(
 *   Layer.provide(PersistedQueueStore.layer()),
 *   Layer.provide(Claims.layerRedis()),
 *   Layer.provide([Client.layer({ port: 11300 }), NodeRedis.layer({ url: "redis://127.0.0.1:6379" })])
 * )
 *
 * const program = Effect.gen(function*() {
 *   const emails = yield* PersistedQueue.make({ name: "emails", schema: Schema.Struct({ to: Schema.String }) })
 *   yield* emails.offer({ to: "ada@example.org" }, { id: "welcome-ada" })
 *   yield* emails.take(({ to }) => Effect.log(`sending to ${to}`))
 * }).pipe(Effect.provide(Queues))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<PersistedQueue.PersistedQueueStore, Errors.BeanstalkdError, Client.Beanstalkd> =>
  Layer.effect(PersistedQueue.PersistedQueueStore, make(options))
