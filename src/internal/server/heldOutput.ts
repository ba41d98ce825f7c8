/**
 * An output whose replies wait until what they tell of is durable.
 */
import type { Output, ServerConnection } from "./serverConnection.ts"

/** What replies wait for. */
export interface Gate {
  /** Whether nothing is waited for. */
  readonly isOpen: boolean
  /**
   * Something is to be let through. `seal` is called before the next batch is written, and what it gives when that batch is
   * durable.
   */
  readonly hold: (seal: () => () => void) => void
}

// A client that is owed more is not served any further until it has its due.
const MAX_HELD = 256 * 1024

/** Between a connection and its output. */
export class HeldOutput implements Output {
  readonly resume: () => void
  readonly defer: Output["defer"]
  readonly #gate: Gate
  readonly #target: Output
  /** Those whose end waits. Their connections are over, so no one else knows of them. */
  readonly #ending: Set<Output>
  #connection: ServerConnection | undefined
  #pieces: Array<Uint8Array> = []
  #size = 0
  #isEnded = false
  #isHeld = false
  /** How many batches have replies of this connection. */
  #sealed = 0
  /** The connection was told to wait. */
  #isFull = false
  #isDropped = false

  constructor(gate: Gate, target: Output, ending: Set<Output> = new Set()) {
    this.#gate = gate
    this.#ending = ending
    this.#target = target
    this.resume = target.resume
    this.defer = target.defer
  }

  /** Tells it whose output it is. */
  attach(connection: ServerConnection): void {
    this.#connection = connection
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isThrough) return this.#target.write(bytes)
    this.#pieces.push(bytes)
    this.#size += bytes.length
    this.#wait()
    this.#isFull = this.#size > MAX_HELD
    return !this.#isFull
  }

  end(): void {
    if (this.#isThrough) return this.#target.end()
    this.#isEnded = true
    this.#ending.add(this)
    this.#wait()
  }

  drop(): void {
    this.#isDropped = true
    this.#ending.delete(this)
    this.#target.drop()
  }

  // Nothing may overtake what waits.
  get #isThrough(): boolean {
    return this.#gate.isOpen && !this.#isHeld && this.#sealed === 0
  }

  #wait(): void {
    if (this.#isHeld) return
    this.#isHeld = true
    this.#gate.hold(this.#seal)
  }

  readonly #seal = (): () => void => {
    this.#isHeld = false
    this.#sealed++
    const pieces = this.#pieces
    const isEnded = this.#isEnded
    this.#pieces = []
    return () => this.#deliver(pieces, isEnded)
  }

  #deliver(pieces: ReadonlyArray<Uint8Array>, isEnded: boolean): void {
    this.#sealed--
    if (this.#isDropped) return
    const takesMore = pieces.length === 0 ||
      this.#target.write(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces))
    for (const { length } of pieces) this.#size -= length
    if (isEnded) {
      this.#ending.delete(this)
      return this.#target.end()
    }
    const wasFull = this.#isFull
    if (this.#size <= MAX_HELD) this.#isFull = false
    if (!takesMore) this.#connection?.congest()
    else if (wasFull && !this.#isFull) this.#connection?.drained()
  }
}
