/**
 * `move`: jobs from one tube to another, on the same server or elsewhere.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { connect as connectPipeline } from "../../internal/connection/connect.ts"
import { commands, type RawJob } from "../../Protocol.ts"
import { ifThere } from "../jobs/batch.ts"
import { connect, openPipeline, serverOptions } from "../connect.ts"
import { putCopies } from "../jobs/copy.ts"
import { deleteAndPeek, emptyTube, peekHead, type State, states } from "../jobs/heads.ts"
import { wrongUsage } from "../failures.ts"
import { switchedOff, tubeArgument } from "../flags.ts"
import { delayLeft } from "../jobs/record.ts"

const toUrl = Flag.String("to-url").pipe(
  Flag.withMetavar("URL"),
  Flag.withDescription("The server of the tube TO, as with --url; by default the same"),
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
      "Put all as ready, whatever they were; by default buried ones are buried, delayed delayed"
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

    // A ready job is reserved while it is copied, lest a worker takes it meanwhile: should we die, it is ready again. That
    // would be wrong for the others, so with them a worker may be faster.
    const hold = ({ id }: RawJob, state: State) =>
      state === "ready" ? pipeline.run(ifThere.reserveJob, id) : pipeline.run(ifThere.peek, id)

    const moveOne = Effect.fnUntraced(function*(head: RawJob, state: State) {
      const [stats, job] = yield* Effect.all([pipeline.run(ifThere.statsJob, head.id), hold(head, state)], {
        concurrency: "unbounded"
      })
      // Taken by somebody in this very moment.
      if (stats === undefined || job === undefined) {
        return { isDone: false, next: yield* peekHead(pipeline, from, state) }
      }
      const { pri: priority, ttr } = stats
      const as = ready ? "ready" as const : stats.state
      const copy = { tube: to, state: as, priority, delay: delayLeft(stats), ttr, body: job.body }
      const [put] = yield* putCopies(target, [copy])
      const id = yield* put!
      const step = yield* deleteAndPeek(pipeline, job.id, from, state)
      // A worker was faster: the job is its, and the copy one too many.
      if (!step.isDone) yield* Effect.ignore(target.run(commands.delete, id))
      return step
    })

    yield* emptyTube({ pipeline, tube: from, states, done: "moved", step: moveOne })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Move jobs to another tube, with their state, priority, ttr and what is left of their delay, and print how many. The " +
      "copy is put before the original is deleted: whatever happens, no job is lost, though one may be there twice. Ids " +
      "and counters are new; reserved jobs stay"
  ),
  Command.withShortDescription("Move jobs to another tube"),
  Command.withExamples([
    { command: "beanstalk move emails emails-old", description: "All but those that are reserved" },
    { command: "beanstalk move emails retry --state buried --ready", description: "Another try for the buried ones" },
    { command: "beanstalk move emails emails --to-url beanstalk://10.0.0.2", description: "To another server" }
  ])
)
