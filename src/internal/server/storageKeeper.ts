/**
 * The storage of a running engine: opened with it, opened again when it is restarted, and the end of the engine when it
 * fails.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { MemoryBudget } from "./entities.ts"
import type { Engine } from "./engine.ts"
import { HeldOutput } from "./heldOutput.ts"
import type { BinlogFacts } from "./journal.ts"
import type { Output, ServerConnection } from "./serverConnection.ts"
import type { OpenStorage, Storage, StorageHost } from "./storage.ts"

/** What a storage and its keeper need. */
export interface Options<E> extends Pick<StorageHost<E>, "now" | "after" | "warn"> {
  readonly open: OpenStorage<E>
  readonly maxMemory: number
}

/** Keeps the storage of one engine. */
export class StorageKeeper<E> {
  readonly #options: Options<E>
  readonly #failure = Deferred.makeUnsafe<never, E>()
  #storage: Storage | undefined
  #engine: Engine | undefined
  /** The outputs of connections that are over and have not had all replies yet. */
  readonly #ending = new Set<Output>()
  /** Two at once would open the storage twice. */
  readonly #oneAtATime = Semaphore.makeUnsafe(1)
  #isClosed = false
  /** Whether no connection may be opened, since there is no storage or it has failed. */
  isDown = true

  constructor(options: Options<E>) {
    this.#options = options
  }

  /** Opens the storage. */
  get open(): Effect.Effect<Storage, E> {
    const { maxMemory, open, ...host } = this.#options
    const memory = new MemoryBudget(maxMemory)
    return Effect.tap(
      open({ ...host, memory, onFailure: (error) => this.#fail(error) }),
      (storage) =>
        Effect.sync(() => {
          this.#storage = storage
        })
    ).pipe(Effect.uninterruptible)
  }

  /** The engine that was made of the storage. */
  serves(engine: Engine): void {
    this.#engine = engine
    this.isDown = Deferred.isDoneUnsafe(this.#failure)
  }

  get facts(): BinlogFacts {
    return this.#storage!.facts()
  }

  get failure(): Effect.Effect<never, E> {
    return Deferred.await(this.#failure)
  }

  #fail(error: E): void {
    this.isDown = true
    this.#dropConnections()
    Deferred.doneUnsafe(this.#failure, Effect.fail(error))
  }

  #dropConnections(): void {
    this.#engine?.dropConnections()
    for (const output of this.#ending) output.drop()
  }

  /** Opens a connection whose replies wait for the storage. */
  connect(engine: Engine, output: Output): ServerConnection {
    const held = new HeldOutput(this.#storage!.gate, output, this.#ending)
    const connection = engine.connect(held)
    held.attach(connection)
    return connection
  }

  /** Ends the storage as if the process had been killed, and opens it again. Once it is closed it stays so. */
  get restart(): Effect.Effect<void, E> {
    const kill = Effect.suspend(() => {
      this.isDown = true
      this.#dropConnections()
      return this.#storage!.kill
    })
    const restarted = (storage: Storage) =>
      Effect.sync(() => {
        this.#engine!.restartWith(storage.store)
        this.isDown = false
      })
    const restart = kill.pipe(
      Effect.andThen(this.open),
      Effect.andThen(restarted),
      Effect.tapError((error) => Effect.sync(() => this.#fail(error)))
    )
    const once = Effect.suspend(() => this.#isClosed ? Effect.void : restart)
    return Effect.uninterruptible(this.#oneAtATime.withPermit(once))
  }

  get close(): Effect.Effect<void> {
    const close = Effect.suspend(() => {
      this.#isClosed = true
      return this.#storage?.close ?? Effect.void
    })
    return this.#oneAtATime.withPermit(close)
  }
}
