/**
 * `envelope`: what an envelope costs beside a bare body, and what spans cost, per put and per job that is put and worked on.
 */
import { ask } from "./beanstalkd.ts"
import { placementFor } from "./cpus.ts"
import { moduleOf, type Options, parseOptions } from "./options.ts"
import { appendSection, environment, table } from "./report.ts"
import { type Case, measureRounds } from "./rounds.ts"
import { cpuMicrosPerOp, median, samplesOf } from "./statistics.ts"

const BARE = "bare"
const VARIANTS = [BARE, "envelope", "cloudevents", "bare-traced", "envelope-traced"]

export const usage = `envelope [--out FILE] [--rounds 5] [--ops N] [--cpus same|own|any] [--clients ${
  VARIANTS.join(",")
}]`

const FIBERS = 64

const OPS = 200_000

// Rounded up by the variants themselves, so that only a bound is known.
const check = async (_: string, port: number, ops: number): Promise<void> => {
  const total = Number((await ask(port, "stats\r\nquit\r\n")).match(/^total-jobs: (\d+)/m)?.[1])
  if (!(total >= ops)) throw new Error(`${total} jobs put, not ${ops}`)
}

/** Runs the bench; the exit code. */
export const run = async (args: Array<string>, beanstalkd: string): Promise<number> => {
  const options: Options = parseOptions(args, VARIANTS)
  const cases = ["put", "put-work"].map((bench): Case => ({
    bench,
    fibers: FIBERS,
    cpus: placementFor(options.cpus ?? "own")
  }))
  const { failed, samples } = await measureRounds({
    rounds: options.rounds,
    cases,
    clients: options.clients,
    module: (client) => moduleOf(options, "envelope", client),
    ops: () => options.ops ?? OPS,
    prepare: () => Promise.resolve(),
    check
  })
  const rows = cases.flatMap((which) => {
    const bare = samplesOf(samples, which, BARE)
    return options.clients.map((client) => {
      const own = samplesOf(samples, which, client)
      const more = own.flatMap((sample) => {
        const other = bare.find(({ round }) => round === sample.round)
        return other === undefined ? [] : [cpuMicrosPerOp(sample) - cpuMicrosPerOp(other)]
      })
      const micros = median(own.map(cpuMicrosPerOp)).toFixed(2)
      return [which.bench, client, micros, more.length === 0 ? "-" : median(more).toFixed(2)]
    })
  })
  const report = [
    `Medians of ${options.rounds} rounds, ${FIBERS} fibers. ${environment(beanstalkd, [])}.`,
    "CPU of the client in µs per job; `more` is the median difference to the bare body of the same round.",
    table(["bench", "variant", "µs", "more"], rows, 2)
  ].join("\n\n")
  console.log(report)
  if (options.out !== undefined) appendSection(options.out, "envelope", report)
  return failed ? 1 : 0
}
