/**
 * What became of every put, as its producer saw it, and whether the server and the handlers agree.
 */
import type { Binlog } from "./Binlog.ts"
import type * as Remains from "./Remains.ts"
import { DEAD, type Kind, numberIn, WORK } from "./Work.ts"

/**
 * `acknowledged`: the server gave an id. `unsent`: the error says that no byte was sent. `refused`: the server said that it
 * did not take it. `unknown`: it may be there, since the error says `sent`, or the put was interrupted.
 */
export type Outcome = "acknowledged" | "unsent" | "refused" | "unknown"

interface Entry {
  readonly kind: Kind
  outcome: Outcome
  id: number | undefined
}

/** What the handlers have noted: the numbers of the jobs that they began, and of those that they did. */
export interface Handled {
  readonly began: ReadonlySet<number>
  readonly did: ReadonlySet<number>
}

/** Where acknowledged jobs are in the end. */
export interface Account {
  done: number
  buried: number
  dead: number
  ready: number
  delayed: number
  /** The server has lost it by itself, as its binlog proves. */
  lostByServer: number
}

export class Accounts {
  readonly #entries: Array<Entry> = []

  /** Notes a put that is about to be made, and gives its number. */
  open(kind: Kind): number {
    return this.#entries.push({ kind, outcome: "unknown", id: undefined }) - 1
  }

  close(n: number, outcome: Outcome, id?: number): void {
    Object.assign(this.#entries[n]!, { outcome, id })
  }

  count(outcome: Outcome): number {
    return this.#entries.filter((entry) => entry.outcome === outcome).length
  }

  /** Accounts for all of them; what must not be goes to `complain`. */
  balance(
    remains: ReadonlyArray<Remains.Job>,
    { began, did }: Handled,
    binlog: Binlog,
    complain: (what: string) => void
  ): Account {
    const account: Account = { done: 0, buried: 0, dead: 0, ready: 0, delayed: 0, lostByServer: 0 }
    const places = new Map<number, Remains.Job>()
    for (const job of remains) {
      const n = numberIn(job.body)
      if (n === undefined || this.#entries[n] === undefined) {
        complain(`from nowhere: job ${job.id} in ${job.tube}: ${JSON.stringify(job.body)}`)
        continue
      }
      const other = places.get(n)
      // The one that failed for good is moved: first it is there, then no longer here.
      if (other !== undefined && other.tube !== DEAD && job.tube !== DEAD) complain(`there twice: ${job.body}`)
      if (other === undefined || other.tube === DEAD) places.set(n, job)
      const { id } = this.#entries[n]
      if (id !== undefined && job.tube !== DEAD && id !== job.id) {
        complain(`put as job ${id}, but it is job ${job.id}: ${job.body}`)
      }
    }
    this.#entries.forEach(({ kind, outcome }, n) => {
      const job = places.get(n)
      if (outcome === "unsent" || outcome === "refused") {
        if (job !== undefined || began.has(n)) complain(`${outcome}, but the server had it: ${n} (${kind})`)
        return
      }
      if (job?.tube === WORK && job.state !== "buried") complain(`not drained: ${n} (${kind}) is ${job.state}`)
      if (outcome === "unknown") return
      if (job === undefined) {
        if (did.has(n)) account.done++
        else if (binlog.wasLost(n)) account.lostByServer++
        else if (!began.has(n)) complain(`handler missed: nobody has job ${n} (${kind}), and no handler ran`)
        else complain(`lost: nobody has job ${n} (${kind}), and no handler did it`)
      } else if (job.tube === DEAD) account.dead++
      else if (job.state === "buried") account.buried++
      else if (job.state === "ready") account.ready++
      else if (job.state === "delayed") account.delayed++
      else complain(`in nobody's hands, but ${job.state}: ${n} (${kind})`)
    })
    return account
  }
}
