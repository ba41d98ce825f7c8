/**
 * `drain`: deletes the jobs of a tube.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { connect, openPipeline } from "../connect.ts"
import { documented } from "../documented.ts"
import { tubeArgument } from "../flags.ts"
import { deleteAndPeek, emptyTube, states } from "../jobs/heads.ts"

export const drain = Command.make(
  "drain",
  { tube: tubeArgument("tube", "The tube to empty"), states },
  Effect.fnUntraced(function*({ states, tube }) {
    yield* Effect.scoped(connect)
    const pipeline = yield* openPipeline
    yield* emptyTube({
      pipeline,
      tube,
      states,
      done: "deleted",
      step: ({ id }, state) => deleteAndPeek(pipeline, id, tube, state)
    })
  }, Effect.scoped)
).pipe(documented({
  description: "Delete all jobs of a tube except reserved ones, and print how many. Ctrl-C stops after the current job",
  short: "Delete the jobs of a tube",
  examples: {
    "beanstalk drain emails --state buried": "Delete the buried jobs",
    "beanstalk drain emails": "Delete everything except the jobs that workers have reserved"
  }
}))
