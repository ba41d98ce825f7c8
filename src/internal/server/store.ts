/**
 * The state machine of jobs: every state of a job, and every way from one to another, as beanstalkd has them. It knows
 * nothing of lines and replies. A put, a reserve or a delete never looks through all jobs.
 *
 * Times are in milliseconds by its clock, which its owner tells it to read before each transaction.
 */
import { JobTable } from "./collections.ts"
import {
  Deadlines,
  forJob,
  isMoreUrgent,
  MemoryBudget,
  type ReserveListener,
  Reserver,
  type State,
  StoredJob,
  type StoredTube,
  Waiter
} from "./entities.ts"
import type { Journal } from "./journal.ts"
import type { Body } from "./requestParser.ts"
import { Tubes } from "./tubes.ts"

/** Jobs with a smaller priority count as urgent. */
const URGENT = 1024

const SECOND = 1000

/** Jobs, tubes, and the reservers that wait for jobs. */
export class Store {
  readonly #clock: () => number
  readonly journal: Journal | undefined
  now: number
  readonly jobs = new JobTable<StoredJob>()
  ready = 0
  urgent = 0
  reserved = 0
  delayed = 0
  buried = 0
  waiting = 0
  /** How many waits have begun. */
  waits = 0
  timeouts = 0
  totalJobs = 0
  readonly memory: MemoryBudget
  readonly tubes: Tubes
  lastId = 0
  #reservers = 0
  readonly #deadlines = new Deadlines()

  constructor(
    clock: () => number,
    memory: MemoryBudget = new MemoryBudget(Infinity),
    journal?: Journal
  ) {
    this.#clock = clock
    this.memory = memory
    this.tubes = new Tubes(memory, this.#deadlines.resumes)
    this.journal = journal
    this.now = clock()
  }

  /** Reads the clock. */
  setNow(): void {
    this.now = this.#clock()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The life of a job
  // -------------------------------------------------------------------------------------------------------------------

  /** Ids follow the order of the put commands, not of their bodies, which can come later. */
  nextId(): number {
    return ++this.lastId
  }

  put(id: number, tube: StoredTube, body: Body, pri: number, delay: number, ttr: number): void {
    this.#insert(new StoredJob(id, tube, body, pri, delay, ttr, delay > 0 ? "delayed" : "ready", this.now))
  }

  /** A put when there is no memory for a place in a queue. */
  putBuried(id: number, tube: StoredTube, body: Body, pri: number, delay: number, ttr: number): void {
    this.#insert(new StoredJob(id, tube, body, pri, delay, ttr, "buried", this.now))
  }

  #insert(job: StoredJob): void {
    this.#onEntering(job)
    this.hold(job)
    this.totalJobs++
    job.tube.totalJobs++
    this.journal?.put(job)
    this.queue(job)
  }

  /** Takes a job, in the order of the ids; one that a journal had, whether there is memory for it or not. */
  hold(job: StoredJob): void {
    this.jobs.add(job.id, job)
    this.memory.take(forJob(job.body.length))
  }

  isHeldBy(job: StoredJob | undefined, reserver: Reserver): job is StoredJob {
    return job !== undefined && job.holder === reserver
  }

  /** @returns whether there was a job of this id that this reserver may delete */
  delete(id: number, reserver: Reserver): boolean {
    const job = this.jobs.get(id)
    if (job === undefined || (job.holder !== undefined && job.holder !== reserver)) return false
    this.#takeOut(job)
    this.jobs.remove(id)
    this.memory.free(forJob(job.body.length))
    job.tube.deletes++
    this.journal?.deleted(job)
    this.tubes.dropIfUnused(job.tube)
    return true
  }

  release(job: StoredJob, pri: number, delay: number): void {
    this.#takeOut(job)
    job.pri = pri
    job.delay = delay
    job.releases++
    this.#enqueue(job, delay > 0 ? "delayed" : "ready")
  }

  bury(job: StoredJob, pri: number): void {
    this.#takeOut(job)
    job.pri = pri
    this.#enqueue(job, "buried")
  }

  touch(job: StoredJob): void {
    const holder = job.holder!
    job.deadline = this.now + job.ttr * SECOND
    holder.deadlines.update(job)
    this.#schedule(holder)
  }

  /**
   * Makes buried jobs ready, or delayed ones if none is buried.
   *
   * @returns how many
   */
  kick(tube: StoredTube, bound: number): number {
    const kicksBuried = tube.buried.size > 0
    let kicked = 0
    while (kicked < bound && this.journal?.hasRoomForChange() !== false) {
      const job = kicksBuried ? tube.buried.head : tube.delayed.head
      if (job === undefined) break
      this.#kick(job)
      kicked++
    }
    return kicked
  }

  /** @returns whether the job was buried or delayed */
  kickJob(job: StoredJob | undefined): boolean {
    if (job === undefined || (job.state !== "buried" && job.state !== "delayed")) return false
    this.#kick(job)
    return true
  }

  #kick(job: StoredJob): void {
    this.#takeOut(job)
    job.kicks++
    this.#enqueue(job, "ready")
  }

