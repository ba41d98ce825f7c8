/**
 * A store of Effect's queues on beanstalkd: puts its parts together.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as PersistedQueue from "effect/persistence/PersistedQueue"
import type * as Scope from "effect/Scope"
import type * as Claims from "../../Claims.ts"
import type * as Client from "../../Client.ts"
import { scopedFork } from "../consumer/scopedFork.ts"
import { FailedElements } from "./failedElements.ts"
import { guarded } from "./guardedClaims.ts"
import { makeOffer } from "./offer.ts"
import { Queues } from "./queues.ts"
import type { Settings } from "./settings.ts"
import { failedToCleanUp } from "./storeError.ts"
import type { StoreService } from "./storeService.ts"
import { makeTake } from "./take.ts"
import { TubeNames } from "./tubeNames.ts"

/** A store that ends with the Scope: what it holds is given back, and takes that wait fail. */
export const make = Effect.fnUntraced(function*(
  client: Client.Service,
  givenClaims: Claims.Service,
  { maxConnections, prefix, ttr }: Settings
): Effect.fn.Return<StoreService, never, Scope.Scope> {
  const claims = guarded(givenClaims)
  const tubes = new TubeNames(prefix)
  const failed = new FailedElements(client, claims, tubes, yield* Clock.Clock)
  // Not of the Scope: each ends by itself, and the end of the Scope waits for the jobs.
  const run = Effect.runForkWith(yield* Effect.context())
  const fork = (effect: Effect.Effect<void>) => void run(effect)
  const queues = new Queues(client, tubes, yield* scopedFork, { maxConnections, fork, recordFailed: failed.record })
  yield* Effect.addFinalizer(() => Effect.sync(() => queues.close()))

  const cleanup = (
    { failedTimeToLive, timeToLive }: Parameters<StoreService["cleanup"]>[0]
  ): Effect.Effect<void, PersistedQueue.PersistedQueueError> =>
    Effect.andThen(
      claims.cleanup({ timeToLive }),
      failedTimeToLive === undefined ? Effect.void : failed.cleanup(failedTimeToLive)
    ).pipe(Effect.mapError(failedToCleanUp))

  return { offer: makeOffer({ client, claims, tubes, ttr }), take: makeTake({ claims, failed, queues }), cleanup }
})
