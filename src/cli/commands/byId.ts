/**
 * `delete`, `bury`, `kick-job`: jobs named by their ids; `kick`: the next jobs of a tube.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { commands } from "../../Protocol.ts"
import { type JobId, MAX_UINT32 } from "../../internal/protocol/scalars.ts"
import { connect, openPipeline } from "../connect.ts"
import { documented } from "../documented.ts"
import { describe } from "../failures.ts"
import { BoundedInt, idArgument, newPriority, use } from "../flags.ts"
import { buryJob } from "../jobs/buryUnreserved.ts"
import { note, result } from "../terminal/output.ts"

// A failure does not stop the other jobs. Each failure gets its line, and the last one decides the exit code.
const each = Effect.fnUntraced(
  function*<E, R>(ids: ReadonlyArray<JobId>, f: (id: JobId) => Effect.Effect<unknown, E, R>) {
    const failures: Array<E> = []
    const results = yield* Effect.forEach(ids, (id) => Effect.result(f(id)), { concurrency: 256 })
    for (const [i, outcome] of results.entries()) {
      if (Result.isFailure(outcome)) failures.push(outcome.failure)
      else yield* result("", { id: ids[i] })
    }
    const last = failures.pop()
    for (const failure of failures) yield* note(describe(failure))
    if (last !== undefined) return yield* Effect.fail(last)
  }
)

const ids = idArgument("Ids of the jobs").pipe(Argument.atLeast(1))

export const deleteJobs = Command.make(
  "delete",
  { ids },
  Effect.fnUntraced(function*({ ids }) {
    const client = yield* connect
    yield* each(ids, client.delete)
  }, Effect.scoped)
).pipe(documented({
  description: "Delete jobs that are ready, delayed or buried",
  examples: {
    "beanstalk delete 42": "Delete job 42",
    "beanstalk jobs emails --body spam | cut -f1 | xargs beanstalk delete":
      "Delete all jobs with \"spam\" in their body"
  }
}))

export const bury = Command.make(
  "bury",
  { ids, priority: newPriority },
  Effect.fnUntraced(function*({ ids, priority }) {
    yield* Effect.scoped(connect)
    const pipeline = yield* openPipeline
    yield* each(ids, (id) =>
      Effect.flatMap(
        Option.isSome(priority)
          ? Effect.succeed(priority.value)
          : Effect.map(pipeline.run(commands.statsJob, id), ({ pri }) => pri),
        (pri) => buryJob(pipeline, id, pri)
      ))
  }, Effect.scoped)
).pipe(documented({
  description: "Bury jobs that are ready or delayed, so that no worker gets them until they are kicked",
  examples: { "beanstalk bury 42 43": "Bury jobs 42 and 43" }
}))

export const kickJob = Command.make(
  "kick-job",
  { ids },
  Effect.fnUntraced(function*({ ids }) {
    const client = yield* connect
    yield* each(ids, client.kickJob)
  }, Effect.scoped)
).pipe(documented({
  description: "Make buried or delayed jobs ready",
  examples: { "beanstalk kick-job 42": "Make job 42 ready" }
}))

export const kick = Command.make(
  "kick",
  {
    bound: BoundedInt(Flag.String("bound"), 0, MAX_UINT32).pipe(
      Flag.withAlias("b"),
      Flag.withMetavar("N"),
      Flag.withDescription("How many jobs at most, default 1"),
      Flag.withDefault(1)
    ),
    use
  },
  Effect.fnUntraced(function*({ bound, use }) {
    const client = yield* connect
    const kicked = yield* client.kick(use, bound)
    yield* result(String(kicked), { kicked })
  }, Effect.scoped)
).pipe(documented({
  description:
    "Make the next buried jobs of a tube ready, or the next delayed jobs if none is buried, and print how many",
  examples: { "beanstalk kick -b 100 -u emails": "Make up to 100 jobs of the tube emails ready" }
}))
