/**
 * Results, on stdout, and everything else, on stderr.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isUtf8 } from "node:buffer"
import type { RawJob } from "../../Protocol.ts"
import { Failed } from "../failed.ts"
import { beanstalk } from "../root.ts"

/** Whoever read our stdout has gone: `| head`. That is no error, unless work was left undone for it. */
export class OutputClosed extends Schema.TaggedError<OutputClosed>("effect-beanstalkd/cli/OutputClosed")(
  "OutputClosed",
  { isUndone: Schema.Boolean }
) {}

const writeFailed = (error: NodeJS.ErrnoException) =>
  error.code === "EPIPE"
    ? new OutputClosed({ isUndone: false })
    : new Failed({ message: `cannot write to stdout: ${error.message}` })

/** Writes results, and returns when they have been handed over. */
export const write = (text: string): Effect.Effect<void, OutputClosed | Failed> =>
  text === "" ? Effect.void : Effect.callback((resume) => {
    process.stdout.write(text, (error) => resume(error ? Effect.fail(writeFailed(error)) : Effect.void))
  })

/** For commands that change something: if nobody reads on, they have not done what they were told. */
export const undoneIfClosed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.catchIf(effect, (error) => error instanceof OutputClosed, () => new OutputClosed({ isUndone: true }))

/** Says something that is not a result. */
export const note = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stderr.write(`${text}\n`)
  })

/** So many jobs, in words. */
export const countOfJobs = (count: number): string => count === 1 ? "1 job" : `${count} jobs`

/** Prints a result: for people, or as JSON if that was asked for. */
export const result = Effect.fnUntraced(function*(human: string, json: object) {
  const flags = yield* beanstalk
  yield* write(flags.json ? `${JSON.stringify(json)}\n` : human === "" ? "" : `${human}\n`)
})

/** Prints a value as JSON: indented, or in one line if it is for machines. */
export const printJson = Effect.fnUntraced(function*(value: unknown) {
  const flags = yield* beanstalk
  yield* write(`${JSON.stringify(value, undefined, flags.json ? undefined : 2)}\n`)
})

/** A body in JSON: as text if it is UTF-8, otherwise as base64, which is then said. */
export const bodyFields = (
  job: Pick<RawJob, "body" | "text">,
  base64 = false
): { readonly body: string; readonly encoding?: "base64" } =>
  !base64 && isUtf8(job.body)
    ? { body: job.text }
    : { body: Buffer.from(job.body).toString("base64"), encoding: "base64" }

/** Prints a job, with the keys that beanstalkt prints. */
export const printJob = (job: Pick<RawJob, "id" | "body" | "text">, base64: boolean) =>
  printJson({ ...bodyFields(job, base64), id: job.id })
