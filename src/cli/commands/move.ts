/**
 * `move`: moves jobs from one tube to another, on the same server or on another one.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { connect as connectPipeline } from "../../internal/connection/connect.ts"
import { commands, type RawJob } from "../../Protocol.ts"
import { ifThere } from "../jobs/batch.ts"
import { connect, openPipeline, serverOptions } from "../connect.ts"
import { documented } from "../documented.ts"
import { putCopies } from "../jobs/copy.ts"
import { deleteAndPeek, emptyTube, peekHead, type State, states } from "../jobs/heads.ts"
import { wrongUsage } from "../failures.ts"
import { switchedOff, tubeArgument } from "../flags.ts"
import { delayLeft } from "../jobs/record.ts"

const toUrl = Flag.String("to-url").pipe(
  Flag.withMetavar("URL"),
  Flag.withDescription("Server of the tube TO, in the form of --url; by default the same server"),
  Flag.optional
)

export const move = Command.make(
  "move",
  {
    from: tubeArgument("from", "The tube to take jobs from"),
    to: tubeArgument("to", "The tube to put them into"),
    states,
    ready: switchedOff(
      "ready",
      "Put all jobs as ready; by default buried jobs stay buried and delayed jobs stay delayed"
    ),
    toUrl
  },
  Effect.fnUntraced(function*({ from, ready, states, to, ...flags }) {
    if (from === to && Option.isNone(flags.toUrl)) return yield* wrongUsage("the two tubes are the same", "move")
    yield* Effect.scoped(connect)
    const pipeline = yield* openPipeline
    const target = Option.isNone(flags.toUrl) ? pipeline : yield* connectPipeline("Connection.make", {
      ...yield* serverOptions,
      host: undefined,
      port: undefined,
      url: flags.toUrl.value
    })

    // Reserving a ready job keeps workers away while it is copied, and if this process dies the job is ready again. Delayed
    // and buried jobs would come back in the wrong state, so a worker may take them first.
    const hold = ({ id }: RawJob, state: State) =>
      state === "ready" ? pipeline.run(ifThere.reserveJob, id) : pipeline.run(ifThere.peek, id)

    const moveOne = Effect.fnUntraced(function*(head: RawJob, state: State) {
      const [stats, job] = yield* Effect.all([pipeline.run(ifThere.statsJob, head.id), hold(head, state)], {
        concurrency: "unbounded"
      })
      // A worker has just taken it.
      if (stats === undefined || job === undefined) {
        return { isDone: false, next: yield* peekHead(pipeline, from, state) }
      }
      const { pri: priority, ttr } = stats
      const as = ready ? "ready" as const : stats.state
      const copy = { tube: to, state: as, priority, delay: delayLeft(stats), ttr, body: job.body }
      const [put] = yield* putCopies(target, [copy])
      const id = yield* put!
      const step = yield* deleteAndPeek(pipeline, job.id, from, state)
      // A worker took the original before it was deleted, so the copy must go.
      if (!step.isDone) yield* Effect.ignore(target.run(commands.delete, id))
      return step
    })

    yield* emptyTube({ pipeline, tube: from, states, done: "moved", step: moveOne })
  }, Effect.scoped)
).pipe(documented({
  description:
    "Move jobs to another tube, with their state, priority, ttr and the rest of their delay, and print how many. Each job " +
    "is copied first and deleted second: a crash in between can duplicate it, never lose it. Ids and counters are new. " +
    "Reserved jobs stay",
  short: "Move jobs to another tube",
  examples: {
    "beanstalk move emails emails-old": "Move all jobs except reserved ones",
    "beanstalk move emails retry --state buried --ready": "Retry the buried jobs",
    "beanstalk move emails emails --to-url beanstalk://10.0.0.2": "Move the jobs to another server"
  }
}))
