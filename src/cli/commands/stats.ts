/**
 * `stats`, `stats-tube`, `stats-job`, and `list`.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type { Service } from "../../Client.ts"
import { connect } from "../connect.ts"
import { type Documentation, documented } from "../documented.ts"
import { tubeArgument } from "../flags.ts"
import { idOn, jobArgument } from "../jobNames.ts"
import { beanstalk } from "../root.ts"
import { printJson, write } from "../terminal/output.ts"
import { type Cell, table } from "../terminal/table.ts"

interface Stats {
  readonly raw: string
  readonly extra: { readonly [key: string]: string }
}

const toCamelCase = (key: string) => key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

// The names and the order are the server's. The Schema of the statistics decides which values are numbers.
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

/** A command that prints the statistics which `ask` gets from the server. */
const printing = <const Name extends string, const Config extends Command.Command.Config, E, R>(
  name: Name,
  config: Config,
  ask: (client: Service, input: Command.Command.Config.Infer<Config>) => Effect.Effect<Stats, E, R>,
  documentation: Documentation
) =>
  Command.make(
    name,
    config,
    Effect.fnUntraced(function*(input) {
      const client = yield* connect
      yield* printStats(yield* ask(client, input))
    }, Effect.scoped)
  ).pipe(documented(documentation))

export const stats = printing("stats", {}, (client) => client.stats, {
  description: "Print the statistics of the server: a table on a terminal, JSON elsewhere",
  examples: {
    "beanstalk stats": "Print all of them",
    "beanstalk stats --json | jq '.\"current-jobs-ready\"'": "Print one of them"
  }
})

export const statsTube = printing(
  "stats-tube",
  { tube: tubeArgument("tube", "Name of the tube") },
  (client, { tube }) => client.statsTube(tube),
  {
    description: "Print the statistics of a tube",
    examples: { "beanstalk stats-tube emails": "Print the statistics of the tube emails" }
  }
)

export const statsJob = printing(
  "stats-job",
  { id: jobArgument("Id of the job") },
  (client, { id }) => Effect.flatMap(idOn(client.server, id), client.statsJob),
  {
    description: "Print the statistics of a job",
    examples: { "beanstalk stats-job 42": "Print the statistics of job 42" }
  }
)

export const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function*() {
    const { json } = yield* beanstalk
    const client = yield* connect
    const tubes = yield* client.listTubes
    yield* write(
      json
        ? tubes.map((tube) => `${JSON.stringify({ tube })}\n`).join("")
        : yield* table(["TUBE"], tubes.map((tube) => [tube]))
    )
  }, Effect.scoped)
).pipe(documented({
  description: "List all tubes, one per line; with --json, as one object per line",
  examples: {
    "beanstalk list": "Print the names of all tubes",
    "beanstalk list | xargs -n 1 beanstalk stats-tube --json": "Print the statistics of all tubes"
  }
}))
