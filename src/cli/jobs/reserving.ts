/**
 * Reserving a certain job. beanstalkd has a command for it since 1.12; on older servers a job is certain only after it was
 * reserved.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Errors from "../../Errors.ts"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import { JobId } from "../../internal/protocol/scalars.ts"
import { commands, type RawJob } from "../../Protocol.ts"
import type { JobStats } from "../../Stats.ts"
import { Failed } from "../failures.ts"
import { batch, firstFailure, ifThere, values } from "./batch.ts"

const NO_JOB = JobId.make(0)

/** Whether the server can reserve a job by its id. */
export const canReserveById = (pipeline: Pipeline) =>
  pipeline.run(ifThere.reserveJob, NO_JOB).pipe(
    Effect.as(true),
    Effect.catchReason("BeanstalkdError", "UnknownCommand", () => Effect.succeed(false))
  )

/** What a server cannot do that has no `reserve-job`, in one line. */
export const needsReserveJob = (what: string, server: string, instead = ""): Failed =>
  new Failed({
    message: `UNKNOWN_COMMAND: ${what} needs reserve-job, which ${server} does not have: beanstalkd 1.12 can${instead}`
  })

/** Watches a tube in place of another one, which is `default` at first. */
export const watchInstead = Effect.fnUntraced(function*(pipeline: Pipeline, tube: string, other = "default") {
  yield* pipeline.run(commands.watch, tube)
  if (tube !== other) yield* pipeline.run(commands.ignore, other)
})

/** Reserves ready jobs of the watched tubes, as many as there are up to this number, without waiting. */
export const reserveSome = Effect.fnUntraced(function*(pipeline: Pipeline, most: number) {
  const answers = yield* batch(pipeline, commands.reserveWithTimeout, Array.from({ length: most }, () => [0] as const))
  yield* firstFailure(answers.filter((answer) => !endsSearch(answer)))
  return answers.filter(Exit.isSuccess).map(({ value }): RawJob => value)
})

// No more is ready; or a job that is held must be settled first.
const endsSearch = (answer: Exit.Exit<unknown, unknown>): boolean => {
  if (Exit.isSuccess(answer)) return false
  const error = Cause.squash(answer.cause)
  return error instanceof Errors.TimedOut || error instanceof Errors.DeadlineSoon
}

/** Releases reserved jobs as they were. */
export const releaseAll = Effect.fnUntraced(function*(pipeline: Pipeline, ids: ReadonlyArray<JobId>) {
  const stats = yield* values(yield* batch(pipeline, ifThere.statsJob, ids.map((id) => [id])))
  const known = stats.filter((one): one is JobStats => one !== undefined)
  yield* batch(pipeline, commands.release, known.map(({ id, pri }) => [id, { priority: pri }] as const))
})
