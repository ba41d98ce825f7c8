/**
 * No claims: ids of their own are refused.
 */
import * as Effect from "effect/Effect"
import type * as Claims from "../../Claims.ts"
import { ClaimsError } from "./claimsError.ts"

const unsupported: Effect.Effect<never, ClaimsError> = Effect.suspend(() =>
  Effect.fail(new ClaimsError({ reason: "Unsupported", cause: "beanstalkd cannot look an id up" }))
)

/** Claims that nobody can make. There are none to be completed or removed either. */
export const noClaims: Claims.Service = {
  lookup: () => unsupported,
  claim: () => unsupported,
  completed: () => Effect.void,
  remove: () => Effect.void,
  cleanup: () => Effect.void
}
