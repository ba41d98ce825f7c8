/**
 * Taking an element: the next one that is no duplicate, with a finalizer that settles it.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as PersistedQueue from "effect/persistence/PersistedQueue"
import type * as Scope from "effect/Scope"
import { giveBack } from "./attempts.ts"
import type { Taken } from "./queueIntake.ts"
import type { Queues } from "./queues.ts"
import { settle, type SettleParts } from "./settle.ts"
import { failedToTake } from "./storeError.ts"
import type { TakenElement, TakeOptions } from "./storeService.ts"

type Taking = Effect.Effect<TakenElement, PersistedQueue.PersistedQueueError, Scope.Scope>

// A store of claims that is down would have the same element come at once, again and again.
const CLAIMS_ARE_DOWN = Duration.seconds(1)

interface TakeParts extends SettleParts {
  readonly queues: Queues
}

/** How elements are taken. */
export const makeTake = (parts: TakeParts): (options: TakeOptions) => Taking => {
  const { claims, queues } = parts

  const deliver = (options: TakeOptions, taken: Taken): Taking =>
    Effect.as(
      Effect.addFinalizer((exit) => settle(parts, options, taken, exit)),
      { id: taken.element.id, attempts: taken.attempts, element: taken.element.element }
    )

  /** Whether this job may be delivered: others of its id, and those that were completed, may not. */
  const isOwner = (options: TakeOptions, { element, job }: Taken, token: string, restore: Restore) =>
    Effect.map(restore(claims.claim(options.name, element.id, token)), (owner) => owner === token).pipe(
      Effect.onError((cause) => giveBack(job, Cause.hasInterruptsOnly(cause) ? undefined : CLAIMS_ARE_DOWN)),
      Effect.mapError(failedToTake)
    )

  const takeNext = (options: TakeOptions, restore: Restore): Taking =>
    Effect.flatMap(queues.of(options.name).next(options.maxAttempts, restore), (taken) => {
      const { element: { token }, job } = taken
      if (token === undefined) return job.isOver ? takeNext(options, restore) : deliver(options, taken)
      return Effect.flatMap(isOwner(options, taken, token, restore), (isOwner) => {
        // The lease was lost meanwhile, so that somebody else may have it.
        if (job.isOver) return takeNext(options, restore)
        if (isOwner) return deliver(options, taken)
        return Effect.andThen(Effect.ignore(job.delete), takeNext(options, restore))
      })
    })

  return (options) => Effect.uninterruptibleMask((restore) => takeNext(options, restore))
}

type Restore = <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
