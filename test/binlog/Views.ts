/**
 * What of a store must be there after a restart, as a text per job, so that two can be compared.
 */
import type { Store } from "../../src/internal/server/store.ts"
import type { Machine } from "./Machine.ts"

interface JobView {
  /** All that is the same after a restart. */
  readonly fixed: string
  readonly state: "ready" | "buried" | "delayed"
  /** Milliseconds since the first machine was started. */
  readonly readyAt: number
}

/** The jobs of a moment. */
export interface View {
  readonly jobs: ReadonlyMap<number, JobView>
  /** The ids of buried jobs in the order in which they would be kicked, by tube. */
  readonly buried: string
  /** No id up to this one may come again. */
  readonly lastId: number
}

// Bodies are one character again and again.
const shorten = (body: string): string => body.replace(/^(.)\1+$/, (all, character) => `${character} * ${all.length}`)

const buriedOf = (store: Store): string => {
  const lines = Array.from(store.tubes.values(), ({ buried, name }) => {
    const ids: Array<number> = []
    for (let job = buried.head; job !== undefined; job = job.next) ids.push(job.id)
    return `${name}: ${ids.join()}`
  })
  return lines.filter((line) => !line.endsWith(": ")).toSorted().join("; ")
}

/** The jobs of a machine. */
export const viewOf = ({ startedAt, store }: Machine): View => {
  const jobs = new Map<number, JobView>()
  for (const { body, buries, deadline, delay, id, kicks, pri, releases, state, ttr, tube } of store.jobs.values()) {
    jobs.set(id, {
      fixed: JSON.stringify([tube.name, shorten(String(body)), pri, delay, ttr, { releases, buries, kicks }]),
      state: state === "reserved" ? "ready" : state,
      readyAt: state === "delayed" ? startedAt + deadline : 0
    })
  }
  return { jobs, buried: buriedOf(store), lastId: store.lastId }
}

/** One job at this time. */
export const jobAt = ({ jobs }: View, id: number, time: number): string => {
  const job = jobs.get(id)
  if (job === undefined) return "none"
  const { fixed, readyAt, state } = job
  return state === "delayed" && readyAt > time ?
    `delayed until ${readyAt} ${fixed}` :
    `${state === "delayed" ? "ready" : state} ${fixed}`
}

/** All jobs at this time. */
export const allAt = (view: View, time: number): string => {
  const ids = [...view.jobs.keys()].toSorted((a, b) => a - b)
  return [...ids.map((id) => `${id} ${jobAt(view, id, time)}`), view.buried].join("\n")
}
