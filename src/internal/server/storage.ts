/**
 * Where a server keeps its jobs if they are to outlive it.
 */
import type * as Effect from "effect/Effect"
import type { MemoryBudget } from "./entities.ts"
import type { Gate } from "./heldOutput.ts"
import type { BinlogFacts } from "./journal.ts"
import type { Store } from "./store.ts"

/** A store whose jobs are kept. */
export interface Storage {
  readonly store: Store
  /** What replies wait for. */
  readonly gate: Gate
  readonly facts: () => BinlogFacts
  /** Keeps what there is, and ends. */
  readonly close: Effect.Effect<void>
  /** Ends as if the process had been killed. */
  readonly kill: Effect.Effect<void>
}

/** What a storage needs of its server. */
export interface StorageHost<E> {
  /** The clock of the store, in milliseconds. */
  readonly now: () => number
  readonly memory: MemoryBudget
  /** Runs a task after so many milliseconds. */
  readonly after: (millis: number, task: () => void) => void
  /** Tells whoever runs the server. */
  readonly warn: (line: string) => void
  /** It cannot keep jobs any more. */
  readonly onFailure: (error: E) => void
}

/** Opens a storage. */
export type OpenStorage<E> = (host: StorageHost<E>) => Effect.Effect<Storage, E>
