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
import * as Validate from "../protocol/validate.ts"
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

/** How elements are offered. Every element passes through here, so that there is no generator per element. */
export const makeOffer = ({ claims, client, tubes, ttr }: OfferParts): (options: OfferOptions) => Offered => {
  const atOnce: Client.PutOptions = { priority: PRIORITY, ttr }
  const put = ({ delay, name }: OfferOptions, body: string) =>
    client.put(tubes.of(name), body, delay === undefined ? atOnce : { ...atOnce, delay })

  const putAndClaim = (options: OfferOptions, body: string, token: string) =>
    Effect.flatMap(put(options, body), (job) =>
      Effect.flatMap(
        claims.claim(options.name, options.id, token),
        // If it stays, whoever takes it sees that it is one too many.
        (owner) => owner === token ? Effect.void : Effect.ignore(client.delete(job))
      ))

  const offer = (options: OfferOptions): Effect.Effect<unknown, unknown> => {
    const { element, id, isCustomId, name } = options
    // Whoever takes it would have to fail it.
    if (typeof id !== "string") return Effect.fail(Validate.refuse("PersistedQueue.offer", "id", id, "a text"))
    if (!isCustomId) return put(options, Element.encode({ id, element }))
    const token = SecureRandom.uuidV4Unsafe()
    const body = Element.encode({ id, element, token })
    return Effect.flatMap(
      claims.lookup(name, id),
      (held) => held === undefined ? putAndClaim(options, body, token) : Effect.void
    )
  }

  return (options) =>
    Effect.suspend(() => {
      try {
        return Effect.matchEffect(offer(options), {
          onFailure: (error) => Effect.fail(failedToOffer(error)),
          onSuccess: () => Effect.void
        })
      } catch (cause) {
        // The element is no JSON.
        return Effect.fail(failedToOffer(cause))
      }
    })
}
