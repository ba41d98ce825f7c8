/**
 * `jobs`: lists jobs, filtered by tube, state, age and body.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { openPipeline } from "../connect.ts"
import { onEachServer } from "../servers.ts"
import { documented } from "../documented.ts"
import { ageFlag, ALL_STATES, base64Bodies, bodyFlag, states, tubeArgument } from "../flags.ts"
import { contains, findIds, forEachJobs, type ListedJob } from "../jobs/listing.ts"
import { write } from "../terminal/output.ts"
import { payloadOf, shown } from "../jobs/body.ts"
import * as Progress from "../terminal/progress.ts"
import { beanstalk } from "../root.ts"
import { type Cell, cut, oneLine, table } from "../terminal/table.ts"

const HEADING = ["ID", "TUBE", "STATE", "PRIORITY", "AGE", "LEFT", "TTR", "RESERVES", "BODY"]

const cellsOf = (
  { job, stats }: ListedJob,
  base64: boolean,
  server: string | undefined
): ReadonlyArray<Cell> => {
  const body = oneLine(payloadOf(shown(job, base64)))
  const { age, id, pri, reserves, state, timeLeft, ttr, tube } = stats
  return [server === undefined ? id : `${server}/${id}`, tube, state, pri, age, timeLeft, ttr, reserves, body]
}

const toJson = ({ job, stats }: ListedJob, base64: boolean) => {
  const { buries, id, kicks, pri: priority, releases, reserves, state, timeLeft, timeouts, ttr, tube, age } = stats
  const counts = { reserves, timeouts, releases, buries, kicks }
  return { id, tube, state, priority, age, timeLeft, ttr, ...counts, ...shown(job, base64) }
}

// The number of characters of a body that fit beside the other columns.
const bodyWidth = (rows: ReadonlyArray<ReadonlyArray<Cell>>): number => {
  const others = HEADING.slice(0, -1).map((title, i) =>
    rows.reduce((width, row) => Math.max(width, String(row[i]).length), title.length)
  )
  return Math.max(20, (process.stdout.columns || 80) - others.reduce((sum, width) => sum + width + 2, 0))
}

export const jobs = Command.make(
  "jobs",
  {
    tubes: tubeArgument("tube", "Tubes to list; by default all").pipe(Argument.atLeast(0)),
    states: states(ALL_STATES, "Only jobs in this state; may be repeated"),
    older: ageFlag("older", "at least"),
    younger: ageFlag("younger", "less than"),
    body: bodyFlag,
    base64: base64Bodies
  },
  Effect.fnUntraced(function*({ base64, tubes, ...flags }) {
    const { json } = yield* beanstalk
    const isTable = !json && process.stdout.isTTY
    const older = Option.match(flags.older, { onNone: () => 0, onSome: Duration.toSeconds })
    const younger = Option.match(flags.younger, { onNone: () => Infinity, onSome: Duration.toSeconds })
    const text = Buffer.from(Option.getOrElse(flags.body, () => ""))
    const isWanted = ({ job, stats }: ListedJob) =>
      (flags.states.length === 0 || flags.states.includes(stats.state)) && stats.age >= older && stats.age < younger &&
      contains(job.body, text)

    const rows: Array<ReadonlyArray<Cell>> = []
    const listOne = Effect.fnUntraced(function*(server: string | undefined) {
      const pipeline = yield* openPipeline
      const ids = yield* Effect.scoped(
        Effect.flatMap(
          Progress.make("looking for jobs", { vanishes: true }),
          (progress) => findIds(pipeline, tubes, progress)
        )
      )
      const line = (job: ListedJob) => JSON.stringify({ ...(server && { server }), ...toJson(job, base64) })
      yield* forEachJobs(pipeline, ids, (jobs) => {
        const wanted = jobs.filter(isWanted)
        if (json) return write(wanted.map((job) => `${line(job)}\n`).join(""))
        const some = wanted.map((job) => cellsOf(job, base64, server))
        if (!isTable) return Effect.flatMap(table(HEADING, some), write)
        return Effect.sync(() => void rows.push(...some))
      })
    }, Effect.scoped)
    const show = Effect.suspend(() => {
      const width = bodyWidth(rows)
      return Effect.flatMap(
        table(HEADING, rows.map((row) => [...row.slice(0, -1), cut(String(row.at(-1)), width)])),
        write
      )
    })
    yield* onEachServer(listOne).pipe(
      // Jobs of the servers that answered are shown, whether or not others did.
      Effect.tapErrorTag("Unanswered", () => isTable ? show : Effect.void)
    )
    if (isTable) yield* show
  })
).pipe(documented({
  description:
    "List jobs in the order of their ids: a table on a terminal, elsewhere columns separated by tabs (id, tube, state, " +
    "priority, age, time left, ttr, reserves, body). The command looks up every id that the server has given out, which " +
    "takes some seconds after millions of jobs. It changes nothing",
  short: "List jobs, filtered by state, age and body",
  examples: {
    "beanstalk jobs emails": "List all jobs of the tube emails",
    "beanstalk jobs --state buried --older \"1 day\"": "List buried jobs of all tubes that are at least a day old",
    "beanstalk jobs emails --body spam --json": "List jobs with \"spam\" in their body, as one JSON object per line"
  }
}))
