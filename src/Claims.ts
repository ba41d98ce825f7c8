/**
 * Which element may be delivered under an id: the de-duplication of `PersistedQueueStore`, which beanstalkd has not.
 *
 * A claim is a token, stored once per queue and id. The element that has this token counts, all others of the id are
 * duplicates. Claims are looked up and made for elements whose producer has chosen the id, as `DurableQueue` does; others need
 * none. Claims must live at least as long as the elements, see `layerRedis` and `layerSql`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redis from "effect/persistence/Redis"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type * as Errors from "./Errors.ts"
import { COMPLETED as completedOwner } from "./internal/persistence/claim.ts"
import { ClaimsError } from "./internal/persistence/claimsError.ts"
import * as Settings from "./internal/persistence/claimsSettings.ts"
import * as MemoryClaims from "./internal/persistence/memoryClaims.ts"
import { noClaims } from "./internal/persistence/noClaims.ts"
import * as RedisClaims from "./internal/persistence/redisClaims.ts"
import * as SqlClaims from "./internal/persistence/sqlClaims.ts"

export { ClaimsError }

/**
 * What {@link Service.claim} gives when the element of the id is completed.
 *
 * @category constants
 * @since 0.1.0
 */
export const COMPLETED: string = completedOwner

/**
 * The claims of all queues. `claim` must be atomic: of many processes that claim an id at once, all get the same token. The store
 * runs each call in a fiber of its own, and does not wait for one that it has interrupted.
 *
 * @category services
 * @since 0.1.0
 */
export interface Service {
  /** The token of the element that has the id, whether it is completed or not; `undefined` if the id is free. */
  readonly lookup: (queue: string, id: string) => Effect.Effect<string | undefined, ClaimsError>

  /**
   * Claims the id for the element with this token, unless it is claimed already. Gives the token of the element that may be
   * delivered, or {@link COMPLETED} if it was.
   */
  readonly claim: (queue: string, id: string, token: string) => Effect.Effect<string, ClaimsError>

  /** The element is completed: its id stays claimed, and the age of the claim counts from now. */
  readonly completed: (queue: string, id: string) => Effect.Effect<void, ClaimsError>

  /**
   * Removes the claim, so that the id can be offered again. Its element should be gone: if it is in flight and succeeds, the
   * next element of the id counts as completed.
   */
  readonly remove: (queue: string, id: string) => Effect.Effect<void, ClaimsError>

  /** Removes the claims of elements that were completed so long ago, or longer. */
  readonly cleanup: (options: { readonly timeToLive: Duration.Duration }) => Effect.Effect<void, ClaimsError>
}

/**
 * The service tag of the claims. A store without it has {@link layerUnsupported}.
 *
 * An operator who has deleted an element, or whose server has lost its jobs, frees the id:
 *
 * ```ts
 * import { Claims } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const free = Effect.flatMap(Claims.Claims, (claims) => claims.remove("emails", "welcome-42"))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class Claims extends Context.Service<Claims, Service>()("effect-beanstalkd/Claims/Claims") {}

/**
 * No claims, which is the default: offering an element with an id of its own fails, as a `PersistedQueueError` whose cause is a
 * {@link ClaimsError} with the reason `Unsupported`. To ignore the id instead would have `DurableQueue` repeat work whenever
 * a workflow is replayed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerUnsupported: Layer.Layer<Claims> = Layer.succeed(Claims, noClaims)

/**
 * Claims in the memory of this process, for tests and for programs whose queues have one process and end with it.
 *
 * ```ts
 * import { Claims, PersistedQueueStore, Server } from "effect-beanstalkd"
 * import { Layer } from "effect"
 * import { PersistedQueue } from "effect/persistence"
 *
 * const Queues = PersistedQueue.layer.pipe(
 *   Layer.provide(PersistedQueueStore.layer()),
 *   Layer.provide([Claims.layerMemory, Server.layerMemory()])
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<Claims> = Layer.effect(Claims, MemoryClaims.make)

/**
 * Options of {@link layerRedis}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RedisOptions {
  /** What the keys begin with, a text that is not empty. Default: `"beanstalkd:claims:"`. */
  readonly prefix?: string | undefined

  /**
   * After how long Redis removes the claim of a completed element, longer than 0; a plain number is milliseconds. A cleanup
   * with a shorter time removes it sooner. Default: 30 days, as `PersistedQueue.layerCleanup` has it.
   */
  readonly timeToLive?: Duration.Input | undefined
}

/**
 * Claims in Redis, a key per id. Any Redis that runs scripts will do. It must not lose keys before beanstalkd loses jobs, nor
 * evict them (`maxmemory-policy noeviction`): an id without its claim can be delivered twice. Options that are not allowed fail
 * with the reason `InvalidOptions`.
 *
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { Claims } from "effect-beanstalkd"
 * import { Layer } from "effect"
 *
 * const live = Claims.layerRedis().pipe(Layer.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379" })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRedis = (
  options: RedisOptions = {}
): Layer.Layer<Claims, Errors.BeanstalkdError, Redis.Redis> =>
  Layer.effect(Claims, Effect.flatMap(Settings.redis(options), RedisClaims.make))

/**
 * Options of {@link layerSql}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SqlOptions {
  /** The table, which is created if it does not exist. Default: `"beanstalkd_claims"`. */
  readonly table?: string | undefined
}

/**
 * Claims in a table of a database, a row per id. SQLite and PostgreSQL are tested; the statements for MySQL and SQL Server
 * are not. A claim that is made in a transaction of the program belongs to it, the element in beanstalkd does not. Options that
 * are not allowed fail with the reason `InvalidOptions`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSql = (
  options: SqlOptions = {}
): Layer.Layer<Claims, SqlError | Errors.BeanstalkdError, SqlClient.SqlClient> =>
  Layer.effect(Claims, Effect.flatMap(Settings.sql(options), SqlClaims.make))
