/**
 * An output that misbehaves on demand, for tests of clients.
 */
import * as Duration from "effect/Duration"
import type { Shortage } from "./engine.ts"
import type { Output } from "./serverConnection.ts"

/** What is wrong with a server. */
export interface Faults {
  /** Whether it refuses new connections. Open ones stay open. Default: false. */
  readonly refuse?: boolean | undefined

  /** Whether it executes commands and never replies. Default: false. */
  readonly mute?: boolean | undefined

  /** How much later its replies come; plain numbers are milliseconds. Default: 0. */
  readonly delay?: Duration.Input | undefined

  /** The most bytes of a piece of its replies; 1 sends them byte by byte. Default: any number. */
  readonly split?: number | undefined

  /** Replaces the bytes of its replies. Default: they are sent as they are. */
  readonly garble?: ((bytes: Uint8Array) => Uint8Array) | undefined

  /**
   * What it is out of memory for. `"jobs"`: a put is answered OUT_OF_MEMORY. `"queues"`: it buries jobs that are put or
   * released, and answers BURIED. Default: nothing.
   */
  readonly shortage?: Shortage | undefined
}

const cut = (bytes: Uint8Array, size: number | undefined): ReadonlyArray<Uint8Array> => {
  if (size === undefined) return [bytes]
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}

interface Late {
  readonly task: () => void
  isDue: boolean
}

/** An output whose replies suffer the faults of the moment. `after` runs a task later. */
export class FaultyOutput implements Output {
  readonly resume: () => void
  readonly drop: () => void
  readonly defer: Output["defer"]
  readonly #faults: () => Faults
  readonly #target: Output
  readonly #after: (millis: number, task: () => void) => void
  /** The tasks that are late, in order: a reply must not overtake another when the delay gets shorter. */
  readonly #late: Array<Late> = []

  constructor(faults: () => Faults, target: Output, after: (millis: number, task: () => void) => void) {
    this.#faults = faults
    this.#target = target
    this.#after = after
    this.resume = target.resume
    this.drop = target.drop
    this.defer = target.defer
  }

  write(bytes: Uint8Array): boolean {
    const { delay = 0, garble, mute, split } = this.#faults()
    if (mute === true) return true
    const pieces = cut(garble === undefined ? bytes : garble(bytes), split)
    const write = () => pieces.map((piece) => this.#target.write(piece)).every((more) => more)
    const millis = Duration.toMillis(delay)
    if (millis === 0 && this.#late.length === 0) return write()
    this.#postpone(millis, write)
    return true
  }

  end(): void {
    if (this.#late.length === 0) this.#target.end()
    else this.#postpone(0, () => this.#target.end())
  }

  #postpone(millis: number, task: () => void): void {
    const late: Late = { task, isDue: false }
    this.#late.push(late)
    this.#after(millis, () => {
      late.isDue = true
      while (this.#late[0]?.isDue === true) this.#late.shift()!.task()
    })
  }
}
