/**
 * `drain`: deletes the jobs of a tube.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Stdio } from "effect/Stdio"
import { commands } from "../../Protocol.ts"
import { BATCH, openPipeline } from "../connect.ts"
import { documented } from "../documented.ts"
import { dryRun, switchedOff, tubeArgument } from "../flags.ts"
import { batch, firstFailure } from "../jobs/batch.ts"
import { onSelected } from "../jobs/onSelected.ts"
import { isFiltered, select, type Selection, selectionFlags, STATES } from "../jobs/selection.ts"
import { isUnsure, takeJobs } from "../jobs/taking.ts"
import { confirm } from "../terminal/confirm.ts"
import { countOfJobs } from "../terminal/output.ts"

export const drain = Command.make(
  "drain",
  {
    tube: tubeArgument("tube", "The tube to empty"),
    ...selectionFlags(STATES, "Delete"),
    yes: switchedOff("yes", "Do not ask; without a terminal nobody is asked").pipe(Flag.withAlias("y")),
    dryRun
  },
  Effect.fnUntraced(function*({ dryRun, tube, yes, ...flags }) {
    const stdio = yield* Stdio
    const ask = (selection: Selection, server: string) => (count: number) => {
      const all = count === Infinity ? "all jobs" : countOfJobs(count)
      const which = isFiltered(selection) || flags.states.length > 0 || selection.count < Infinity ? "selected " : ""
      return confirm(`Delete ${which}${all} of the tube ${tube} on ${server}?`).pipe(
        Effect.provideService(Stdio, stdio)
      )
    }
    const drainOne = Effect.fnUntraced(function*(selection: Selection) {
      const pipeline = yield* openPipeline
      return yield* takeJobs({
        pipeline,
        selection,
        done: "deleted",
        unsure: "may have been deleted: the answers were lost",
        atOnce: BATCH,
        inOrder: false,
        isDry: dryRun,
        confirm: yes ? undefined : ask(selection, pipeline.server),
        take: Effect.fnUntraced(function*(ids, _, tally) {
          const answers = yield* batch(pipeline, commands.delete, ids.map((id) => [id]))
          tally.done += answers.filter(Exit.isSuccess).length
          tally.unsure += answers.filter(isUnsure).length
          yield* firstFailure(answers)
        })
      })
    }, Effect.scoped)
    yield* onSelected(select(tube, STATES, flags), drainOne)
  })
).pipe(documented({
  description:
    "Delete the jobs of a tube except reserved ones, or only selected ones, and print how many. On a terminal it asks first. " +
    "Ctrl-C stops between two batches, and tells exactly how many were deleted",
  short: "Delete the jobs of a tube",
  examples: {
    "beanstalk drain emails --state buried": "Delete the buried jobs",
    "beanstalk drain emails --older \"7 days\" --dry-run": "Print how many jobs are at least a week old",
    "beanstalk drain emails --yes": "Delete everything except the jobs that workers have reserved, without asking"
  }
}))
