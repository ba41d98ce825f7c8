/**
 * The queues that are taken from. Each has an intake of its own, which is opened with the first take and closed when nobody
 * takes from the queue any more.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Client from "../../Client.ts"
import * as LeaseKeeper from "../consumer/leaseKeeper.ts"
import type { ScopedFork } from "../consumer/scopedFork.ts"
import { QueueIntake, type QueueParts } from "./queueIntake.ts"
import { failedToTake } from "./storeError.ts"
import type { TubeNames } from "./tubeNames.ts"

const CLOSED = new Error("the store was closed")

// A reserve waits for up to 30 seconds. After that none is under way whose job could come to a connection that closes.
const IDLE = "30 seconds"

interface Open {
  readonly queue: QueueIntake
  readonly failed: Deferred.Deferred<void>
}

/** The queues of a store, each for as long as it is in use. */
export class Queues {
  readonly #client: Client.Service
  readonly #tubes: TubeNames
  readonly #fork: ScopedFork
  readonly #parts: Pick<QueueParts, "maxConnections" | "fork" | "recordFailed">
  readonly #open = new Map<string, Open>()
  #isClosed = false

  constructor(
    client: Client.Service,
    tubes: TubeNames,
    fork: ScopedFork,
    parts: Pick<QueueParts, "maxConnections" | "fork" | "recordFailed">
  ) {
    this.#client = client
    this.#tubes = tubes
    this.#fork = fork
    this.#parts = parts
  }

  /** The queue of this name, which is opened if it is not. */
  of(name: string): QueueIntake {
    return this.#open.get(name)?.queue ?? this.#start(name)
  }

  /** Nobody can take any more. */
  close(): void {
    this.#isClosed = true
    for (const { queue } of this.#open.values()) queue.fail(failedToTake(CLOSED))
  }

  #start(name: string): QueueIntake {
    const failed = Deferred.makeUnsafe<void>()
    const queue = new QueueIntake(name, {
      ...this.#parts,
      tube: this.#tubes.of(name),
      onFailure: (queue) => {
        this.#forget(queue)
        Deferred.doneUnsafe(failed, Exit.void)
      }
    })
    if (this.#isClosed) queue.fail(failedToTake(CLOSED))
    else {
      this.#open.set(name, { queue, failed })
      this.#fork(this.#serve(queue, failed))
    }
    return queue
  }

  // From here on a take opens the queue anew.
  #forget(queue: QueueIntake): void {
    if (this.#open.get(queue.name)?.queue === queue) this.#open.delete(queue.name)
  }

  #serve(queue: QueueIntake, failed: Deferred.Deferred<void>): Effect.Effect<void> {
    const idle = Effect.sleep(IDLE).pipe(
      Effect.andThen(Effect.sync(() => {
        const isIdle = queue.isIdle()
        if (isIdle) this.#forget(queue)
        return isIdle
      })),
      Effect.repeat({ until: (isIdle) => isIdle })
    )
    return Effect.gen({ self: this }, function*() {
      const leases = yield* LeaseKeeper.make()
      queue.open(yield* this.#client.intake(queue.settings(leases)))
      yield* Effect.raceFirst(Deferred.await(failed), idle)
    }).pipe(Effect.scoped)
  }
}
