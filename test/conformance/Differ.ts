/**
 * Plays sequences on two servers and tells where they differ.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Control } from "./Control.ts"
import { MAX_JOB_SIZE, print, type Sequence, smaller } from "./Sequence.ts"
import { Session, type Transcript } from "./Session.ts"
import { shrink } from "./Shrink.ts"
import type { Running, Target } from "./Target.ts"

export interface Difference {
  readonly sequence: Sequence
  /** The step from which on the replies are different; the number of steps stands for the end. */
  readonly step: number
  readonly left: ReadonlyArray<string>
  readonly right: ReadonlyArray<string>
}

/** Plays one thing on a server; what came of it, and whether the server can be used again. */
export type Play<A, B> = (server: Server, control: Control, piece: A) => Promise<{
  readonly transcript: B
  readonly isClean: boolean
}>

interface Server {
  readonly host: string
  readonly port: number
  readonly drain: () => Promise<void>
}

/** A server on which one thing after another is played, and which is replaced when it can no longer be used. */
export class Stage<A, B> {
  readonly #target: Target
  readonly #play: Play<A, B>
  #scope: Scope.Closeable | undefined
  #server: Running | undefined
  #control: Control | undefined

  constructor(target: Target, play: Play<A, B>) {
    this.#target = target
    this.#play = play
  }

  async play(piece: A): Promise<B> {
    if (this.#server === undefined) await this.#start()
    const { drain, host, port } = this.#server!
    const server = { host, port, drain: () => Effect.runPromise(drain) }
    const { isClean, transcript } = await this.#play(server, this.#control!, piece)
    if (!isClean) await this.close()
    return transcript
  }

  async close(): Promise<void> {
    const scope = this.#scope
    this.#control?.close()
    this.#scope = this.#server = this.#control = undefined
    if (scope !== undefined) await Effect.runPromise(Scope.close(scope, Exit.void))
  }

  async #start(): Promise<void> {
    this.#scope = Scope.makeUnsafe()
    this.#server = await Effect.runPromise(
      Scope.provide(this.#target.start({ maxJobSize: MAX_JOB_SIZE }), this.#scope)
    )
    this.#control = await Control.connect(this.#server.host, this.#server.port)
  }
}

const playSequence: Play<Sequence, Transcript> = (server, control, sequence) =>
  new Session(server, control, sequence).play()

const firstDifference = (sequence: Sequence, left: Transcript, right: Transcript): Difference | undefined => {
  const steps = Math.max(left.length, right.length)
  for (let step = 0; step < steps; step++) {
    const [a, b] = [left[step] ?? [], right[step] ?? []]
    // Who is served first is settled by what they get; the order in which sockets are looked at is not the server's.
    if (JSON.stringify([...a].sort()) !== JSON.stringify([...b].sort())) return { sequence, step, left: a, right: b }
  }
  return undefined
}

/** Two servers side by side. */
export class Differ {
  readonly names: readonly [string, string]
  readonly #left: Stage<Sequence, Transcript>
  readonly #right: Stage<Sequence, Transcript>

  constructor(left: Target, right: Target) {
    this.names = [left.name, right.name]
    this.#left = new Stage(left, playSequence)
    this.#right = new Stage(right, playSequence)
  }

  async compare(sequence: Sequence): Promise<Difference | undefined> {
    const [left, right] = await Promise.all([this.#left.play(sequence), this.#right.play(sequence)])
    return firstDifference(sequence, left, right)
  }

  /** The smallest difference that can be made of this one; undefined if it does not come again. */
  async shrink({ sequence }: Difference): Promise<Difference | undefined> {
    let smallest: Difference | undefined
    const fails = async (candidate: Sequence) => {
      const difference = await this.compare(candidate)
      smallest = difference ?? smallest
      return difference !== undefined
    }
    for (let attempt = 0; attempt < 3; attempt++) {
      if (await fails(sequence)) await shrink(smallest!.sequence, smaller, fails)
    }
    return smallest
  }

  async close(): Promise<void> {
    await Promise.all([this.#left.close(), this.#right.close()])
  }
}

export const explain = (
  { left, right, sequence, step }: Difference,
  [leftName, rightName]: readonly [string, string]
) => {
  const show = (name: string, replies: ReadonlyArray<string>) =>
    `${name}:\n${replies.map((reply) => `  ${JSON.stringify(reply)}\n`).join("")}`
  const where = step < sequence.steps.length ? `in step ${step}` : "at the end"
  return `${print(sequence)}\n\nThe replies differ ${where}.\n${show(leftName, left)}${show(rightName, right)}`
}
