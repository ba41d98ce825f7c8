/**
 * Hands large pieces to a socket slice by slice, so that it can be seen that they leave: of one large write a socket only
 * says when all of it has gone, which over a slow link takes longer than a server may be silent.
 */
import type * as Net from "node:net"

/** What is written in one go. Busy producers stay below it, and a slice less than that would cost them turns. */
export const MOST_AT_ONCE = 128 * 1024
const SLICE = 64 * 1024
const NOTHING = new Uint8Array(0)

/** Hears of what leaves. */
export interface SliceListener {
  /** A slice has left, and it was the last one or not. */
  readonly onSent: (isLast: boolean) => void
  /** The socket takes bytes again, after a `write` that returned `false`. */
  readonly onDrain: () => void
}

/** Writes to one socket. */
export class SlicedWriter {
  readonly #socket: Net.Socket
  readonly #listener: SliceListener
  #rest: Uint8Array = NOTHING
  #isSlicing = false

  constructor(socket: Net.Socket, listener: SliceListener) {
    this.#socket = socket
    this.#listener = listener
    socket.on("drain", () => {
      if (!this.#isSlicing) listener.onDrain()
    })
  }

  /** Hands more than {@link MOST_AT_ONCE} over, and asks to wait for `onDrain` before anything else is handed over. */
  write(bytes: Uint8Array): false {
    this.#isSlicing = true
    this.#rest = bytes
    this.#writeSlice()
    return false
  }

  #writeSlice(): void {
    const slice = this.#rest.subarray(0, SLICE)
    this.#rest = this.#rest.subarray(SLICE)
    this.#socket.write(slice, this.#onWritten)
  }

  readonly #onWritten = (error?: Error | null): void => {
    // The socket tells of the error itself.
    if (error || this.#socket.destroyed) return
    this.#isSlicing = this.#rest.length > 0
    this.#listener.onSent(!this.#isSlicing)
    if (this.#isSlicing) return this.#writeSlice()
    // What has been sent must not stay in memory until the next large piece.
    this.#rest = NOTHING
    this.#listener.onDrain()
  }
}
