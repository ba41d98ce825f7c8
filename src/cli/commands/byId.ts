/**
 * `delete`, `bury`, `kick-job`, `touch`: jobs named by their ids.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Errors from "../../Errors.ts"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import type { JobId } from "../../internal/protocol/scalars.ts"
import { commands } from "../../Protocol.ts"
import { openPipeline, withServer } from "../connect.ts"
import { onServersOf } from "../servers.ts"
import { documented } from "../documented.ts"
import { describe, NothingThere } from "../failures.ts"
import { newPriority } from "../flags.ts"
import { idOn, jobArgument, type NamedJob } from "../jobNames.ts"
import { buryByReserving, buryJob } from "../jobs/burying.ts"
import { canReserveById } from "../jobs/reserving.ts"
import { note, result } from "../terminal/output.ts"

// A failure does not stop the other jobs. Each failure gets its line, and the last one decides the exit code.
const each = Effect.fnUntraced(function*<E, R>(
  pipeline: Pipeline,
  jobs: ReadonlyArray<NamedJob>,
  f: (id: JobId) => Effect.Effect<unknown, E, R>,
  concurrency = 256
) {
  const ids: Array<JobId> = []
  // A job of another server is refused before anything is done.
  for (const job of jobs) ids.push(yield* idOn(pipeline.server, job))
  const failures: Array<E> = []
  const results = yield* Effect.forEach(ids, (id) => Effect.result(f(id)), { concurrency })
  for (const [i, outcome] of results.entries()) {
    if (Result.isFailure(outcome)) failures.push(outcome.failure)
    else yield* result("", yield* withServer({ id: ids[i] }))
  }
  const last = failures.pop()
  for (const failure of failures) yield* note(describe(failure))
  if (last !== undefined) return yield* Effect.fail(last)
})

/** A command on jobs, which `f` gets with a connection to their server. */
const onJobs = <E, R>(
  ids: ReadonlyArray<NamedJob>,
  f: (pipeline: Pipeline, jobs: ReadonlyArray<NamedJob>) => Effect.Effect<void, E, R>
) => onServersOf(ids, (jobs) => Effect.scoped(Effect.flatMap(openPipeline, (pipeline) => f(pipeline, jobs))))

const ids = jobArgument("Ids of the jobs").pipe(Argument.atLeast(1))

export const deleteJobs = Command.make(
  "delete",
  { ids },
  ({ ids }) => onJobs(ids, (pipeline, jobs) => each(pipeline, jobs, (id) => pipeline.run(commands.delete, id)))
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
  ({ ids, priority }) =>
    onJobs(
      ids,
      Effect.fnUntraced(function*(pipeline, jobs) {
        const byId = yield* canReserveById(pipeline)
        const buryOne = Effect.fnUntraced(function*(id: JobId) {
          // With a priority and a server that can reserve by id, the statistics would be a round trip for nothing.
          if (byId && Option.isSome(priority)) return yield* buryJob(pipeline, id, priority.value)
          const stats = yield* pipeline.run(commands.statsJob, id)
          const pri = Option.getOrElse(priority, () => stats.pri)
          yield* byId ? buryJob(pipeline, id, pri) : buryByReserving(pipeline, stats, pri)
        })
        yield* each(pipeline, jobs, buryOne, byId ? undefined : 1)
      })
    )
).pipe(documented({
  description:
    "Bury jobs that are ready or delayed, so that no worker gets them until they are kicked. On servers before 1.12, which " +
    "cannot reserve a certain job, only jobs that are ready, by reserving the jobs before them for a moment",
  short: "Bury jobs that are ready or delayed, so that no worker gets them until they are kicked",
  examples: { "beanstalk bury 42 43": "Bury jobs 42 and 43" }
}))

export const kickJob = Command.make(
  "kick-job",
  { ids },
  ({ ids }) => onJobs(ids, (pipeline, jobs) => each(pipeline, jobs, (id) => pipeline.run(commands.kickJob, id)))
).pipe(documented({
  description: "Make buried or delayed jobs ready",
  examples: { "beanstalk kick-job 42": "Make job 42 ready" }
}))

// The protocol lets nobody else touch a job, and this connection has reserved none. The line says so, and what the job is.
const explainTouch = Effect.fnUntraced(function*(pipeline: Pipeline, id: JobId) {
  const { state, timeLeft } = yield* pipeline.run(commands.statsJob, id)
  const what = state === "reserved"
    ? `is reserved by another connection, which alone can touch it; ${timeLeft} s of its time are left`
    : `is ${state}, and only a reserved job has a time to renew`
  return yield* new NothingThere({ message: `NOT_FOUND: job ${id} on ${pipeline.server} ${what}` })
})

export const touch = Command.make(
  "touch",
  { ids },
  ({ ids }) =>
    onJobs(ids, (pipeline, jobs) =>
      each(pipeline, jobs, (id) =>
        Effect.catchIf(
          pipeline.run(commands.touch, id),
          (error) => error instanceof Errors.NotFound,
          () => explainTouch(pipeline, id)
        )))
).pipe(documented({
  description:
    "Renew the time to run of reserved jobs. A server lets only the connection do this that has reserved the job, so for the " +
    "jobs of others this tells who may, and how much time is left. work touches its jobs by itself",
  short: "Renew the time to run of a reserved job, or tell why not",
  examples: { "beanstalk touch 42": "Ask for more time for job 42" }
}))
