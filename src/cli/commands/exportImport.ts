/**
 * `export` and `import`: jobs as NDJSON, lossless.
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
import { connect, openPipeline } from "../connect.ts"
import { type Copy, putCopies } from "../jobs/copy.ts"
import { Failed } from "../failed.ts"
import { describe } from "../failures.ts"
import { ALL_STATES, states, switchedOff, tubeArgument } from "../flags.ts"
import { findIds, forEachJobs, type ListedJob } from "../jobs/listing.ts"
import { countOfJobs, note, result, undoneIfClosed, write } from "../terminal/output.ts"
import * as Progress from "../terminal/progress.ts"
import { format, parse } from "../jobs/record.ts"
import { forEachLines, type Lines, sizeOfStdin } from "../terminal/stdin.ts"

export const exportJobs = Command.make(
  "export",
  {
    tubes: tubeArgument("tube", "Tubes to export; without any, all").pipe(Argument.atLeast(0)),
    states: states(ALL_STATES, "Only jobs in this state; may be given several times"),
    delete: switchedOff("delete", "Delete what has been written; reserved jobs are written, but stay")
  },
  Effect.fnUntraced(function*(flags) {
    yield* Effect.scoped(connect)
    const pipeline = yield* openPipeline
    let exported = 0
    let deleted = 0
    const said = () => `${countOfJobs(exported)} exported${flags.delete ? `, ${deleted} of them deleted` : ""}`

    const isWanted = ({ stats }: ListedJob) => flags.states.length === 0 || flags.states.includes(stats.state)

    // Deleted is only what has been handed over, and then it is counted.
    const exportSome = Effect.fnUntraced(function*(jobs: ReadonlyArray<ListedJob>, progress: Progress.Progress) {
      progress.hide()
      const written = write(jobs.map(format).join(""))
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
    yield* note(said())
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Write jobs to stdout as NDJSON, one a line, with tube, state, priority, delay left, ttr and body (base64 if it is not " +
      "UTF-8). Nothing is changed unless --delete is given"
  ),
  Command.withShortDescription("Write jobs to stdout as NDJSON"),
  Command.withExamples([
    { command: "beanstalk export emails > emails.ndjson", description: "A copy of the tube emails" },
    { command: "beanstalk export | beanstalk --host 10.0.0.2 import", description: "A copy of a whole server" },
    { command: "beanstalk export emails --state buried --delete > buried.ndjson", description: "Put buried jobs away" }
  ])
)

// In JSON a body may be six times as long as it is.
const lineLimit = (maxJobSize: number) => maxJobSize * 6 + 4096

export const importJobs = Command.make(
  "import",
  { tube: tubeArgument("tube", "Put all into this tube; without it, each into its own").pipe(Argument.optional) },
  Effect.fnUntraced(function*({ tube }) {
    const { maxJobSize } = yield* Effect.scoped(Effect.flatMap(connect, (client) => client.stats))
    const pipeline = yield* openPipeline
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
      for (const [i, answer] of answers.entries()) {
        if (Exit.isFailure(answer)) return yield* failedAt(jobs[i]!.line, describe(Cause.squash(answer.cause)))
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
).pipe(
  Command.withDescription(
    "Put jobs from stdin, as export writes them, and print how many. Buried jobs are buried again, delays go on from what " +
      "was left, jobs that were reserved come as ready; ids and counters are new. A line needs no more than a body, the " +
      "rest is then as with put"
  ),
  Command.withShortDescription("Put the jobs that export has written"),
  Command.withExamples([
    { command: "beanstalk import < emails.ndjson", description: "Each into the tube that it came from" },
    { command: "beanstalk import emails-again < emails.ndjson", description: "All into another tube" }
  ])
)