  /** @returns whether the job was there, and nobody had it */
  reserveJob(job: StoredJob | undefined, reserver: Reserver): job is StoredJob {
    if (job === undefined || job.state === "reserved") return false
    this.#reserve(job, reserver)
    return true
  }

  #takeOut(job: StoredJob): void {
    const { tube } = job
    switch (job.state) {
      case "ready":
        tube.ready.remove(job)
        this.ready--
        return this.#countUrgent(job, -1)
      case "delayed":
        tube.delayed.remove(job)
        this.delayed--
        return this.#watchMaturing(tube)
      case "buried":
        tube.buried.remove(job)
        this.buried--
        return
      case "reserved": {
        const holder = job.holder!
        holder.held.remove(job)
        holder.deadlines.remove(job)
        job.holder = undefined
        tube.reserved--
        this.reserved--
        this.#schedule(holder)
      }
    }
  }

  /** Puts a job that was taken out into another state. */
  #enqueue(job: StoredJob, state: Exclude<State, "reserved">): void {
    job.state = state
    this.#onEntering(job)
    this.journal?.state(job)
    this.queue(job)
  }

  #onEntering(job: StoredJob): void {
    if (job.state === "buried") job.buries++
    if (job.state !== "delayed") return
    // Of two jobs that are delayed in one transaction, the first is ready first.
    this.setNow()
    job.deadline = this.now + job.delay * SECOND
  }

  /** Puts a job where its state says. The journal has heard of it before: here a reserver can hear of it. */
  queue(job: StoredJob): void {
    const { tube } = job
    switch (job.state) {
      case "ready":
        tube.ready.add(job)
        this.ready++
        this.#countUrgent(job, 1)
        if (tube.canServe) this.#serve([tube])
        return
      case "delayed":
        tube.delayed.add(job)
        this.delayed++
        return this.#watchMaturing(tube)
      case "buried":
        tube.buried.append(job)
        this.buried++
    }
  }

  #countUrgent(job: StoredJob, by: number): void {
    if (job.pri >= URGENT) return
    this.urgent += by
    job.tube.urgent += by
  }

  #reserve(job: StoredJob, reserver: Reserver): void {
    const wasReady = job.state === "ready"
    this.#takeOut(job)
    job.state = "reserved"
    job.holder = reserver
    job.reserves++
    job.deadline = this.now + job.ttr * SECOND
    // A ready job that is reserved is ready after a restart, with or without a record.
    if (!wasReady) this.journal?.state(job)
    reserver.held.append(job)
    reserver.deadlines.add(job)
    job.tube.reserved++
    this.reserved++
    this.#schedule(reserver)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Waiting
  // -------------------------------------------------------------------------------------------------------------------

  join(listener: ReserveListener): Reserver {
    const reserver = new Reserver(++this.#reservers, listener)
    this.tubes.watchDefault(reserver)
    return reserver
  }

  /** Makes the jobs that it holds ready, in the order in which it reserved them, and forgets it. */
  leave(reserver: Reserver): void {
    this.stopWaiting(reserver)
    for (let job = reserver.held.head; job !== undefined; job = reserver.held.head) {
      this.#takeOut(job)
      this.#enqueue(job, "ready")
    }
    for (const tube of reserver.watched) this.tubes.ignore(reserver, tube)
  }

  /** Waits for a job of the watched tubes. The listener hears of the end, which may be before this returns. */
  wait(reserver: Reserver, timeoutMillis: number): void {
    let best: StoredJob | undefined
    for (const { isPaused, ready } of reserver.watched) {
      if (ready.head !== undefined && !isPaused && (best === undefined || isMoreUrgent(ready.head, best))) {
        best = ready.head
      }
    }
    if (best !== undefined) {
      this.#reserve(best, reserver)
      return reserver.listener.onReserved(best)
    }
    if (reserver.isDeadlineSoon(this.now)) return reserver.listener.onDeadlineSoon()
    if (timeoutMillis === 0) return reserver.listener.onTimedOut()
    reserver.places = Array.from(reserver.watched, (tube) => new Waiter(reserver, tube))
    for (const place of reserver.places) place.tube.waiters.append(place)
    reserver.timesOutAt = this.now + timeoutMillis
    this.waiting++
    this.waits++
    this.#schedule(reserver)
  }

  stopWaiting(reserver: Reserver): void {
    if (!reserver.isWaiting) return
    for (const place of reserver.places) place.tube.waiters.remove(place)
    reserver.places = []
    reserver.timesOutAt = Infinity
    this.waiting--
    this.#schedule(reserver)
  }

  pause(tube: StoredTube, seconds: number): void {
    tube.pauses++
    tube.pause = seconds
    this.#deadlines.resumes.set(tube.resumes, this.now + seconds * SECOND, 0)
    if (seconds === 0) this.#resume()
  }

  /** Gives the most urgent job of these tubes to the reserver that has waited longest for its tube, again and again. */
  #serve(tubes: Iterable<StoredTube>): void {
    while (true) {
      let best: StoredJob | undefined
      for (const tube of tubes) {
        if (tube.canServe && (best === undefined || isMoreUrgent(tube.ready.head!, best))) best = tube.ready.head!
      }
      if (best === undefined) return
      const { reserver } = best.tube.waiters.head!
      this.stopWaiting(reserver)
      this.#reserve(best, reserver)
      reserver.listener.onReserved(best)
    }
  }

  /** Forgets what a server forgets that is killed: all but the jobs. Its reservers must have left. */
  restart(): void {
    this.timeouts = this.totalJobs = 0
    this.tubes.restart()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Time
  // -------------------------------------------------------------------------------------------------------------------

  /** When `runTimers` has something to do next; Infinity for never. */
  get nextDeadline(): number {
    return this.#deadlines.next
  }

  /** Does what is due: first delays that end, then pauses that end, then leases and waits that run out. */
  runTimers(): void {
    const { expires, matures, next } = this.#deadlines
    if (next > this.now) return
    for (let tube = matures.due(this.now); tube !== undefined; tube = matures.due(this.now)) {
      const job = tube.delayed.head!
      this.#takeOut(job)
      this.#enqueue(job, "ready")
    }
    this.#resume()
    for (let due = expires.due(this.now); due !== undefined; due = expires.due(this.now)) this.#expire(due)
  }

  #resume(): void {
    const { resumes } = this.#deadlines
    const resumed: Array<StoredTube> = []
    for (let tube = resumes.due(this.now); tube !== undefined; tube = resumes.due(this.now)) {
      resumes.set(tube.resumes, Infinity, 0)
      tube.pause = 0
      resumed.push(tube)
    }
    this.#serve(resumed)
  }

  #expire(reserver: Reserver): void {
    const isDue = reserver.isDeadlineSoon(this.now)
    for (let job = reserver.deadlines.head; job !== undefined; job = reserver.deadlines.head) {
      if (job.deadline > this.now) break
      this.timeouts++
      job.timeouts++
      this.#takeOut(job)
      this.#enqueue(job, "ready")
    }
    if (reserver.isWaiting && (isDue || reserver.timesOutAt <= this.now)) {
      this.stopWaiting(reserver)
      if (isDue) reserver.listener.onDeadlineSoon()
      else reserver.listener.onTimedOut()
    }
  }

  #watchMaturing(tube: StoredTube): void {
    const first = tube.delayed.head
    this.#deadlines.matures.set(tube.matures, first?.deadline ?? Infinity, first?.id ?? 0)
  }

  #schedule(reserver: Reserver): void {
    this.#deadlines.expires.set(reserver.expires, reserver.nextDeadline, reserver.serial)
  }
}
