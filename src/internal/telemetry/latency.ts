/**
 * How long a server takes to answer. The clock is read once per write and once per piece of replies, never per command.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"

/** The commands of one write that have not been answered. */
interface Departure {
  readonly at: number
  unanswered: number
  next: Departure | undefined
}

/** The latency of one connection, on which replies come in the order of the commands. */
export class Latency {
  readonly #clock: Clock.Clock
  #oldest: Departure | undefined
  #newest: Departure | undefined
  /** When the replies came that are being read. */
  #now: number | undefined
  /** The server read no command before this: it waited in a reserve. */
  #heldUpUntil = 0

  constructor(context: Context.Context<never>) {
    this.#clock = Context.get(context, Clock.Clock)
  }

  /** So many commands leave together. */
  sent(commands: number): void {
    const departure: Departure = { at: this.#read(), unanswered: commands, next: undefined }
    if (this.#newest === undefined) this.#oldest = departure
    else this.#newest.next = departure
    this.#newest = departure
  }

  /**
   * The oldest command is answered: for how many seconds the server had it. Undefined for a reserve that may wait, since it
   * lasts as long as there is no job; for commands behind it the time counts from its end.
   */
  answered(mayWait: boolean): number | undefined {
    const departure = this.#oldest
    if (departure === undefined) return undefined
    if (--departure.unanswered === 0) {
      this.#oldest = departure.next
      if (this.#oldest === undefined) this.#newest = undefined
    }
    const now = this.#now ??= this.#read()
    if (!mayWait) return Math.max(0, now - Math.max(departure.at, this.#heldUpUntil))
    this.#heldUpUntil = now
    return undefined
  }

  /** All replies that came together have been read. */
  read(): void {
    this.#now = undefined
  }

  // In seconds, from some moment.
  #read(): number {
    return Number(this.#clock.monotonicTimeNanosUnsafe()) / 1e9
  }
}
