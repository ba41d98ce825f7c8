/**
 * The service of Effect that this room implements, by the names of its parts.
 */
import type * as Effect from "effect/Effect"
import type * as PersistedQueue from "effect/persistence/PersistedQueue"

/** A store of queues. */
export type StoreService = PersistedQueue.PersistedQueueStore["Service"]

/** What an offer is told. */
export type OfferOptions = Parameters<StoreService["offer"]>[0]

/** What a take is told. */
export type TakeOptions = Parameters<StoreService["take"]>[0]

/** What a take gives to its handler. */
export type TakenElement = Effect.Success<ReturnType<StoreService["take"]>>
