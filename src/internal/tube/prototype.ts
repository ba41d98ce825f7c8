/**
 * What all tubes share, those with wrong options included: the type ID, how a tube prints, and the client that streams
 * and workers reserve with.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Pipeable from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import type * as Client from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import type { Tube } from "../../Tube.ts"
import { describeCause } from "../protocol/describe.ts"
import { refused } from "../protocol/invalidOptions.ts"
import type { Bodies } from "./bodies.ts"

/** The type ID of tubes. */
export type TypeId = "~effect-beanstalkd/Tube"

/** The type ID of tubes. */
export const TypeId: TypeId = "~effect-beanstalkd/Tube"

/**
 * The member that streams and workers take their client from. `client` cannot fail, and a worker must end before it
 * reserves anything if its tube has wrong options.
 */
export const reservingClient: unique symbol = Symbol.for("effect-beanstalkd/Tube/reservingClient")

/** The member by which a worker takes the bodies of its jobs apart. */
export const bodies: unique symbol = Symbol.for("effect-beanstalkd/Tube/bodies")

/** The member that has why a tube is refused, if it is. */
export const refusal: unique symbol = Symbol.for("effect-beanstalkd/Tube/refusal")

/** The prototype of all tubes. */
export abstract class TubePrototype<out C> extends Pipeable.Class implements Inspectable.Inspectable {
  readonly name: string
  readonly client: Context.Key<C, Client.Service>

  constructor(name: string, client: Context.Key<C, Client.Service>) {
    super()
    this.name = name
    this.client = client
  }

  get [TypeId](): TypeId {
    return TypeId
  }

  get [reservingClient](): Effect.Effect<Client.Service, Errors.BeanstalkdError, C> {
    return this.client
  }

  get [refusal](): Errors.InvalidArgument | undefined {
    return undefined
  }

  toJSON(): unknown {
    return { _id: "Tube", name: this.name }
  }

  // The commands check the name, so here it may be anything, and a template throws for a symbol.
  override toString(): string {
    return `Tube(${describeCause(this.name)})`
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }
}

/** Whether `Tube.make` has made this value. */
export const isTube = (value: unknown): value is Tube<unknown, unknown, unknown, unknown> => {
  try {
    return Predicate.hasProperty(value, TypeId)
  } catch {
    // A Proxy can refuse even that question.
    return false
  }
}

/** What reads the bodies of a tube that {@link clientOf} has not refused. */
export const bodiesOf = <A, C, RD, RE>(tube: Tube<A, C, RD, RE>): Bodies<A, RD, RE> =>
  (tube as unknown as { readonly [bodies]: Bodies<A, RD, RE> })[bodies]

/** Why a value that is a tube is refused, if it is. */
export const refusalOf = (tube: unknown): Errors.InvalidArgument | undefined =>
  isTube(tube) ? (tube as unknown as { readonly [refusal]?: Errors.InvalidArgument })[refusal] : undefined

/**
 * The client with which `operation` reserves jobs of a tube. It fails for a value that is no tube, and for a tube with
 * wrong options.
 */
export const clientOf = <A, C, RD, RE>(
  operation: string,
  tube: Tube<A, C, RD, RE>
): Effect.Effect<Client.Service, Errors.BeanstalkdError, C> => {
  if (isTube(tube)) return (tube as unknown as TubePrototype<C>)[reservingClient]
  const rule = "a tube that Tube.make has made"
  const invalid = new Errors.InvalidArgument({ operation, argument: "tube", value: tube, rule })
  return Effect.fail(refused("no server", invalid))
}
