/**
 * The wire between a client and a server in one process: what one end writes, the other end has read when the outermost
 * write returns. No microtask and no fiber comes in between, so that a clock which is set forward never finds bytes in
 * flight.
 */
import type { EngineHost } from "./engineHost.ts"
import type { Output, ServerConnection } from "./serverConnection.ts"

// Past so many pieces other tasks get the processor: a consumer and a producer could feed each other forever.
const PIECES_PER_TICK = 10_000

/** Delivers pieces one by one and in order, also those that are sent while another is being read. */
export class Loopback {
  readonly #later: (task: () => void) => void
  #pieces: Array<() => void> = []
  #isDelivering = false

  /** `later` runs a task in a later tick. */
  constructor(later: (task: () => void) => void) {
    this.#later = later
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
      while (delivered < this.#pieces.length && delivered < PIECES_PER_TICK) this.#pieces[delivered++]!()
    } finally {
      this.#pieces = this.#pieces.slice(delivered)
      if (this.#pieces.length > 0) this.#later(this.#run)
      else this.#isDelivering = false
    }
  }
}

/** What a client in this process needs of a server. */
export interface Endpoint {
  /** The server's end of a new connection, or undefined if it is refused. */
  readonly accept: (output: Output) => ServerConnection | undefined
  readonly deliver: (piece: () => void) => void
}

/** A server as clients in its process reach it. */
export const endpointOf = (host: EngineHost): Endpoint => {
  const loopback = new Loopback((task) => host.later(0, task))
  return { accept: host.accept, deliver: (piece) => loopback.deliver(piece) }
}
