/**
 * `export` and `import`: jobs as NDJSON, without loss.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { commands } from "../../Protocol.ts"
import { batch } from "../jobs/batch.ts"
import { maxJobSizeOf, openPipeline } from "../connect.ts"
import { onEachServer } from "../servers.ts"
import { documented } from "../documented.ts"
import { type Copy, putCopies } from "../jobs/copy.ts"
import { describe, Failed } from "../failures.ts"
import { ALL_STATES, states, switchedOff, tubeArgument } from "../flags.ts"
import { ranges } from "../jobs/lineReport.ts"
import { findIds, forEachJobs, type ListedJob } from "../jobs/listing.ts"
import { countOfJobs, note, result, undoneIfClosed, write } from "../terminal/output.ts"
import * as Progress from "../terminal/progress.ts"
import { format, parse } from "../jobs/record.ts"
import { forEachLines, type Lines, sizeOfStdin } from "../terminal/stdin.ts"

export const exportJobs = Command.make(
  "export",
  {
    tubes: tubeArgument("tube", "Tubes to export; by default all").pipe(Argument.atLeast(0)),
    states: states(ALL_STATES, "Only jobs in this state; may be repeated"),
    delete: switchedOff("delete", "Delete the exported jobs, except reserved ones")
  },
  Effect.fnUntraced(function*(flags) {
    let exported = 0
    let deleted = 0
    const said = () => `${countOfJobs(exported)} exported${flags.delete ? `, ${deleted} of them deleted` : ""}`

    const isWanted = ({ stats }: ListedJob) => flags.states.length === 0 || flags.states.includes(stats.state)

    const exportOne = Effect.fnUntraced(function*(server: string | undefined) {
      const pipeline = yield* openPipeline
      // Deletes only jobs that have been written. Uninterruptible, so that the count of deleted jobs is exact.
      const exportSome = Effect.fnUntraced(function*(jobs: ReadonlyArray<ListedJob>, progress: Progress.Progress) {
        progress.hide()
        const written = write(jobs.map((job) => format(job, server)).join(""))
        yield* flags.delete ? undoneIfClosed(written) : written
        exported += jobs.length
        progress.at(exported)
        if (!flags.delete) return
        const answers = yield* batch(pipeline, commands.delete, jobs.map(({ stats }) => [stats.id]))
        deleted += answers.filter(Exit.isSuccess).length
      }, Effect.uninterruptible)

      yield* Effect.gen(function*() {
        const ids = yield* Effect.scoped(
          Effect.flatMap(
            Progress.make("looking for jobs", { vanishes: true }),
            (progress) => findIds(pipeline, flags.tubes, progress)
          )
        )
        const progress = yield* Progress.make("export", { total: ids.length })
        yield* forEachJobs(pipeline, ids, (jobs) => exportSome(jobs.filter(isWanted), progress))
      }).pipe(
        Effect.scoped,
        Effect.onInterrupt(() => note(`interrupted: ${said()}`)),
        Effect.tapErrorTag("BeanstalkdError", () => note(said()))
      )
    }, Effect.scoped)
    yield* onEachServer(exportOne).pipe(Effect.tapErrorTag("Unanswered", () => note(said())))
    yield* note(said())
  })
).pipe(documented({
  description:
    "Write jobs to stdout as NDJSON, one per line, with tube, state, priority, rest of the delay, ttr and body (base64 if " +
    "it is not UTF-8). Without --delete the command changes nothing",
  short: "Write jobs to stdout as NDJSON",
  examples: {
    "beanstalk export emails > emails.ndjson": "Copy the tube emails to a file",
    "beanstalk export | beanstalk --host 10.0.0.2 import": "Copy all jobs to another server",
    "beanstalk export emails --state buried --delete > buried.ndjson": "Move the buried jobs to a file"
  }
}))

// JSON escapes one byte as up to six.
const lineLimit = (maxJobSize: number) => maxJobSize * 6 + 4096

export const importJobs = Command.make(
  "import",
  {
    tube: tubeArgument("tube", "Tube to put all jobs into; by default each goes into its own").pipe(Argument.optional)
  },
  Effect.fnUntraced(function*({ tube }) {
    const pipeline = yield* openPipeline
    const maxJobSize = yield* maxJobSizeOf(pipeline)
    const size = yield* sizeOfStdin
    let imported = 0

    const failedAt = (line: number, why: string) =>
      new Failed({ message: `${why} (line ${line}; ${countOfJobs(imported)} imported)` })

    const importSome = Effect.fnUntraced(function*({ first, lines }: Lines) {
      const jobs: Array<{ readonly line: number; readonly copy: Copy }> = []
      let refused: { readonly line: number; readonly why: string } | undefined
      for (const [i, bytes] of lines.entries()) {
        const line = first + i
        const job = parse(bytes)
        if (job === undefined) continue
        if (Result.isFailure(job)) {
          refused = { line, why: `BAD_INPUT: ${job.failure}` }
          break
        }
        jobs.push({ line, copy: Option.isSome(tube) ? { ...job.success, tube: tube.value } : job.success })
      }
      const answers = yield* putCopies(pipeline, jobs.map(({ copy }) => copy))
      imported += answers.filter(Exit.isSuccess).length
      // Lines behind one that was refused have been put, so all that were not are named.
      const failed = answers.flatMap((answer, i) =>
        Exit.isFailure(answer) ? [{ line: jobs[i]!.line, cause: answer.cause }] : []
      )
      if (failed[0] !== undefined) {
        const next = first + lines.length
        yield* note(
          `lines ${ranges(failed.map(({ line }) => line))} were not imported, and nothing from line ${next} on`
        )
        return yield* failedAt(failed[0].line, describe(Cause.squash(failed[0].cause)))
      }
      if (refused !== undefined) return yield* failedAt(refused.line, refused.why)
    }, Effect.uninterruptible)

    yield* Effect.gen(function*() {
      const progress = yield* Progress.make("import")
      yield* forEachLines(
        lineLimit(maxJobSize),
        (lines) =>
          Effect.tap(importSome(lines), () => Effect.sync(() => progress.at(imported, size && lines.bytes / size)))
      )
    }).pipe(
      Effect.scoped,
      Effect.onInterrupt(() => note(`interrupted: ${countOfJobs(imported)} imported`))
    )
    yield* result(String(imported), { imported })
  }, Effect.scoped)
).pipe(documented({
  description:
    "Put jobs from stdin, in the form that export writes, and print how many. Buried jobs are buried again, delayed jobs " +
    "wait for the rest of their delay, jobs that were reserved become ready. Ids and counters are new. A line needs only a " +
    "body; everything else defaults as with put",
  short: "Put jobs that export has written",
  examples: {
    "beanstalk import < emails.ndjson": "Put each job into the tube that it came from",
    "beanstalk import emails-again < emails.ndjson": "Put all jobs into another tube"
  }
}))
