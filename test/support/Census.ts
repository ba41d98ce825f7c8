/**
 * Counts everything in the store of an embedded server one by one, and compares that with what it says of itself.
 */
import type { StoredJob } from "../../src/internal/server/entities.ts"
import type { Store } from "../../src/internal/server/store.ts"

export interface Census {
  readonly jobs: number
  /** Where the store contradicts itself; none if it is sound. */
  readonly contradictions: ReadonlyArray<string>
}

const URGENT = 1024

const isQueuedWhereItShould = (job: StoredJob): boolean => {
  switch (job.state) {
    case "ready":
      return job.index !== -1 && job.holder === undefined
    case "delayed":
      return job.index !== -1 && job.holder === undefined
    case "buried":
      return job.index === -1 && job.holder === undefined
    case "reserved":
      return job.index !== -1 && job.holder !== undefined
  }
}

/** A census of this store. */
export const censusOf = (store: Store): Census => {
  const jobs = [...store.jobs.values()]
  const contradictions: Array<string> = []
  const compare = (what: string, says: unknown, is: unknown) => {
    if (says !== is) contradictions.push(`${what}: says ${String(says)}, is ${String(is)}`)
  }
  const count = (of: ReadonlyArray<StoredJob>, state: StoredJob["state"]) =>
    of.filter((job) => job.state === state).length
  for (const state of ["ready", "reserved", "delayed", "buried"] as const) {
    compare(state, store[state], count(jobs, state))
  }
  const urgent = (of: ReadonlyArray<StoredJob>) =>
    of.filter(({ pri, state }) => state === "ready" && pri < URGENT).length
  compare("urgent", store.urgent, urgent(jobs))
  const waiting = new Set([...store.tubes.values()].flatMap((tube) => {
    const reservers = []
    for (let place = tube.waiters.head; place !== undefined; place = place.next) reservers.push(place.reserver)
    return reservers
  }))
  compare("waiting", store.waiting, waiting.size)
  for (const tube of store.tubes.values()) {
    const own = jobs.filter((job) => job.tube === tube)
    compare(`ready in ${tube.name}`, tube.ready.size, count(own, "ready"))
    compare(`delayed in ${tube.name}`, tube.delayed.size, count(own, "delayed"))
    compare(`buried in ${tube.name}`, tube.buried.size, count(own, "buried"))
    compare(`reserved in ${tube.name}`, tube.reserved, count(own, "reserved"))
    compare(`urgent in ${tube.name}`, tube.urgent, urgent(own))
    if (tube.canServe) contradictions.push(`${tube.name} has a ready job and somebody who waits for it`)
    if (own.length === 0 && tube.using === 0 && tube.watching === 0 && tube !== store.tubes.default) {
      contradictions.push(`${tube.name} is there for nobody`)
    }
  }
  for (const job of jobs) {
    if (store.tubes.get(job.tube.name) !== job.tube) contradictions.push(`job ${job.id} is in a tube that is not there`)
    if (!isQueuedWhereItShould(job)) contradictions.push(`job ${job.id} is ${job.state} and not where those are`)
  }
  return { jobs: jobs.length, contradictions }
}
