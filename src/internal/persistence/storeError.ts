/**
 * The one error that stores of Effect's queues have.
 */
import * as PersistedQueue from "effect/persistence/PersistedQueue"

/** The error for what could not be done, with the reason as its cause. */
export const failedTo = (what: string) => (cause: unknown): PersistedQueue.PersistedQueueError =>
  new PersistedQueue.PersistedQueueError({ message: `Failed to ${what}`, cause })

export const failedToOffer = failedTo("offer element to persisted queue")
export const failedToTake = failedTo("take from persisted queue")
export const failedToCleanUp = failedTo("clean up persisted queue")
