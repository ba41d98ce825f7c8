/**
 * One run of a seed in the world of the binlog: a store that records what happens to its jobs, and a disk that is asked at
 * every one of its operations what a kill or a power failure would leave. A server that starts on that must have what clients
 * have been told.
 */
import { createHash } from "node:crypto"
import { CrashSession } from "../../binlog/CrashSession.ts"
import type { Result } from "./Simulation.ts"

const POLICIES = ["always", 50, "never"] as const

const STEPS = 120
const CRASHES = 2

/** Runs a seed. */
export const simulateBinlog = (seed: number): Result => {
  const sync = POLICIES[seed % POLICIES.length]!
  const session = new CrashSession({ seed, sync, steps: STEPS, crashes: CRASHES }).run()
  return {
    seed,
    violations: session.violations,
    virtualMillis: session.time,
    hash: createHash("sha256").update(session.last).digest("hex"),
    events: STEPS * (CRASHES + 1),
    puts: session.puts,
    jobs: session.puts,
    acknowledged: session.puts,
    faults: session.checks,
    tail: [session.last]
  }
}
