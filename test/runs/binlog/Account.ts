/**
 * What became of each job, as its client knows it: what was acknowledged, and what was asked for and may or may not have
 * happened when the server was killed.
 */

/** A job at one moment. A body is never put twice, so it names its job. */
export interface JobState {
  readonly tube: string
  readonly state: string
  readonly pri: number
  readonly delay: number
  readonly ttr: number
  readonly body: string
}

/** A job that a server has. */
export interface FoundJob extends JobState {
  readonly id: number
}

/** What is wrong with the jobs of a server. */
export type Wrong = "lost" | "changed" | "undone" | "phantom"

const textOf = ({ delay, pri, state, tube, ttr }: JobState) => `${tube} ${state} ${pri} ${delay} ${ttr}`

const ABSENT = "absent"

/** A job, and all that was asked for it. */
export class Job {
  readonly body: string
  /** As soon as it is known. */
  id: number | undefined
  /** The states that were asked for, oldest first, and the last one of them in full. */
  #history: Array<string> = [ABSENT]
  /** The place of the last one that was acknowledged. */
  #acknowledged = 0
  last: JobState

  constructor(last: JobState) {
    this.body = last.body
    this.last = last
    this.#history.push(textOf(last))
  }

  get mayBeThere(): boolean {
    return this.#history.at(-1) !== ABSENT
  }

  /** It is to become so. */
  ask(change: Partial<JobState> | "deleted"): void {
    if (change === "deleted") {
      this.#history.push(ABSENT)
    } else {
      this.last = { ...this.last, ...change }
      this.#history.push(textOf(this.last))
    }
  }

  /** All that was asked so far has happened. */
  acknowledge(): void {
    this.#acknowledged = this.#history.length - 1
  }

  /** What is wrong with what a server has of it; undefined if nothing is. */
  judge(found: FoundJob | undefined): Wrong | undefined {
    const may = this.#history.slice(this.#acknowledged)
    const text = found === undefined ? ABSENT : textOf(found)
    if (found !== undefined && this.id !== undefined && found.id !== this.id) return "phantom"
    if (may.includes(text)) return undefined
    if (text === ABSENT) return "lost"
    return may.every((state) => state === ABSENT) ? "undone" : "changed"
  }

  /** It is so, whatever was asked for. */
  settle(found: FoundJob): void {
    this.id = found.id
    this.last = found
    this.#history = [textOf(found)]
    this.#acknowledged = 0
  }
}

/** All jobs of a directory. */
export class Account {
  readonly #jobs = new Map<string, Job>()
  #count = 0
  /** The largest id that was acknowledged. */
  lastId = 0

  get living(): ReadonlyArray<Job> {
    return [...this.#jobs.values()].filter((job) => job.id !== undefined && job.mayBeThere)
  }

  /** A name for the next job. */
  nextName(): string {
    return `job ${++this.#count} `
  }

  add(job: Job): void {
    this.#jobs.set(job.body, job)
  }

  inserted(job: Job, id: number): void {
    job.id = id
    this.lastId = Math.max(this.lastId, id)
    job.acknowledge()
  }

  /** What is wrong with the jobs of a server. */
  judge(found: ReadonlyArray<FoundJob>): ReadonlyArray<readonly [wrong: Wrong, id: number | undefined, body: string]> {
    const byBody = new Map(found.map((job) => [job.body, job]))
    const wrongs = Array.from(this.#jobs.values(), (job) => {
      const wrong = job.judge(byBody.get(job.body))
      return wrong === undefined ? undefined : [wrong, job.id, job.body.slice(0, 20)] as const
    })
    const phantoms = found.filter((job) => !this.#jobs.has(job.body) || byBody.get(job.body) !== job)
    return [
      ...wrongs.filter((wrong) => wrong !== undefined),
      ...phantoms.map(({ body, id }) => ["phantom", id, body.slice(0, 20)] as const)
    ]
  }

  /** The server goes on with these. */
  settle(found: ReadonlyArray<FoundJob>): void {
    const byBody = new Map(found.map((job) => [job.body, job]))
    for (const [body, job] of this.#jobs) {
      const now = byBody.get(body)
      if (now === undefined) this.#jobs.delete(body)
      else job.settle(now)
    }
    this.lastId = Math.max(this.lastId, ...found.map(({ id }) => id))
  }
}
