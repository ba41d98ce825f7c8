/**
 * Results go to stdout, everything else goes to stderr.
 */
import * as Effect from "effect/Effect"
import type { RawJob } from "../../Protocol.ts"
import { Failed, OutputClosed } from "../failures.ts"
import { shown } from "../jobs/body.ts"
import { beanstalk } from "../root.ts"

const writeFailed = (error: NodeJS.ErrnoException) =>
  error.code === "EPIPE"
    ? new OutputClosed({ isUndone: false })
    : new Failed({ message: `cannot write to stdout: ${error.message}` })

/** Writes results, and returns when stdout has taken them. */
export const write = (text: string | Uint8Array): Effect.Effect<void, OutputClosed | Failed> =>
  text.length === 0 ? Effect.void : Effect.callback((resume) => {
    process.stdout.write(text, (error) => resume(error ? Effect.fail(writeFailed(error)) : Effect.void))
  })

/** For commands that change something: a closed stdout has then stopped them before they were done. */
export const undoneIfClosed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.catchIf(effect, (error) => error instanceof OutputClosed, () => new OutputClosed({ isUndone: true }))

/** Prints a line that is not a result. */
export const note = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stderr.write(`${text}\n`)
  })

/** A number of jobs in words. */
export const countOfJobs = (count: number): string => count === 1 ? "1 job" : `${count} jobs`

/** Prints a result for people, or with `--json` as JSON. */
export const result = Effect.fnUntraced(function*(human: string, json: object) {
  const flags = yield* beanstalk
  yield* write(flags.json ? `${JSON.stringify(json)}\n` : human === "" ? "" : `${human}\n`)
})

/** Prints a value as JSON: indented, or with `--json` in one line. */
export const printJson = Effect.fnUntraced(function*(value: unknown) {
  const flags = yield* beanstalk
  yield* write(`${JSON.stringify(value, undefined, flags.json ? undefined : 2)}\n`)
})

/** How a job is printed. */
export interface JobStyle {
  readonly base64: boolean
  readonly raw: boolean
}

/** Prints a job with the keys that beanstalkt prints, or its body alone. */
export const printJob = Effect.fnUntraced(function*(
  job: Pick<RawJob, "id" | "body">,
  { base64, raw }: JobStyle
) {
  yield* raw ? write(job.body) : printJson({ ...shown(job, base64), id: job.id })
})
