/**
 * What a fetcher does next, as a pure function of what its connections do.
 *
 * Two facts of the protocol decide it: a connection that waits in a reserve answers nothing else, and a job can be settled
 * only on the connection that reserved it. Hence:
 *
 * 1. At most one connection waits in a reserve, and only while it holds no job.
 * 2. A connection whose last reserve hit asks for 1, 2, 4, ... more without waiting, for as long as it hits.
 * 3. After a miss another connection without a job becomes the one that waits. It is opened if there is none.
 * 4. If every connection that may be open holds jobs, the one with the fewest asks now and then.
 * 5. Whoever shares its room with other servers may have to do without 3 and 4, since a reserve that waits holds room.
 *
 * So an idle consumer has one connection, and a busy one few.
 */

/** A connection, as far as the plan must know it. */
export interface Candidate {
  /** The jobs that it holds. */
  readonly held: { readonly size: number }
  /** Its reserves that do not wait and have not been answered. */
  readonly asked: number
  /** Whether its last reserve brought a job. */
  readonly lastHit: boolean
  /** How many reserves may be on their way on it at a time. */
  readonly window: number
}

/** All that the plan depends on. */
export interface Situation<out C extends Candidate> {
  readonly connections: ReadonlySet<C>
  /** Reserves on all connections that have not been answered, whether they wait or not. */
  readonly asked: number
  /** How many more jobs may be asked for. */
  readonly room: number
  /** How many connections there may be. */
  readonly max: number
  /** A connection is being opened, or none can be opened any more. */
  readonly isOpening: boolean
  /** A reserve may wait. */
  readonly mayWait: boolean
  /** A poll is due. */
  readonly isPolling: boolean
}

/** Ask for this many jobs on this connection, without waiting. */
export interface Ask<out C> {
  readonly _tag: "Ask"
  readonly connection: C
  readonly count: number
}

/** Wait for a job on this connection. */
export interface Wait<out C> {
  readonly _tag: "Wait"
  readonly connection: C
}

/** What to do next: `Open` a connection, `Poll` in a moment, or `Nothing` until something happens. */
export type Step<C> = Ask<C> | Wait<C> | { readonly _tag: "Open" } | { readonly _tag: "Poll" } | {
  readonly _tag: "Nothing"
}

const OPEN = { _tag: "Open" } as const
const POLL = { _tag: "Poll" } as const
const NOTHING = { _tag: "Nothing" } as const

/** The next step. It is to be taken, and the plan asked again, until there is `Nothing` to do. */
export const next = <C extends Candidate>(
  { asked, connections, isOpening, isPolling, max, mayWait, room }: Situation<C>
): Step<C> => {
  if (room <= 0) return NOTHING
  for (const connection of connections) {
    const count = Math.min(room, connection.window - connection.asked)
    if (connection.lastHit && count > 0) return { _tag: "Ask", connection, count }
  }
  // While a reserve waits there is nothing to be had, and what is asked for may yet come.
  if (asked > 0 || !mayWait) return NOTHING
  for (const connection of connections) if (connection.held.size === 0) return { _tag: "Wait", connection }
  if (connections.size < max) return isOpening ? NOTHING : OPEN
  return isPolling ? NOTHING : POLL
}

/** The connection that a poll asks on: a miss costs least where the fewest jobs are to be settled. */
export const fewestJobs = <C extends Candidate>(connections: Iterable<C>): C | undefined => {
  let best: C | undefined
  for (const connection of connections) {
    if (best === undefined || connection.held.size < best.held.size) best = connection
  }
  return best
}
