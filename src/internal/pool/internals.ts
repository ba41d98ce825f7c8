/**
 * What a pool does for the client, and keeps from its users: whole pipelines, and the shared connection.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Errors from "../../Errors.ts"
import type { Service } from "../../Pool.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import type { Contact } from "./contact.ts"
import type { Reconnect } from "./dialBackoff.ts"
import type { ReconnectingConnection } from "./reconnectingConnection.ts"

/** The private side of a pool. */
export interface Internals {
  /** Borrows a pipeline, which watches exactly these tubes, or else those of the pool's options. */
  readonly take: (
    tubes?: ReadonlyArray<string>,
    acquireTimeout?: Duration.Duration
  ) => Effect.Effect<Pipeline, Errors.BeanstalkdError, Scope.Scope>
  /** Opens a pipeline beside the pool, which watches exactly these tubes. */
  readonly open: (tubes: ReadonlyArray<string>) => Effect.Effect<Pipeline, Errors.BeanstalkdError, Scope.Scope>
  /** When to dial again. */
  readonly reconnect: Reconnect
  /** Whether the server can be reached. */
  readonly contact: Contact
  /** The connection that fibers share. */
  readonly shared: ReconnectingConnection
}

/** The type ID of pools. */
export type TypeId = "~effect-beanstalkd/Pool"

/** The type ID of pools. */
export const TypeId: TypeId = "~effect-beanstalkd/Pool"

/** The member that has the private side. */
export const internalsKey: unique symbol = Symbol.for("effect-beanstalkd/Pool/internals")

/** The private side of a pool that `Pool.make` has made. */
export const internals = (pool: Service): Internals =>
  (pool as Service & { readonly [internalsKey]: Internals })[internalsKey]
