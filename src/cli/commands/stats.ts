/**
 * `stats`, `stats-tube`, `stats-job`, `list`, and `pause`.
 */
import * as Command from "effect/cli/Command"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { connect } from "../connect.ts"
import { delayOf, idArgument, tubeArgument } from "../flags.ts"
import { printJson, result, write } from "../terminal/output.ts"
import { beanstalk } from "../root.ts"
import { type Cell, table } from "../terminal/table.ts"

interface Stats {
  readonly raw: string
  readonly extra: { readonly [key: string]: string }
}

const toCamelCase = (key: string) => key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

// By the server's own names and in its order; the Schema has decided what is a number.
const byServersNames = (stats: Stats): Record<string, Cell> => {
  const keys = stats.raw.split("\n").flatMap((line) => /^([^:\s]+):/.exec(line)?.[1] ?? [])
  const value = (key: string): Cell =>
    stats.extra[key] ?? (stats as unknown as Record<string, Cell>)[toCamelCase(key)] ?? ""
  return Object.fromEntries(keys.map((key) => [key, value(key)]))
}

const printStats = Effect.fnUntraced(function*(stats: Stats) {
  const { json } = yield* beanstalk
  const entries = byServersNames(stats)
  if (json || !process.stdout.isTTY) return yield* printJson(entries)
  yield* write(yield* table(["NAME", "VALUE"], Object.entries(entries).map(([key, value]) => [key, String(value)])))
})

export const stats = Command.make(
  "stats",
  {},
  Effect.fnUntraced(function*() {
    const client = yield* connect
    yield* printStats(yield* client.stats)
  }, Effect.scoped)
).pipe(
  Command.withDescription("Print the statistics of the server: a table on a terminal, JSON elsewhere"),
  Command.withExamples([
    { command: "beanstalk stats", description: "All of them" },
    { command: "beanstalk stats --json | jq '.\"current-jobs-ready\"'", description: "One of them" }
  ])
)

export const statsTube = Command.make(
  "stats-tube",
  { tube: tubeArgument("name", "Name of the tube") },
  Effect.fnUntraced(function*({ tube }) {
    const client = yield* connect
    yield* printStats(yield* client.statsTube(tube))
  }, Effect.scoped)
).pipe(
  Command.withDescription("Print the statistics of a tube"),
  Command.withExamples([{ command: "beanstalk stats-tube emails", description: "Those of the tube emails" }])
)

export const statsJob = Command.make(
  "stats-job",
  { id: idArgument("Id of the job") },
  Effect.fnUntraced(function*({ id }) {
    const client = yield* connect
    yield* printStats(yield* client.statsJob(id))
  }, Effect.scoped)
).pipe(
  Command.withDescription("Print the statistics of a job"),
  Command.withExamples([{ command: "beanstalk stats-job 42", description: "Those of job 42" }])
)

export const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function*() {
    const { json } = yield* beanstalk
    const client = yield* connect
    const tubes = yield* client.listTubes
    if (json) return yield* write(tubes.map((tube) => `${JSON.stringify({ tube })}\n`).join(""))
    yield* printJson(tubes)
  }, Effect.scoped)
).pipe(
  Command.withDescription("List all tubes, as a JSON array; with --json one object a line"),
  Command.withExamples([{ command: "beanstalk list", description: "The names of all tubes" }])
)

export const pause = Command.make(
  "pause",
  {
    tube: tubeArgument("name", "Name of the tube"),
    delay: delayOf("Seconds in which nobody gets a job of the tube; 0 ends a pause")
  },
  Effect.fnUntraced(function*({ delay, tube }) {
    const client = yield* connect
    yield* client.pauseTube(tube, delay)
    yield* result("", { tube, delay: Math.ceil(Duration.toSeconds(delay)) })
  }, Effect.scoped)
).pipe(
  Command.withDescription("Pause a tube: its jobs stay where they are for a while"),
  Command.withExamples([
    { command: "beanstalk pause emails -d 60", description: "For a minute" },
    { command: "beanstalk pause emails", description: "Go on at once" }
  ])
)
