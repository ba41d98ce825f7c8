/**
 * The jobs of a tube, found from its heads. The protocol shows only the next job of each state, which would cost a round trip
 * per job. But jobs that were put together have ids that lie together, so the ids around a head are looked up as well, in
 * one round trip: as many as pay off.
 */
import * as Effect from "effect/Effect"
import type * as Errors from "../../Errors.ts"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import { JobId } from "../../internal/protocol/scalars.ts"
import { batch, ifThere, values } from "./batch.ts"
import type { State } from "./selection.ts"

/** How many ids are looked up around a head, at first, at least and at most. */
const FIRST_WINDOW = 64
const SMALLEST_WINDOW = 16
const LARGEST_WINDOW = 4096

/** The most jobs that are taken in the order of their ids where the order of burial counts. */
const LONGEST_RUN = 256

const peeks = { ready: ifThere.peekReady, delayed: ifThere.peekDelayed, buried: ifThere.peekBuried }

type Failure = Errors.InvalidArgument | Errors.BeanstalkdError

export interface HeadsOptions {
  readonly pipeline: Pipeline
  readonly tube: string
  readonly state: State
  /** Whether buried jobs are to come in the order in which they were buried. */
  readonly inOrder: boolean
}

/** Finds the jobs of one state of a tube, for a command that takes them away as they are found. */
export class Heads {
  readonly #options: HeadsOptions
  #window = FIRST_WINDOW
  #run = 1
  #found: Array<JobId> = []

  constructor(options: HeadsOptions) {
    this.#options = options
  }

  /** Some of the jobs that are left, or undefined if none is. */
  next(most: number): Effect.Effect<ReadonlyArray<JobId> | undefined, Failure> {
    return Effect.gen({ self: this }, function*() {
      if (this.#found.length === 0) {
        const head = yield* this.#options.pipeline.run(peeks[this.#options.state], this.#options.tube)
        if (head === undefined) return undefined
        this.#found = [...yield* this.#around(head.id)]
      }
      return this.#found.splice(0, most)
    })
  }

  #around(head: JobId): Effect.Effect<ReadonlyArray<JobId>, Failure> {
    const { inOrder, pipeline, state, tube } = this.#options
    const isRun = inOrder && state === "buried"
    const from = isRun ? head : Math.max(1, head - Math.floor(this.#window / 2))
    const ids = Array.from({ length: this.#window }, (_, i) => JobId.make(from + i))
    return batch(pipeline, ifThere.statsJob, ids.map((id) => [id])).pipe(
      Effect.flatMap(values),
      Effect.map((answers) => {
        const others = ids.filter((id, i) => id !== head && answers[i]?.state === state && answers[i].tube === tube)
        this.#adapt(others.length)
        return isRun ? this.#inRun([head, ...others]) : [head, ...others].toSorted((a, b) => a - b)
      }),
      // A server that has no stats-job still shows its heads.
      Effect.catchReason("BeanstalkdError", "UnknownCommand", () => Effect.succeed([head]))
    )
  }

  // Nobody tells in which order jobs were buried. Few at a time first, so that the order of few jobs is kept to the letter.
  #inRun(ids: ReadonlyArray<JobId>): ReadonlyArray<JobId> {
    const run = ids.slice(0, this.#run)
    this.#run = Math.min(LONGEST_RUN, this.#run * 2)
    return run
  }

  #adapt(found: number): void {
    if (found * 4 >= this.#window) this.#window = Math.min(LARGEST_WINDOW, this.#window * 4)
    else if (found < 2) this.#window = Math.max(SMALLEST_WINDOW, this.#window / 4)
  }
}
