/**
 * Connections without sockets, between a client and a server in one process: what one end writes, the other end has read
 * when the outermost write returns. No microtask and no fiber comes in between, so that a clock which is set forward
 * never finds bytes on their way.
 */

import * as Effect from "effect/Effect"
import type { EngineHost } from "./engineHost.ts"
import * as Errors from "../../Errors.ts"
import type { Dialer, Handlers, Transport } from "../connection/transport.ts"

// After so many pieces others get the processor: a consumer and a producer could feed each other for ever.
const PIECES_PER_TURN = 10_000

/** Hands pieces over, one after the other and in order, however deep the hands are that they come from. */
export class MemoryNetwork {
  readonly #yieldTo: (task: () => void) => void
  #pieces: Array<() => void> = []
  #isDelivering = false

  /** `yieldTo` runs a task in a later turn. */
  constructor(yieldTo: (task: () => void) => void) {
    this.#yieldTo = yieldTo
  }

  /** Delivers a piece: now, or after those before it. */
  deliver(piece: () => void): void {
    this.#pieces.push(piece)
    if (this.#isDelivering) return
    this.#isDelivering = true
    this.#run()
  }

  readonly #run = (): void => {
    let delivered = 0
    try {
      while (delivered < this.#pieces.length && delivered < PIECES_PER_TURN) this.#pieces[delivered++]!()
    } finally {
      this.#pieces = this.#pieces.slice(delivered)
      if (this.#pieces.length > 0) this.#yieldTo(this.#run)
      else this.#isDelivering = false
    }
  }
}

/** A dialer for clients in this process. */
export const makeDialer = (host: EngineHost): Dialer => {
  const network = new MemoryNetwork((task) => host.later(0, task))
  const refused = new Errors.OpenError({ cause: new Error("the server refuses connections") })

  const dial = (handlers: Handlers): Transport | undefined => {
    let isOpen = true
    const end = (detail: string) =>
      network.deliver(() => {
        if (!isOpen) return
        isOpen = false
        handlers.onClose(new Errors.ConnectionClosed({ detail }))
      })
    const conn = host.accept({
      write: (bytes) => {
        network.deliver(() => {
          if (isOpen) handlers.onData(bytes)
        })
        return true
      },
      end: () => end("the server closed it"),
      drop: () => end("the server dropped it"),
      resume: () =>
        network.deliver(() => {
          if (isOpen) handlers.onDrain()
        })
    })
    if (conn === undefined) return undefined
    return {
      isSynchronous: true,
      write: (bytes) => {
        let goesOn = true
        network.deliver(() => {
          goesOn = conn.receive(bytes)
        })
        return goesOn
      },
      destroy: () => {
        isOpen = false
        network.deliver(() => conn.close())
      }
    }
  }

  return {
    server: "memory",
    open: (handlers) =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          const transport = dial(handlers)
          return transport === undefined ? Effect.fail(refused) : Effect.succeed(transport)
        }),
        (transport) => Effect.sync(transport.destroy)
      )
  }
}
