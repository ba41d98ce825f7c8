/**
 * `fleet status` and `fleet drain`: what concerns several servers as such.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Fleet from "../../Fleet.ts"
import type { ServerStats } from "../../Stats.ts"
import { documented } from "../documented.ts"
import { describe, Failed, NothingThere, Unanswered } from "../failures.ts"
import { switchedOff, timeoutOf } from "../flags.ts"
import { beanstalk } from "../root.ts"
import { openFleet } from "../servers.ts"
import { confirm } from "../terminal/confirm.ts"
import { note, result, write } from "../terminal/output.ts"
import { type Cell, table } from "../terminal/table.ts"

const HEADING = ["SERVER", "STATUS", "LOAD", "WEIGHT", "READY", "RESERVED", "DELAYED", "BURIED"]

const countsOf = (stats: ServerStats) => ({
  ready: stats.currentJobsReady,
  reserved: stats.currentJobsReserved,
  delayed: stats.currentJobsDelayed,
  buried: stats.currentJobsBuried
})

type Counts = ReturnType<typeof countsOf>

// A server counts as up when it has answered what the fleet asks on a new connection. The first answer here may be before
// that one, the second is behind it.
const askAll = Effect.fnUntraced(function*(fleet: Fleet.Service) {
  const servers = yield* fleet.servers
  const answers = yield* Effect.forEach(
    servers,
    ({ server }) =>
      Effect.result(Effect.flatMap(fleet.on(server), (client) => Effect.andThen(client.stats, client.stats))),
    { concurrency: "unbounded" }
  )
  return new Map(servers.map(({ server }, i) => [server, answers[i]!]))
})

const status = Command.make(
  "status",
  {},
  Effect.fnUntraced(function*() {
    const { json } = yield* beanstalk
    const fleet = yield* openFleet
    const answers = yield* askAll(fleet)
    const rows = (yield* fleet.servers).map((state) => {
      const answer = answers.get(state.server)
      const counts: Counts | undefined = answer && Result.isSuccess(answer) ? countsOf(answer.success) : undefined
      return { state, counts }
    })
    const cells = rows.map(({ counts, state: { load, server, status, weight } }): ReadonlyArray<Cell> => [
      server,
      status,
      load,
      weight,
      counts?.ready,
      counts?.reserved,
      counts?.delayed,
      counts?.buried
    ])
    yield* write(
      json
        ? rows.map(({ counts, state }) => `${JSON.stringify({ ...state, ...counts })}\n`).join("")
        : yield* table(HEADING, cells)
    )
    for (const answer of answers.values()) {
      if (Result.isFailure(answer)) yield* note(describe(answer.failure))
    }
    const missing = rows.flatMap(({ counts, state }) => counts === undefined ? [state.server] : [])
    if (missing.length === rows.length) return yield* new Unanswered({ servers: missing, count: rows.length })
    if (rows.some(({ state }) => state.status === "up")) return
    return yield* new Failed({ message: `NO_SERVER: none of ${rows.length} servers takes jobs` })
  }, Effect.scoped)
).pipe(documented({
  description:
    "Print each server with its status, its load, its weight and its jobs. Exit code 4 if no server answers, 1 if none of " +
    "those that answer takes jobs",
  short: "Print how each server is",
  examples: {
    "beanstalk --url 10.0.0.2,10.0.0.3 fleet status": "Print how two servers are",
    "beanstalk --url beanstalk+srv://beanstalkd.jobs fleet status --json": "The same for those that DNS knows"
  }
}))

const choice = <const A extends string, const B extends string>(name: string, first: A, second: B, what: string) =>
  Flag.Literals(name, [first, second]).pipe(
    Flag.withDescription(`${what}; default ${first}`),
    Flag.withDefault(first as A | B)
  )

const question = (server: string, { buried, delayed, ready }: Fleet.DrainOptions): string => {
  const moved = Object.entries({ ready, delayed, buried }).filter(([, choice]) => choice === "move").map(([name]) =>
    name
  )
  return moved.length === 0
    ? `Wait until ${server} has no jobs?`
    : `Move the ${moved.join(", ")} jobs of ${server} to the other servers?`
}

const sayReport = ({ consumed, left, moved, server }: Fleet.DrainReport) =>
  result(
    [
      `${server}: ${moved} moved, ${consumed} consumed; left: ${left.ready} ready, ${left.reserved} reserved, ` +
      `${left.delayed} delayed, ${left.buried} buried`
    ].join(""),
    { server, moved, consumed, left }
  )

const drain = Command.make(
  "drain",
  {
    server: Argument.String("server").pipe(Argument.withDescription("The server to empty, as fleet status names it")),
    ready: choice("ready", "wait", "move", "Ready jobs wait for their consumers, or move to other servers"),
    delayed: choice("delayed", "wait", "move", "Delayed jobs wait, or move with the rest of their delay"),
    buried: choice("buried", "report", "move", "Buried jobs stay and are counted, or move as buried jobs"),
    timeout: timeoutOf("Give up after this many seconds, with exit code 3; by default never"),
    yes: switchedOff("yes", "Do not ask; without a terminal nobody is asked").pipe(Flag.withAlias("y"))
  },
  Effect.fnUntraced(function*({ server, timeout, yes, ...options }) {
    const fleet = yield* openFleet
    yield* fleet.on(server)
    if (!yes) yield* confirm(question(server, options))
    const report = yield* fleet.drain(server, { ...options, timeout: Option.getOrUndefined(timeout) })
    yield* sayReport(report)
    const { delayed, ready, reserved } = report.left
    if (ready + reserved + delayed === 0) return
    return yield* new NothingThere({ message: `TIMED_OUT: ${server} is not empty` })
  }, Effect.scoped)
).pipe(documented({
  description:
    "Empty one of several servers before it leaves: wait until its workers have done its jobs, or move them to the others, " +
    "and print what became of them. A job is copied first and deleted second: a crash in between can duplicate it, never " +
    "lose it. Other processes go on putting there until their list says that the server leaves. On a terminal it asks first",
  short: "Empty one of several servers",
  examples: {
    "beanstalk --url a,b fleet drain b:11300 --ready move --delayed move --buried move": "Move all jobs of b to a",
    "beanstalk --url a,b fleet drain b:11300 -t 600": "Wait ten minutes for the workers to empty b"
  }
}))

export const fleet = Command.make("fleet").pipe(
  Command.withSubcommands([status, drain]),
  documented({
    description: "Look at several servers, which --url names, or empty one of them",
    examples: {
      "beanstalk --url 10.0.0.2,10.0.0.3 fleet status": "Print how two servers are",
      "beanstalk --url a,b fleet drain b:11300 --ready move": "Empty one of them"
    }
  })
)
