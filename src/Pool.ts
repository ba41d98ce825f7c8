/**
 * A pool of connections, each lent to one borrower at a time: for commands that depend on the tubes of their connection,
 * and for those that keep a connection busy.
 *
 * A connection that has died is never lent, and is replaced. One that comes back uses and watches the tubes of the pool's
 * options again, whatever its borrower did. If the borrower left a command or a reserved job on it, the pool closes it, and
 * the server takes the job back.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Connection from "./Connection.ts"
import type * as Errors from "./Errors.ts"
import { unwrapConfig } from "./internal/connection/unwrapConfig.ts"
import * as Internals from "./internal/pool/internals.ts"
import { makePool } from "./internal/pool/poolImpl.ts"

/**
 * The type ID of pools.
 *
 * @since 0.1.0
 * @category type IDs
 */
export type TypeId = Internals.TypeId

/**
 * The type ID of pools.
 *
 * @since 0.1.0
 * @category type IDs
 */
export const TypeId: TypeId = Internals.TypeId

/**
 * The options of a pool, beyond those of its connections. All have defaults.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Connection.Options {
  /** How many exclusive connections there may be at a time, at least 1. The shared one of a client comes on top. Default: 10. */
  readonly maxConnections?: number | undefined
  /**
   * How many of them stay open without use; at most `maxConnections` count. The pool begins to open them when it is made,
   * and replaces those that are lost. Default: 0, so that nothing is dialed before it is needed.
   */
  readonly minConnections?: number | undefined
  /** How long a connection beyond `minConnections` stays open without use, longer than 0. Default: 60 seconds. */
  readonly idleTimeout?: Duration.Input | undefined
  /**
   * How long a borrower waits until a connection is free, longer than 0. After that it fails with the reason
   * `AcquireTimeout`. Default: forever.
   */
  readonly acquireTimeout?: Duration.Input | undefined
  /**
   * How long a command, or a borrower, waits for a server that cannot be reached. After that it fails with the reason of the
   * last dial, and with `sent: false`. 0 fails at once: put a spare, or answer 503. The dials go on all the same. A server
   * that is connected and silent is another matter, see `commandTimeout`. Default: the `commandTimeout`.
   */
  readonly connectionWait?: Duration.Input | undefined
  /**
   * When to dial again after a connection was lost or could not be opened. A command or a borrower that finds no connection
   * does not wait for that: it dials at once, unless a dial has failed within the last tenth of a second, and then at least
   * three times within its `connectionWait`. When the Schedule ends, the pool dials no more
   * until somebody borrows, and a client's shared connection not before the next command. While a server closes
   * connections before their first reply, the pool and the shared connection dial it at most ten times per second each,
   * whatever the Schedule says. Default: after 50 milliseconds, doubled up to 5 seconds, with jitter, forever.
   */
  readonly reconnect?: Schedule.Schedule<unknown, Errors.BeanstalkdError> | undefined
}

/**
 * The state of a pool.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats {
  /** How many exclusive connections are open and not lent. */
  readonly idle: number
  /** How many exclusive connections are lent. */
  readonly used: number
  /** How many borrowers wait until a connection is free. */
  readonly waiting: number
  /** How many connections were opened since the pool was made, shared ones included. */
  readonly opened: number
  /** How many of those were lost: they ended, and neither because of their Scope nor of an interrupted reserve. */
  readonly lost: number
  /** Whether the shared connection of the client is open. */
  readonly shared: boolean
}

/**
 * A pool of connections.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service extends Inspectable.Inspectable {
  readonly [TypeId]: TypeId

  /** The address, as errors show it. */
  readonly server: string

  /**
   * Borrows a connection that nobody else uses, until the Scope is closed. Borrowers are served first come, first served.
   * After the Scope the connection looks closed to whoever still has it.
   *
   * While the server cannot be reached, the borrower waits for it as long as a command would, the `connectionWait`, and
   * then fails with the reason of the last dial.
   */
  readonly get: Effect.Effect<Connection.Service, Errors.BeanstalkdError, Scope.Scope>

  /** Borrows a connection for one effect. */
  readonly use: <A, E, R>(
    f: (connection: Connection.Service) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Errors.BeanstalkdError, R>

  /** The state of the pool now. */
  readonly stats: Effect.Effect<Stats>
}

/**
 * The service tag of pools. A program with two servers gives the second a tag of its own:
 *
 * ```ts
 * import { Pool } from "effect-beanstalkd"
 * import { Context, Layer } from "effect"
 *
 * class BillingPool extends Context.Service<BillingPool, Pool.Service>()("app/BillingPool") {
 *   static readonly layer = Layer.effect(BillingPool, Pool.make({ host: "10.0.0.2" }))
 * }
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class Pool extends Context.Service<Pool, Service>()("effect-beanstalkd/Pool/Pool") {}

/**
 * Whether a value is a pool.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPool = (value: unknown): value is Service => {
  try {
    return Predicate.hasProperty(value, TypeId)
  } catch {
    // A Proxy can refuse even that question.
    return false
  }
}

/**
 * Makes a pool, which ends with the Scope and closes all its connections then, also those that are still lent. It does not
 * wait for a connection: without `minConnections` the first borrower dials.
 *
 * ```ts
 * import { Pool } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ host: "127.0.0.1", maxConnections: 4 })
 *   return yield* pool.use((connection) => connection.stats)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, Errors.BeanstalkdError, Scope.Scope> =>
  makePool("Pool.make", options)

/**
 * The pool as a layer.
 *
 * ```ts
 * import { Pool } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.Pool
 *   return yield* pool.use((connection) => connection.stats)
 * }).pipe(Effect.provide(Pool.layer({ host: "127.0.0.1", maxConnections: 4 })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Pool, Errors.BeanstalkdError> =>
  Layer.effect(Pool, makePool("Pool.layer", options))

/**
 * The pool as a layer whose options come from the configuration.
 *
 * ```ts
 * import { Pool } from "effect-beanstalkd"
 * import { Config } from "effect"
 *
 * const live = Pool.layerConfig({
 *   host: Config.String("BEANSTALKD_HOST").pipe(Config.withDefault("127.0.0.1")),
 *   maxConnections: Config.succeed(4)
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<Pool, Errors.BeanstalkdError | Config.ConfigError> =>
  Layer.effect(
    Pool,
    Effect.flatMap(unwrapConfig("Pool.layerConfig", options), (options) => makePool("Pool.layerConfig", options))
  )
