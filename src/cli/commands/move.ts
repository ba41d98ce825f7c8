/**
 * `move`: moves jobs from one tube to another, on the same server or on another one.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import { commands } from "../../Protocol.ts"
import { openPipeline, openPipelineWith, optionsOfUrl } from "../connect.ts"
import { documented } from "../documented.ts"
import { wrongUsage } from "../failures.ts"
import { dryRun, switchedOff, tubeArgument } from "../flags.ts"
import { bodiesAtOnce } from "../jobs/listing.ts"
import { onSelected } from "../jobs/onSelected.ts"
import { moveSome, type Moving } from "../jobs/moving.ts"
import { canReserveById, watchInstead } from "../jobs/reserving.ts"
import { isFiltered, select, type Selection, selectionFlags, STATES } from "../jobs/selection.ts"
import { takeJobs } from "../jobs/taking.ts"

const SAME_TUBE = "the two tubes are the same"

const toUrl = Flag.String("to-url").pipe(
  Flag.withMetavar("URL"),
  Flag.withDescription("Server of the tube TO, in the form of --url; by default the same server"),
  Flag.optional
)

// Copies in the tube that is emptied would be moved again, without end. Several addresses can lead to one server.
const isSameServer = Effect.fnUntraced(function*(a: Pipeline, b: Pipeline) {
  const [one, other] = yield* Effect.all([a.run(commands.stats), b.run(commands.stats)], { concurrency: "unbounded" })
  return one.pid === other.pid && one.id === other.id && one.hostname === other.hostname
})

export const move = Command.make(
  "move",
  {
    from: tubeArgument("from", "The tube to take jobs from"),
    to: tubeArgument("to", "The tube to put them into"),
    ...selectionFlags(STATES, "Move"),
    ready: switchedOff(
      "ready",
      "Put all jobs as ready; by default buried jobs stay buried and delayed jobs stay delayed"
    ),
    toUrl,
    dryRun
  },
  Effect.fnUntraced(function*({ dryRun, from, ready, to, toUrl, ...flags }) {
    const isElsewhere = Option.isSome(toUrl)
    if (from === to && !isElsewhere) return yield* wrongUsage(SAME_TUBE, "move")
    const moveOne = Effect.fnUntraced(function*(selection: Selection) {
      const pipeline = yield* openPipeline
      const target = isElsewhere
        ? yield* openPipelineWith(yield* optionsOfUrl(toUrl.value))
        : pipeline
      if (from === to && (yield* isSameServer(pipeline, target))) return yield* wrongUsage(SAME_TUBE, "move")
      const canReserve = yield* canReserveById(pipeline)
      const holdReady = canReserve ? "by id" : isFiltered(selection) ? "not at all" : "by reserving any"
      if (holdReady === "by reserving any") yield* watchInstead(pipeline, from)
      const moving: Moving = {
        pipeline,
        target,
        from,
        to,
        states: selection.states,
        asReady: ready,
        holdReady,
        canBury: target === pipeline ? canReserve : yield* canReserveById(target)
      }
      return yield* takeJobs({
        pipeline,
        selection,
        done: "moved",
        unsure: "may be in both tubes",
        atOnce: yield* bodiesAtOnce(pipeline),
        inOrder: true,
        isDry: dryRun,
        take: (ids, state, tally) => moveSome(moving, ids, state, tally)
      })
    }, Effect.scoped)
    yield* onSelected(select(from, STATES, flags), moveOne)
  })
).pipe(documented({
  description:
    "Move jobs to another tube, with their state, priority, ttr and the rest of their delay, and print how many. Each job " +
    "is copied first and deleted second: a crash in between can duplicate it, never lose it. Ids and counters are new. " +
    "Reserved jobs stay. Ctrl-C stops between two batches, and tells exactly how many were moved",
  short: "Move jobs to another tube",
  examples: {
    "beanstalk move emails emails-old": "Move all jobs except reserved ones",
    "beanstalk move emails retry --state buried --ready": "Retry the buried jobs",
    "beanstalk move emails spam --body viagra -n 100": "Move up to 100 jobs with this text in their body",
    "beanstalk move emails emails --to-url beanstalk://10.0.0.2": "Move the jobs to another server"
  }
}))
