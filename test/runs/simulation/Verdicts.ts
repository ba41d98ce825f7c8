/**
 * What the holder of a lease may do with its job, by the options of its program, by the end of its handler, and by what
 * the server has counted. The witness compares it with what the server is told to do.
 */
import { DEFAULT_PRIORITY } from "../../../src/Protocol.ts"
import type { Lease, Ledger, Rules, Run, Settling } from "./Ledger.ts"

/** A copy of a job. */
export interface Copy {
  readonly tube: string
  readonly delaySeconds: number
}

/** A command with which a lease may end. */
export interface Meaning {
  readonly command: Settling["command"]
  /** The bounds of the delay of a release, in seconds. */
  readonly delay?: readonly [from: number, to: number]
  /** The priority; undefined for the one that the job has. */
  readonly priority?: number | undefined
  /** The copy that must be there before the job is deleted. */
  readonly copy?: Copy
}

// Further leases are not waited for longer than this.
const MAX_ISOLATION_DELAY_SECONDS = 300

const AT_ONCE: Meaning = { command: "release", delay: [0, 0] }

const isReadable = (body: string): boolean => !body.startsWith("!")

const settled = ({ command, delaySeconds = 0, priority }: Settling): Meaning =>
  command === "release" ? { command, delay: [delaySeconds, delaySeconds], priority } : { command, priority }

/** Whether a job may have ended a process. */
export const isSuspect = ({ crashes, timeouts }: Pick<Lease, "crashes" | "timeouts">): boolean => crashes + timeouts > 0

/** Whether a job has had its crashes. */
export const isDeadly = ({ crashes, kicks }: Pick<Lease, "crashes" | "kicks">, { maxCrashes }: Rules): boolean =>
  crashes >= maxCrashes + kicks

// A worker whose lease ended unnoticed may have been told the counters of a later lease.
const countersOf = (lease: Lease, current: Lease): ReadonlyArray<Lease> =>
  lease === current ? [lease] : lease.job.leases.filter(({ attempt }) => attempt >= lease.attempt)

const givenUp = (rules: Rules, { mayLosePuts }: Ledger): ReadonlyArray<Meaning> => {
  if (rules.deadLetter === undefined) return [{ command: "bury" }]
  const moved: Meaning = { command: "delete", copy: { tube: rules.deadLetter, delaySeconds: 0 } }
  // The copy cannot be put, or the answer is lost.
  return mayLosePuts ? [moved, { command: "bury" }] : [moved]
}

const postponed = ({ job }: Lease, delaySeconds: number, { mayLosePuts }: Ledger): ReadonlyArray<Meaning> => {
  const moved: Meaning = { command: "delete", copy: { tube: job.tube, delaySeconds } }
  return mayLosePuts ? [moved, { command: "release", delay: [delaySeconds, delaySeconds] }] : [moved]
}

const failed = (
  counters: ReadonlyArray<Lease>,
  rules: Rules,
  ledger: Ledger
): ReadonlyArray<Meaning> =>
  counters.flatMap(({ attempt, kicks, link: { client } }): ReadonlyArray<Meaning> => {
    if (ledger.refusals.get(client)?.has("stats-job") === true) return failedUncounted(attempt, rules, ledger)
    return attempt >= rules.maxAttempts + kicks
      ? givenUp(rules, ledger)
      : [{ command: "release", delay: rules.retryDelay(attempt) }]
  })

// A worker that cannot ask for the counters counts the failures that it has seen, and knows nothing of kicks.
const failedUncounted = (attempt: number, rules: Rules, ledger: Ledger): ReadonlyArray<Meaning> => [
  ...Array.from(
    { length: attempt },
    (_, n): Meaning => ({ command: "release", delay: rules.retryDelay(n + 1) })
  ),
  ...(attempt >= rules.maxAttempts ? givenUp(rules, ledger) : [])
]

const withoutRun = (
  lease: Lease,
  counters: ReadonlyArray<Lease>,
  rules: Rules,
  ledger: Ledger
): ReadonlyArray<Meaning> =>
  counters.flatMap((seen): ReadonlyArray<Meaning> => {
    if (rules.crashGuard && isDeadly(seen, rules)) return [...givenUp(rules, ledger), ...beingReplaced(lease)]
    const refused: ReadonlyArray<Meaning> =
      rules.crashGuard && rules.isolateSuspects && isSuspect(seen) && ledger.hadCompany(lease)
        ? [{ command: "release", delay: delayOfSuspect(seen) }]
        : []
    // Whether a body can be read, a worker learns when the handler's turn comes, so a held job is given back in either case.
    const held = [...heldTooLong(lease, rules, ledger), ...beingReplaced(lease)]
    if (isReadable(lease.job.put.body)) return [...refused, ...held]
    return [
      ...refused,
      ...held,
      ...(rules.onUndecodable === "retry" ? failed([seen], rules, ledger) : givenUp(rules, ledger))
    ]
  })

