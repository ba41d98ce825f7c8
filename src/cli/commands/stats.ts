/**
 * `stats`, `stats-tube`, `stats-job`, and `list`.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type { Service } from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import { connect, connectWith } from "../connect.ts"
import { type Documentation, documented } from "../documented.ts"
import { tubeArgument } from "../flags.ts"
import { idOn, jobArgument } from "../jobNames.ts"
import { beanstalk } from "../root.ts"
import { accountFor, type Answer, askEach, onServersOf, type Servers, several } from "../servers.ts"
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

// Sums of these say nothing.
const OF_ONE: ReadonlySet<string> = new Set(["pid", "id", "binlog-oldest-index", "binlog-current-index"])

const printParts = Effect.fnUntraced(function*(parts: ReadonlyArray<Answer<Stats>>) {
  const { json } = yield* beanstalk
  const { sumOf } = yield* Effect.promise(() => import("../../internal/fleet/stats.ts"))
  const sums = byServersNames(sumOf(parts.map(({ value }) => value)))
  for (const key of OF_ONE) delete sums[key]
  const servers = parts.map(({ server, value }) => [server, byServersNames(value)] as const)
  if (json || !process.stdout.isTTY) return yield* printJson({ ...sums, servers: Object.fromEntries(servers) })
  const names = [...new Set(servers.flatMap(([, entries]) => Object.keys(entries)))]
  const rows = names.map((name) => [name, String(sums[name] ?? ""), ...servers.map(([, of]) => String(of[name] ?? ""))])
  yield* write(yield* table(["NAME", "ALL", ...servers.map(([server]) => server)], rows))
})

// A server without the tube is no part of the answer, unless all are.
const orNotFound = <A, E, R>(ask: Effect.Effect<A, E, R>) =>
  Effect.catchIf(ask, (error): error is E & Errors.NotFound => error instanceof Errors.NotFound, Effect.succeed)

/** A command that prints the statistics which `ask` gets from the server, or from each of several. */
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
      const servers = yield* several
      if (servers === undefined) return yield* printStats(yield* ask(yield* connect, input))
      const asked = yield* askEach(servers.all, ({ options }) =>
        Effect.scoped(Effect.flatMap(connectWith(options), (client) => orNotFound(ask(client, input)))))
      const parts = asked.answers.flatMap(({ server, value }) =>
        value instanceof Errors.NotFound ? [] : [{ server, value }]
      )
      const absent = asked.answers.map(({ value }) =>
        value
      ).find((value) => value instanceof Errors.NotFound)
      if (parts.length > 0) yield* printParts(parts)
      yield* accountFor(servers.all, asked.missing)
      if (parts.length === 0 && absent !== undefined) return yield* absent
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

export const statsJob = Command.make(
  "stats-job",
  { id: jobArgument("Id of the job") },
  ({ id }) =>
    onServersOf(
      [id],
      ([job]) =>
        Effect.scoped(Effect.flatMap(connect, (client) =>
          idOn(client.server, job!).pipe(Effect.flatMap(client.statsJob), Effect.flatMap(printStats))))
    )
).pipe(documented({
  description: "Print the statistics of a job",
  examples: { "beanstalk stats-job 42": "Print the statistics of job 42" }
}))

// Each tube once, since `xargs` is given the names.
const listSeveral = Effect.fnUntraced(function*({ all }: Servers) {
  const { json } = yield* beanstalk
  const { answers, missing } = yield* askEach(
    all,
    ({ options }) => Effect.scoped(Effect.flatMap(connectWith(options), (client) => client.listTubes))
  )
  const tubes = [...new Set(answers.flatMap(({ value }) => value))].sort()
  const having = (tube: string) => answers.filter(({ value }) => value.includes(tube)).map(({ server }) => server)
  yield* write(
    json
      ? tubes.map((tube) => `${JSON.stringify({ tube, servers: having(tube) })}\n`).join("")
      : process.stdout.isTTY
      ? yield* table(["TUBE", "SERVERS"], tubes.map((tube) => [tube, having(tube).join(" ")]))
      : yield* table(["TUBE"], tubes.map((tube) => [tube]))
  )
  yield* accountFor(all, missing)
})

export const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function*() {
    const { json } = yield* beanstalk
    const servers = yield* several
    if (servers !== undefined) return yield* listSeveral(servers)
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
