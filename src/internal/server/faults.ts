/**
 * What can be wrong with the embedded server, on demand: for tests of those who talk to it.
 */
import * as Duration from "effect/Duration"
import type { Shortage } from "./engine.ts"
import type { Output } from "./serverConnection.ts"

/**
 * - `refuse`: nobody can connect any more; who is connected stays so
 * - `mute`: nothing is answered any more, although it is executed
 * - `delay`: replies come so much later
 * - `split`: replies come in pieces of at most so many bytes
 * - `garble`: replies come as this function makes them
 * - `shortage`: it is out of memory: for `"jobs"`, a put is answered OUT_OF_MEMORY; for `"queues"`, what is put or released
 *   is buried, and answered BURIED
 */
export interface Faults {
  readonly refuse?: boolean | undefined
  readonly mute?: boolean | undefined
  readonly delay?: Duration.Input | undefined
  readonly split?: number | undefined
  readonly garble?: ((bytes: Uint8Array) => Uint8Array) | undefined
  readonly shortage?: Shortage | undefined
}

const cut = (bytes: Uint8Array, size: number): ReadonlyArray<Uint8Array> => {
  if (!(size >= 1)) return [bytes]
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}

interface Late {
  readonly task: () => void
  isDue: boolean
}

/** An output whose replies go through the faults of the moment. `after` runs a task later. */
export class FaultyOutput implements Output {
  readonly resume: () => void
  readonly drop: () => void
  readonly defer: Output["defer"]
  readonly #faults: () => Faults
  readonly #target: Output
  readonly #after: (millis: number, task: () => void) => void
  /** What is late, in order: even when the delay gets shorter, nothing overtakes. */
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
    const { delay = 0, garble, mute, split = 0 } = this.#faults()
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
