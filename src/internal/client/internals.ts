/**
 * The part of a client of one server that its users do not see: the pool behind it.
 */
import type { Service } from "../../Client.ts"
import type * as Pool from "../../Pool.ts"

/** The member that has the pool. */
export const poolKey: unique symbol = Symbol.for("effect-beanstalkd/Client/pool")

/** A client that `Client.make` has made. */
export type ClientOfOne = Service & { readonly [poolKey]: Pool.Service }

/** The pool of a client that `Client.make` has made. */
export const poolOf = (client: Service): Pool.Service => (client as ClientOfOne)[poolKey]
