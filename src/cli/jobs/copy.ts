/**
 * Putting a copy of a job, with its state, its priority, its ttr and the rest of its delay.
 */
import * as Effect from "effect/Effect"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import { commands } from "../../Protocol.ts"
import type { JobState } from "../../Stats.ts"
import { type JobId, MAX_UINT32 } from "../../internal/protocol/scalars.ts"
import { batch } from "./batch.ts"
import { buryJob } from "./burying.ts"

/** A job to put. `delay` and `ttr` are in seconds. A reserved job is put as ready. */
export interface Copy {
  readonly tube: string
  readonly state: JobState
  readonly priority: number
  readonly delay: number
  readonly ttr: number
  readonly body: string | Uint8Array
}

// No worker may get a copy before it is buried, even if this process dies first: it gets the longest possible delay.
const delayOf = ({ delay, state }: Copy): number => state === "buried" ? MAX_UINT32 : state === "delayed" ? delay : 0

const buryCopy = (pipeline: Pipeline, id: JobId, priority: number) =>
  buryJob(pipeline, id, priority).pipe(
    Effect.onError(() => Effect.ignore(pipeline.run(commands.delete, id))),
    Effect.as(id)
  )

/** Puts copies in their order, and returns the id or the failure of each. */
export const putCopies = Effect.fnUntraced(function*(pipeline: Pipeline, copies: ReadonlyArray<Copy>) {
  const answers = yield* batch(
    pipeline,
    commands.put,
    copies.map((copy) =>
      [copy.body, { priority: copy.priority, delay: delayOf(copy) * 1000, ttr: copy.ttr * 1000 }, copy.tube] as const
    )
  )
  return yield* Effect.forEach(answers, (answer, i) => {
    const { priority, state } = copies[i]!
    return state === "buried"
      ? Effect.exit(Effect.flatMap(answer, (id) => buryCopy(pipeline, id, priority)))
      : Effect.exit(answer)
  }, { concurrency: "unbounded" })
}, Effect.uninterruptible)
