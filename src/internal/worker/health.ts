/**
 * How the workers of a process are doing.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Client from "../../Client.ts"

/** How a worker is doing: see `Worker.Health`. */
export interface WorkerState {
  readonly tube: string
  readonly isStopping: boolean
  readonly concurrency: number
  readonly running: number
  readonly client: Client.Health
}

/** The workers of one process. */
export class Workers {
  readonly #workers = new Set<Effect.Effect<WorkerState>>()

  /** A worker begins. Returns a function for its end. */
  add(state: Effect.Effect<WorkerState>): () => void {
    this.#workers.add(state)
    return () => this.#workers.delete(state)
  }

  /** How each of them is doing, in the order in which they began. */
  get states(): Effect.Effect<ReadonlyArray<WorkerState>> {
    return Effect.suspend(() => Effect.all([...this.#workers]))
  }
}

/** The workers of the process that this fiber runs in. */
export const Current = Context.Reference<Workers>("effect-beanstalkd/worker/Workers", {
  defaultValue: () => new Workers()
})
