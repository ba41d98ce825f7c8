/**
 * How Effect tells a store that an element does not decode and must fail at once, instead of being attempted again.
 *
 * `effect/persistence/PersistedQueue` (4.1.0) fails the Scope of the take with an instance of a class of its own, and exports
 * neither the class nor a predicate. This file goes by the tag of that class. It is the only place that does: if Effect
 * exports a predicate, it belongs here; if Effect changes the tag, an element that does not decode fails only after its last
 * attempt, which `test/persistence` notices.
 */
import * as Cause from "effect/Cause"
import * as Predicate from "effect/Predicate"

const TAG = "~effect/persistence/PersistedQueue/DeadLetter"

/** Why the element does not decode, if that is why its take failed. */
export const deadLetterOf = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> | undefined => {
  for (const reason of cause.reasons) {
    if (!Cause.isFailReason(reason) || !Predicate.isTagged(reason.error, TAG)) continue
    const { error } = reason
    return "cause" in error && Cause.isCause(error.cause) ? error.cause : cause
  }
  return undefined
}
