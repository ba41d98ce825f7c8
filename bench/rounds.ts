/**
 * Runs the clients of a bench in turns: every run in a process of its own, against a beanstalkd of its own. The clients
 * take turns within a round, so that what slows the machine down for a while slows down all of them, and the first of
 * them is another one in every round.
 */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { real, type Start, withServer } from "./beanstalkd.ts"
import type { Run, Sample } from "./child.ts"
import { placed, type Placement } from "./cpus.ts"
import { own } from "./processes.ts"

/** One line of the comparison: the clients are compared within a case. */
export interface Case {
  readonly bench: string
  readonly fibers: number
  readonly cpus: Placement
}

export interface Plan {
  readonly rounds: number
  readonly cases: ReadonlyArray<Case>
  readonly clients: ReadonlyArray<string>
  /** Whether this client has anything to show in this case, if not all of them have. */
  readonly runs?: (client: string, which: Case) => boolean
  /** The server to be measured with this client, if it is not the real one. */
  readonly server?: (client: string) => Start
  readonly module: (client: string) => URL
  readonly ops: (client: string, which: Case) => number
  /** Puts the server into the state that the bench needs. `ops` include those for warming up. */
  readonly prepare: (bench: string, port: number, ops: number, client: string) => Promise<void>
  /** Fails if the server has not seen what the bench should have done. `ops` include those for warming up. */
  readonly check: (bench: string, port: number, ops: number) => Promise<void>
}

/** A sample, and what it is a sample of. */
export interface Measured extends Sample, Case {
  readonly client: string
  readonly round: number
}

const CHILD = fileURLToPath(new URL("child.ts", import.meta.url))
const LIMIT_MILLIS = 120_000

/** Runs a program of its own, with an argument as JSON, and answers the line of JSON that it prints. */
export const inChild = async <A>(placement: Placement, program: ReadonlyArray<string>, argument: A) => {
  const [command, ...args] = placed(placement, "client", [process.execPath, ...program, JSON.stringify(argument)])
  const running = promisify(execFile)(command, args, {
    timeout: LIMIT_MILLIS,
    killSignal: "SIGKILL"
  })
  own(running.child)
  const { stdout } = await running
  return JSON.parse(stdout)
}

/** What a client does before it is measured, so that its code has been compiled. */
const WARMUP = 20_000

/** So many operations that each loop does the same number of them. */
const shared = (ops: number, fibers: number): number => Math.ceil(ops / fibers) * fibers

const measureOne = (plan: Plan, client: string, which: Case): Promise<Sample> =>
  withServer(plan.server?.(client) ?? real, which.cpus, async (port) => {
    const ops = shared(plan.ops(client, which), which.fibers)
    const warmup = shared(Math.max(ops / 5, Math.min(ops, WARMUP)), which.fibers)
    await plan.prepare(which.bench, port, warmup + ops, client)
    const { bench, cpus, fibers } = which
    const run: Run = { module: plan.module(client).href, bench, fibers, port, warmup, ops }
    const sample: Sample = await inChild(cpus, [CHILD], run)
    await plan.check(which.bench, port, warmup + ops)
    return sample
  })

const rotated = <A>(values: ReadonlyArray<A>, by: number): ReadonlyArray<A> => {
  const first = by % values.length
  return [...values.slice(first), ...values.slice(0, first)]
}

/** All samples that could be taken, and whether some could not. Tells its progress on stderr. */
export const measureRounds = async (plan: Plan): Promise<{ samples: ReadonlyArray<Measured>; failed: boolean }> => {
  const samples: Array<Measured> = []
  let failed = false
  for (let round = 1; round <= plan.rounds; round++) {
    for (const which of plan.cases) {
      for (const client of rotated(plan.clients, round - 1)) {
        if (plan.runs?.(client, which) === false) continue
        const title = `round ${round}/${plan.rounds}, ${which.bench}, fibers=${which.fibers}, ${client}`
        try {
          const sample = await measureOne(plan, client, which)
          samples.push({ ...which, ...sample, client, round })
          console.error(`${title}: ${Math.round(sample.ops / sample.seconds)}/s`)
        } catch (error) {
          failed = true
          console.error(`${title}: FAILED:`, error)
        }
      }
    }
  }
  return { samples, failed }
}
