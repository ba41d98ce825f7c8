/**
 * The jobs, connections and pauses of the model, and what time does to them: lists that are looked through from one end
 * to the other.
 *
 * Time is in milliseconds. Of several connections that are due at the same moment, none is the first by rights: the
 * timeline then says `isAmbiguous`, and nothing can be expected from there on.
 */

/** A reply without its body; of statistics, the fields that the model knows. */
export type Reply = string | Readonly<Record<string, string | number>>

export interface Event {
  readonly at: number
  readonly conn: number
  readonly reply: Reply
}

export type State = "ready" | "reserved" | "delayed" | "buried"

export interface Job {
  readonly id: number
  readonly tube: string
  readonly ttr: number
  readonly createdAt: number
  pri: number
  delay: number
  state: State
  /** Of the delay, or of the time to run. */
  deadline: number
  holder: Conn | undefined
  /** When it came to where it is now, in order: of burials, and of reservations. */
  order: number
  reserves: number
  timeouts: number
  releases: number
  buries: number
  kicks: number
}

export interface Conn {
  readonly number: number
  used: string
  watched: Array<string>
  /** When the wait is over; undefined if it does not wait. */
  waitsUntil: number | undefined
}

export interface Pause {
  readonly seconds: number
  readonly until: number
}

export const SECOND = 1000
const MARGIN = SECOND

export const byPriority = (a: Job, b: Job) => a.pri - b.pri || a.id - b.id
export const byDeadline = (a: Job, b: Job) => a.deadline - b.deadline || a.id - b.id
export const byOrder = (a: Job, b: Job) => a.order - b.order

export class Timeline {
  now = 0
  isAmbiguous = false
  readonly events: Array<Event> = []
  readonly conns: Array<Conn>
  jobs: Array<Job> = []
  /** Who has waited longest comes first. */
  waiters: Array<Conn> = []
  readonly pauses = new Map<string, Pause>()
  #lastOrder = 0

  constructor(connections: number) {
    this.conns = Array.from({ length: connections }, (_, number) => newConn(number))
  }

  /** Lets time pass until `to`; whatever is due happens on time. */
  advance(to: number): void {
    while (!this.isAmbiguous) {
      const next = Math.min(...this.#dueTimes())
      if (next > to) break
      this.now = next
      this.tick()
    }
    this.now = to
  }

  #dueTimes(): Array<number> {
    return [
      ...this.in("delayed").map((job) => job.deadline),
      ...Array.from(this.pauses.values(), (pause) => pause.until),
      ...this.conns.map((conn) => this.#dueTime(conn))
    ]
  }

  #dueTime(conn: Conn): number {
    const deadline = Math.min(...this.heldBy(conn).map((job) => job.deadline))
    return conn.waitsUntil === undefined ? deadline : Math.min(deadline - MARGIN, conn.waitsUntil)
  }

  tick(): void {
    for (const job of this.in("delayed").sort(byDeadline)) if (job.deadline <= this.now) this.makeReady(job)
    for (const [tube, pause] of this.pauses) if (pause.until <= this.now) this.pauses.delete(tube)
    this.serve()
    const due = this.conns.filter((conn) => this.#dueTime(conn) <= this.now)
    if (due.length > 1) this.isAmbiguous = true
    for (const conn of due) {
      for (const job of this.heldBy(conn).sort(byDeadline)) {
        if (job.deadline > this.now) continue
        job.timeouts++
        this.makeReady(job)
      }
      if (conn.waitsUntil === undefined) continue
      if (this.isDeadlineSoon(conn)) this.#endWait(conn, "DEADLINE_SOON")
      else if (conn.waitsUntil <= this.now) this.#endWait(conn, "TIMED_OUT")
    }
  }

  isDeadlineSoon(conn: Conn): boolean {
    return this.heldBy(conn).some((job) => job.deadline - MARGIN <= this.now)
  }

  in(state: State, tube?: string): Array<Job> {
    return this.jobs.filter((job) => job.state === state && (tube === undefined || job.tube === tube))
  }

  heldBy(conn: Conn): Array<Job> {
    return this.jobs.filter((job) => job.holder === conn)
  }

  makeReady(job: Job): void {
    job.state = "ready"
    job.holder = undefined
    this.serve()
  }

  /** Ready, or delayed if there is a delay. */
  enqueue(job: Job, delay: number): void {
    job.delay = delay
    if (delay === 0) return this.makeReady(job)
    job.state = "delayed"
    job.holder = undefined
    job.deadline = this.now + delay * SECOND
  }

  reserve(job: Job, conn: Conn): void {
    job.state = "reserved"
    job.holder = conn
    job.deadline = this.now + job.ttr * SECOND
    job.order = ++this.#lastOrder
    job.reserves++
  }

  /** The best job for which somebody waits goes to the one who has waited longest, again and again. */
  serve(): void {
    while (true) {
      const isWanted = ({ tube }: Job) => !this.pauses.has(tube) && this.waiters.some((w) => w.watched.includes(tube))
      const job = this.in("ready").filter(isWanted).sort(byPriority)[0]
      if (job === undefined) return
      const conn = this.waiters.find(({ watched }) => watched.includes(job.tube))!
      this.reserve(job, conn)
      this.#endWait(conn, `RESERVED ${job.id}`)
    }
  }

  #endWait(conn: Conn, reply: string): void {
    this.waiters = this.waiters.filter((waiter) => waiter !== conn)
    conn.waitsUntil = undefined
    this.say(conn, reply)
  }

  say({ number }: Conn, reply: Reply): void {
    this.events.push({ at: this.now, conn: number, reply })
  }

  bury(job: Job, pri: number): void {
    Object.assign(job, { pri, state: "buried", holder: undefined, order: ++this.#lastOrder })
    job.buries++
  }

  exists(tube: string): boolean {
    return tube === "default" || this.jobs.some((job) => job.tube === tube) ||
      this.conns.some(({ used, watched }) => used === tube || watched.includes(tube))
  }
}

export const newConn = (number: number): Conn => ({
  number,
  used: "default",
  watched: ["default"],
  waitsUntil: undefined
})
