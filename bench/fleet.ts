/**
 * `fleet`: what puts and workers over several servers cost, beside a client of one of them; how many durable puts several
 * servers take; and what a worker costs that waits on more servers than it handles jobs at a time.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { parseArgs } from "node:util"
import { type Figure, measure } from "./fleet/figures.ts"
import { UsageError } from "./options.ts"
import { appendSection, environment, table } from "./report.ts"

export const usage = "fleet [--out FILE] [--rounds 5]"

const roundsOf = (given: string): number => {
  const rounds = Number(given)
  if (!Number.isInteger(rounds) || rounds < 1) throw new UsageError(`--rounds is a whole number, at least 1: ${given}`)
  return rounds
}

const figuresTable = (figures: ReadonlyArray<Figure>): string =>
  table(
    ["figure", "value", "unit", "target", "met"],
    figures.map(({ figure, isMet, target, unit, value }) => [figure, value, unit, target, isMet ? "yes" : "NO"]),
    1
  )

/** Runs the bench; the exit code. */
export const run = async (args: Array<string>, beanstalkd: string): Promise<number> => {
  const { out, rounds } = parseArgs({
    args,
    options: { out: { type: "string" }, rounds: { type: "string", default: "5" } }
  }).values
  const count = roundsOf(rounds)
  const figures = await Effect.runPromise(
    Effect.provideService(Effect.scoped(measure(count)), Logger.CurrentLoggers, new Set())
  )
  const report = [
    `Medians of ${count} rounds, fleet and client of one server in turn. ${environment(beanstalkd, [])}.`,
    "64 fibers put, 64 jobs are handled at a time by a handler that does nothing, without the crash guard. CPU is that of the "
    + "process of the client, per put or job, as a ratio to the client of one server.",
    figuresTable(figures)
  ].join("\n\n")
  console.log(report)
  if (out !== undefined) appendSection(out, "fleet", report)
  return figures.every(({ isMet }) => isMet) ? 0 : 1
}
