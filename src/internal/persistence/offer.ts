/**
 * Offering an element. One with an id of the producer's choice is put before the id is claimed, so that a producer that dies
 * in between loses nothing: whoever takes the element claims it then.
 */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import type * as Duration from "effect/Duration"
import type * as PersistedQueue from "effect/persistence/PersistedQueue"
import type * as Claims from "../../Claims.ts"
import type * as Client from "../../Client.ts"
import { PRIORITY } from "./attempts.ts"
import * as Element from "./element.ts"
import { failedToOffer } from "./storeError.ts"
import type { OfferOptions } from "./storeService.ts"
import type { TubeNames } from "./tubeNames.ts"

/** What offering needs. */
export interface OfferParts {
  readonly client: Client.Service
  readonly claims: Claims.Service
  readonly tubes: TubeNames
  readonly ttr: Duration.Duration
}

type Offered = Effect.Effect<void, PersistedQueue.PersistedQueueError>

/** How elements are offered. */
export const makeOffer = ({ claims, client, tubes, ttr }: OfferParts): (options: OfferOptions) => Offered => {
  const atOnce: Client.PutOptions = { priority: PRIORITY, ttr }
  const put = ({ delay, element, id, name }: OfferOptions, token?: string) =>
    client.put(
      tubes.of(name),
      Element.encode({ id, element, token }),
      delay === undefined ? atOnce : { ...atOnce, delay }
    )

  const claim = Effect.fnUntraced(function*(options: OfferOptions) {
    const { id, name } = options
    if ((yield* claims.lookup(name, id)) !== undefined) return
    const token = SecureRandom.uuidV4Unsafe()
    const job = yield* put(options, token)
    const winner = yield* claims.claim(name, id, token)
    // If it stays, whoever takes it sees that it is one too many.
    if (winner !== token) yield* Effect.ignore(client.delete(job))
  })

  return (options) =>
    Effect.suspend(() => {
      try {
        const offered: Effect.Effect<unknown, unknown> = options.isCustomId ? claim(options) : put(options)
        return Effect.matchEffect(offered, {
          onFailure: (error) => Effect.fail(failedToOffer(error)),
          onSuccess: () => Effect.void
        })
      } catch (cause) {
        return Effect.fail(failedToOffer(cause))
      }
    })
}
