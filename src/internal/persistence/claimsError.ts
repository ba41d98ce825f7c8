/**
 * What can go wrong with claims.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describeCause } from "../protocol/describe.ts"

const Reason = Schema.Literals(["Unsupported", "Store"])

/**
 * A claim could not be made or looked up. `Unsupported`: the program has no claims, so that elements with ids of their own
 * are refused. `Store`: Redis or the database failed, and `cause` says how.
 *
 * @category errors
 * @since 0.1.0
 */
export class ClaimsError
  extends Schema.TaggedError<ClaimsError>("effect-beanstalkd/Claims/ClaimsError")("ClaimsError", {
    reason: Reason,
    cause: Schema.Defect()
  })
{
  override get message(): string {
    return this.reason === "Store"
      ? `the store of claims failed: ${describeCause(this.cause)}`
      : "an element with an id of its own needs claims: provide Claims.layerRedis, layerSql or layerMemory to the store"
  }
}

/** Fails with the error of a store as the cause. */
export const orStoreError = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, ClaimsError, R> =>
  Effect.mapError(effect, (cause) => new ClaimsError({ reason: "Store", cause }))
