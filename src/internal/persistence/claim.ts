/**
 * A claim: which element may be delivered under an id.
 */

/** What a claim says once its element is completed: no element may be delivered any more. */
export const COMPLETED = "completed"

/** A claim as it is stored. */
export interface Claim {
  readonly token: string
  readonly isCompleted: boolean
}

/** Who may deliver. */
export const ownerOf = ({ isCompleted, token }: Claim): string => isCompleted ? COMPLETED : token

/**
 * The key of a claim. As JSON, so that no two pairs of a queue and an id have the same key, and that it is text which every
 * store can keep: half a surrogate pair or a NUL is escaped.
 */
export const keyOf = (queue: string, id: string): string => JSON.stringify([queue, id])