// A job that came while a suspect ran is held for so long, and then given back.
const HELD_MILLIS = 30_000

const heldTooLong = (lease: Lease, { isolateSuspects }: Rules, ledger: Ledger): ReadonlyArray<Meaning> =>
  isolateSuspects && ledger.world.now - lease.startedAt >= HELD_MILLIS && ledger.hadCompany(lease) ? [AT_ONCE] : []

// The same worker puts a copy of it, for an earlier lease on which it has come to a verdict, and has not heard the outcome.
// Once the copy is there, the job is deleted when it comes again.
const beingReplaced = (lease: Lease): ReadonlyArray<Meaning> => {
  const earlier = lease.job.leases.filter((other) => other !== lease && other.link.client === lease.link.client)
  if (earlier.some(({ copy }) => copy !== undefined)) {
    return [{ command: "release", delay: [1, 1] }, { command: "delete" }]
  }
  return earlier.some(({ job, run }) => !isReadable(job.put.body) || (run !== undefined && run.outcome !== "running"))
    ? [{ command: "release", delay: [1, 1] }]
    : []
}

const delayOfSuspect = ({ crashes }: Lease): readonly [number, number] => {
  const seconds = Math.min(2 ** crashes, MAX_ISOLATION_DELAY_SECONDS)
  return [seconds, seconds]
}

const afterRun = (
  run: Run,
  lease: Lease,
  counters: ReadonlyArray<Lease>,
  rules: Rules,
  ledger: Ledger
): ReadonlyArray<Meaning> => {
  switch (run.outcome) {
    case "running":
      return []
    case "succeeded":
    case "discarded":
      return [{ command: "delete" }]
    case "snoozed":
      return postponed(lease, run.delaySeconds, ledger)
    case "gaveUp":
      return givenUp(rules, ledger)
    case "died":
      return rules.onDefect === "bury" ? [{ command: "bury" }] : failed(counters, rules, ledger)
    case "failed":
      return failed(counters, rules, ledger)
    case "interrupted":
      return run.isSelfInterrupting ? failed(counters, rules, ledger) : []
  }
}

/**
 * The commands with which the holder of this lease may end it, if it has not been ended yet. `current` is the lease that
 * the server ends with the command, which may be a later one.
 */
export const meaningsOf = (lease: Lease, current: Lease, ledger: Ledger): ReadonlyArray<Meaning> => {
  const meanings = meaningsOfHolder(lease, current, ledger)
  const refusals = ledger.refusals.get(lease.link.client)
  if (refusals === undefined) return meanings
  // The worker lets go of a job whose settling is refused. It cannot keep the priority if it cannot ask for it.
  const all = lease.run?.outcome === "running" ? meanings : [...meanings, AT_ONCE]
  return refusals.has("stats-job")
    ? all.flatMap((meaning) => [meaning, { priority: DEFAULT_PRIORITY, ...meaning }])
    : all
}

const meaningsOfHolder = (lease: Lease, current: Lease, ledger: Ledger): ReadonlyArray<Meaning> => {
  const { link: { client }, run } = lease
  const rules = ledger.workers.get(client)
  const isEnding = ledger.ending.has(client) || ledger.stopping.has(client)
  if (run?.settling !== undefined) {
    // The end of a stream may have released the job before.
    return [settled(run.settling), ...(rules === undefined && isEnding ? [AT_ONCE] : [])]
  }
  // Whoever else takes a job settles it by itself, or leaves it to the end of its Scope.
  if (rules === undefined) return run?.outcome === "running" && !isEnding ? [] : [AT_ONCE]
  const counters = countersOf(lease, current)
  const meanings = run === undefined
    ? withoutRun(lease, counters, rules, ledger)
    : afterRun(run, lease, counters, rules, ledger)
  // The worker may have been told to end in the moment in which the handler ended.
  return ledger.stopping.has(client) && run?.outcome !== "running" ? [...meanings, AT_ONCE] : meanings
}

/** Meanings in words. */
export const inWords = (meanings: ReadonlyArray<Meaning>): string =>
  meanings.length === 0 ? "nothing" : meanings.map(({ command, copy, delay, priority }) => {
    const after = delay === undefined ? "" : ` for ${[...new Set(delay)].join(" to ")} s`
    const at = priority === undefined ? "" : ` at ${priority}`
    const moved = copy === undefined ? "" : ` after a copy to ${copy.tube} with ${copy.delaySeconds} s`
    return `${command}${after}${at}${moved}`
  }).join(" or ")
