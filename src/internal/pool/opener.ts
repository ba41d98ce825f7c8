/**
 * Opens the connections of one pool, exclusive and shared ones, counts them and can close them all.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Errors from "../../Errors.ts"
import { CLOSED_BY_SCOPE } from "../connection/endings.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import { Contact, type ContactRuntime } from "./contact.ts"

/** Opens a connection that ends with the Scope. */
export type Open = Effect.Effect<Pipeline, Errors.BeanstalkdError, Scope.Scope>

/** What opens, counts and closes the connections of a pool. */
export class Opener {
  /** The address, as errors show it. */
  readonly server: string
  /** Opens one more connection, unless the pool is closed. */
  readonly open: Open
  /** Whether the server can be reached. */
  readonly contact: Contact
  #opened = 0
  #lost = 0
  #isClosed = false

  constructor(server: string, open: Open, runtime: ContactRuntime) {
    this.server = server
    this.contact = new Contact(server, runtime)
    this.open = Effect.map(
      Effect.suspend(() =>
        this.#isClosed
          ? Effect.fail(this.failure(CLOSED_BY_SCOPE))
          : Effect.tapError(open, (error) => Effect.sync(() => this.contact.onFailedDial(error)))
      ),
      (pipeline) => this.#register(pipeline)
    )
  }

  /** How many connections were opened. */
  get opened(): number {
    return this.#opened
  }

  /** How many of them ended against the will of their owner. */
  get lost(): number {
    return this.#lost
  }

  /** Whether the pool is closed. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** The error of those who get no connection. */
  failure(reason: Errors.BeanstalkdErrorReason): Errors.BeanstalkdError {
    return new Errors.BeanstalkdError({ command: "connect", server: this.server, sent: false, reason })
  }

  #register(pipeline: Pipeline): Pipeline {
    this.#opened++
    this.contact.onOpen(pipeline)
    pipeline.onDeath(() => {
      this.contact.onDeath(pipeline)
      if (pipeline.wasLost) this.#lost++
    })
    // It was being dialed when the others were closed.
    if (this.#isClosed) pipeline.die(CLOSED_BY_SCOPE)
    return pipeline
  }

  /** Opens nothing any more, and closes what is open, whoever has it. */
  closeAll(): void {
    // First: a fiber that hears of a closed connection may ask for the next one at once.
    this.#isClosed = true
    this.contact.ignore()
    for (const pipeline of this.contact.connections) pipeline.die(CLOSED_BY_SCOPE)
  }
}
