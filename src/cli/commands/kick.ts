/**
 * `kick`: makes the next jobs of a tube ready, or selected ones.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { MAX_UINT32 } from "../../internal/protocol/scalars.ts"
import { commands } from "../../Protocol.ts"
import { BATCH, connect, openPipeline } from "../connect.ts"
import { documented } from "../documented.ts"
import { wrongUsage } from "../failures.ts"
import { BoundedInt, dryRun, use } from "../flags.ts"
import { batch, firstFailure } from "../jobs/batch.ts"
import { select, type Selection, selectionFlags } from "../jobs/selection.ts"
import { isUnsure, takeJobs } from "../jobs/taking.ts"
import { result } from "../terminal/output.ts"

const KICKABLE = ["buried", "delayed"] as const

const kickSelected = Effect.fnUntraced(function*(selection: Selection, isDry: boolean) {
  const pipeline = yield* openPipeline
  yield* takeJobs({
    pipeline,
    selection,
    done: "kicked",
    unsure: "may have been kicked: the answers were lost",
    atOnce: BATCH,
    inOrder: true,
    isDry,
    take: Effect.fnUntraced(function*(ids, _, tally) {
      const answers = yield* batch(pipeline, commands.kickJob, ids.map((id) => [id]))
      tally.done += answers.filter(Exit.isSuccess).length
      tally.unsure += answers.filter(isUnsure).length
      yield* firstFailure(answers)
    })
  })
}, Effect.scoped)

export const kick = Command.make(
  "kick",
  {
    bound: BoundedInt(Flag.String("bound"), 0, MAX_UINT32).pipe(
      Flag.withAlias("b"),
      Flag.withMetavar("N"),
      Flag.withDescription("How many jobs at most, default 1"),
      Flag.optional
    ),
    use,
    ...selectionFlags(KICKABLE, "Kick"),
    dryRun
  },
  Effect.fnUntraced(function*({ bound, dryRun, use, ...flags }) {
    if (Option.isSome(bound) && Option.isSome(flags.count)) {
      return yield* wrongUsage("either -b or -n, not both", "kick")
    }
    const count = Option.orElse(flags.count, () => bound)
    const selects = dryRun || flags.states.length > 0 || flags.ids.length > 0 || Option.isSome(flags.older) ||
      Option.isSome(flags.body)
    if (selects) return yield* kickSelected(select(use, KICKABLE, { ...flags, count }), dryRun)
    const client = yield* connect
    const kicked = yield* client.kick(use, Math.min(MAX_UINT32, Option.getOrElse(count, () => 1)))
    yield* result(String(kicked), { kicked })
  }, Effect.scoped)
).pipe(documented({
  description:
    "Make the next buried jobs of a tube ready, or the next delayed jobs if none is buried, and print how many. With " +
    "--state, --older, --body or --ids all jobs that are selected, up to -n",
  short: "Make buried or delayed jobs of a tube ready",
  examples: {
    "beanstalk kick -b 100 -u emails": "Make up to 100 jobs of the tube emails ready",
    "beanstalk kick -u emails --state buried --body timeout": "Make the buried jobs with this text in their body ready"
  }
}))
