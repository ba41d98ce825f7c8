/**
 * All jobs of a server, as it tells of them, and how two servers differ that should have the same.
 */
import type { Peer } from "./Peer.ts"

/** A job that a server tells of. One that is reserved is ready, as after a restart. */
export interface Told {
  readonly tube: string
  readonly state: string
  readonly body: string
  readonly pri: number
  readonly delay: number
  readonly ttr: number
  readonly file: number
  /** Reserves, timeouts, releases, buries, kicks. */
  readonly counts: ReadonlyArray<number>
  /** In seconds since 1970. */
  readonly createdAt: number
  /** In seconds since 1970, if it is delayed. */
  readonly readyAt: number | undefined
}

/** The jobs by their ids. */
export type Snapshot = ReadonlyMap<number, Told>

const COUNTS = ["reserves", "timeouts", "releases", "buries", "kicks"] as const

const told = (stats: Record<string, string>, body: string): Told => {
  const number = (name: string) => Number(stats[name])
  const now = Date.now() / 1000
  const state = stats["state"] === "reserved" ? "ready" : stats["state"]!
  return {
    tube: stats["tube"]!,
    state,
    body,
    pri: number("pri"),
    delay: number("delay"),
    ttr: number("ttr"),
    file: number("file"),
    counts: COUNTS.map(number),
    createdAt: now - number("age"),
    readyAt: state === "delayed" ? now + number("time-left") : undefined
  }
}

// So many commands at once do not fill the buffers between.
const AT_ONCE = 500

/** Asks for each id up to the last one. */
export const take = async (peer: Peer, lastId: number): Promise<Snapshot> => {
  const jobs = new Map<number, Told>()
  for (let from = 1; from <= lastId; from += AT_ONCE) {
    const ids = Array.from({ length: Math.min(AT_ONCE, lastId - from + 1) }, (_, i) => from + i)
    const stats = await Promise.all(ids.map((id) => peer.stats(`stats-job ${id}`)))
    const living = ids.flatMap((id, i) => stats[i] === undefined ? [] : [{ id, stats: stats[i] }])
    const bodies = await Promise.all(living.map(({ id }) => peer.send(`peek ${id}`)))
    for (const [i, { id, stats }] of living.entries()) jobs.set(id, told(stats, bodies[i]!.body!))
  }
  return jobs
}

/** What beanstalkd itself counts at a start: each buried job as buried once more. */
export const withoutStart = (snapshot: Snapshot): Snapshot =>
  new Map(Array.from(snapshot, ([id, job]) => {
    if (job.state !== "buried") return [id, job]
    return [id, { ...job, counts: job.counts.map((count, i) => COUNTS[i] === "buries" ? count - 1 : count) }]
  }))

/** How a field of a job may differ. */
export type Compare = (field: keyof Told, a: Told, b: Told) => boolean

// Whole seconds are told, and the second server is asked some time after the first.
const CLOCK_SECONDS = 4

const isNear = (a: number | undefined, b: number | undefined) =>
  a === b || (a !== undefined && b !== undefined && Math.abs(a - b) <= CLOCK_SECONDS)

/** Both have read the same files. */
export const isSame: Compare = (field, a, b) => {
  if (field === "createdAt" || field === "readyAt") return isNear(a[field], b[field])
  return field === "counts" ? a.counts.join() === b.counts.join() : a[field] === b[field]
}

/**
 * The second has been restarted. What was reserved since the last record of a job is not counted then, nor are the leases that
 * have ended since, and jobs may have been moved.
 */
export const isSameAfterRestart: Compare = (field, a, b) => {
  if (field === "file") return true
  if (field !== "counts") return isSame(field, a, b)
  return a.counts.every((count, i) => COUNTS[i] === "reserves" ? b.counts[i]! <= count : b.counts[i] === count)
}

const short = (value: unknown) => JSON.stringify(value).slice(0, 60)

/** How two snapshots differ, in words. */
export const differences = (a: Snapshot, b: Snapshot, compare: Compare): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const [id, job] of a) {
    const other = b.get(id)
    if (other === undefined) found.push(`job ${id} is missing: ${short(job)}`)
    else {
      for (const field of Object.keys(job) as Array<keyof Told>) {
        if (!compare(field, job, other)) found.push(`job ${id} ${field}: ${short(job[field])}, ${short(other[field])}`)
      }
    }
  }
  for (const id of b.keys()) if (!a.has(id)) found.push(`job ${id} should not be there`)
  return found
}
