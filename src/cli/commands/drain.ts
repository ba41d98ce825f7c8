/**
 * `drain`: deletes the jobs of a tube.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { connect, openPipeline } from "../connect.ts"
import { deleteAndPeek, emptyTube, states } from "../jobs/heads.ts"
import { tubeArgument } from "../flags.ts"

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
).pipe(
  Command.withDescription(
    "Delete all jobs of a tube that nobody has reserved, and print how many. Ctrl-C ends it after the job it is at"
  ),
  Command.withShortDescription("Delete the jobs of a tube"),
  Command.withExamples([
    { command: "beanstalk drain emails --state buried", description: "Clear the buried jobs" },
    { command: "beanstalk drain emails", description: "Leave nothing but what workers have in hand" }
  ])
)
