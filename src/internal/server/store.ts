/**
 * The jobs, the tubes and who waits for them: the states of a job and every way from one to another, as beanstalkd has
 * them. It knows nothing of lines and replies. Nothing on the way of a put, a reserve or a delete looks through all jobs.
 *
 * Times are in milliseconds on the scale of its clock, which its owner has it read before every call.
 */
import { Heap, type HeapItem } from "./heap.ts"
import type { Body } from "./requestParser.ts"
import { JobTable } from "./jobTable.ts"
import { forJob, Memory, PLACE_BYTES, TUBE_BYTES } from "./memoryBudget.ts"

/** Jobs with a smaller priority count as urgent. */
const URGENT = 1024

/** So long before its holder's deadline a reserve says DEADLINE_SOON. */
const MARGIN_MILLIS = 1000

const SECOND = 1000

/** What a job can be in. */
export type State = "ready" | "reserved" | "delayed" | "buried"

/** A job. Times to run and delays are in seconds, as they were given. */
export class StoredJob implements HeapItem {
  readonly id: number
  readonly tube: StoredTube
  readonly body: Body
  readonly ttr: number
  readonly createdAt: number
  pri: number
  delay: number
  state: State = "ready"
  /** When it matures, if it is delayed, or when its time to run is over, if it is reserved. */
  deadline = 0
  holder: Reserver | undefined
  reserves = 0
  timeouts = 0
  releases = 0
  buries = 0
  kicks = 0
  index = -1
  previous: StoredJob | undefined
  next: StoredJob | undefined

  constructor(id: number, tube: StoredTube, body: Body, pri: number, delay: number, ttr: number, now: number) {
    this.id = id
    this.tube = tube
    this.body = body
    this.pri = pri
    this.delay = delay
    this.ttr = ttr
    this.createdAt = now
  }
}

const isMoreUrgent = (a: StoredJob, b: StoredJob): boolean => a.pri < b.pri || (a.pri === b.pri && a.id < b.id)

const isDueBefore = (a: StoredJob, b: StoredJob): boolean =>
  a.deadline < b.deadline || (a.deadline === b.deadline && a.id < b.id)

/** A list whose items can be taken out of the middle. A job is in one list at most. */
class List<A extends { previous: A | undefined; next: A | undefined }> {
  head: A | undefined
  #last: A | undefined
  size = 0

  append(item: A): void {
    item.previous = this.#last
    if (this.#last === undefined) this.head = item
    else this.#last.next = item
    this.#last = item
    this.size++
  }

  remove(item: A): void {
    const { next, previous } = item
    if (previous === undefined) this.head = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    item.previous = item.next = undefined
    this.size--
  }
}

/** When something is due, in a heap of such. */
class Timer<A> implements HeapItem {
  readonly of: A
  at = Infinity
  /** Decides between those that are due at the same time. */
  rank = 0
  index = -1

  constructor(of: A) {
    this.of = of
  }
}

const makeTimers = <A>() => new Heap<Timer<A>>((a, b) => a.at < b.at || (a.at === b.at && a.rank < b.rank))

const setTimer = <A>(timers: Heap<Timer<A>>, timer: Timer<A>, at: number, rank: number): void => {
  timer.at = at
  timer.rank = rank
  if (at === Infinity) {
    if (timer.index !== -1) timers.remove(timer)
  } else if (timer.index === -1) timers.add(timer)
  else timers.update(timer)
}

/** A tube, which lives as long as anybody or any job refers to it. */
export class StoredTube {
  readonly name: string
  readonly ready = new Heap<StoredJob>(isMoreUrgent)
  readonly delayed = new Heap<StoredJob>(isDueBefore)
  readonly buried = new List<StoredJob>()
  readonly waiters = new List<Waiter>()
  readonly matures: Timer<StoredTube> = new Timer<StoredTube>(this)
  readonly resumes: Timer<StoredTube> = new Timer<StoredTube>(this)
  urgent = 0
  reserved = 0
  using = 0
  watching = 0
  totalJobs = 0
  deletes = 0
  pauses = 0
  /** The length of the current pause in seconds. */
  pause = 0

  constructor(name: string) {
    this.name = name
  }

  get isPaused(): boolean {
    return this.resumes.index !== -1
  }

  get canServe(): boolean {
    return this.waiters.head !== undefined && this.ready.head !== undefined && !this.isPaused
  }
}

/** One place in the line of a tube. */
class Waiter {
  readonly reserver: Reserver
  readonly tube: StoredTube
  previous: Waiter | undefined
  next: Waiter | undefined

  constructor(reserver: Reserver, tube: StoredTube) {
    this.reserver = reserver
    this.tube = tube
  }
}

/** How a wait ends. */
export interface Outcome {
  readonly onReserved: (job: StoredJob) => void
  readonly onDeadlineSoon: () => void
  readonly onTimedOut: () => void
}

/** Somebody who reserves: what it watches, what it holds, whether it waits. */
export class Reserver {
  readonly outcome: Outcome
  readonly watched = new Set<StoredTube>()
  readonly held = new List<StoredJob>()
  readonly deadlines = new Heap<StoredJob>(isDueBefore)
  readonly timer: Timer<Reserver> = new Timer<Reserver>(this)
  readonly serial: number
  places: ReadonlyArray<Waiter> = []
  timesOutAt = Infinity

  constructor(serial: number, outcome: Outcome) {
    this.serial = serial
    this.outcome = outcome
  }

  get isWaiting(): boolean {
    return this.places.length > 0
  }
}

/** All of it. */
export class Store {
  readonly #clock: () => number
  now = 0
  readonly tubes = new Map<string, StoredTube>()
  readonly jobs = new JobTable<StoredJob>()
  ready = 0
  urgent = 0
  reserved = 0
  delayed = 0
  buried = 0
  waiting = 0
  timeouts = 0
  totalJobs = 0
  readonly memory: Memory
  #lastId = 0
  #reservers = 0
  readonly #maturing = makeTimers<StoredTube>()
  readonly #paused = makeTimers<StoredTube>()
  readonly #reserving = makeTimers<Reserver>()
  readonly default: StoredTube = this.#make("default")

  constructor(clock: () => number, memory: Memory = new Memory(Infinity)) {
    this.#clock = clock
    this.memory = memory
    this.setNow()
  }

  /** Reads the clock. */
  setNow(): void {
    this.now = this.#clock()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Tubes
  // -------------------------------------------------------------------------------------------------------------------

  #make(name: string): StoredTube {
    const tube = new StoredTube(name)
    this.tubes.set(name, tube)
    return tube
  }

  /** A tube, which somebody must refer to; or undefined if there is no memory for it. */
  findOrMake(name: string): StoredTube | undefined {
    const found = this.tubes.get(name)
    if (found !== undefined) return found
    if (!this.memory.hasRoomFor(TUBE_BYTES)) return undefined
    this.memory.take(TUBE_BYTES)
    return this.#make(name)
  }

  #dropIfUnused(tube: StoredTube): void {
    if (tube.using > 0 || tube.watching > 0 || tube.reserved > 0 || tube.buried.size > 0) return
    if (tube.ready.size > 0 || tube.delayed.size > 0 || tube === this.default) return
    setTimer(this.#paused, tube.resumes, Infinity, 0)
    this.tubes.delete(tube.name)
    this.memory.giveBack(TUBE_BYTES)
  }

  use(tube: StoredTube): StoredTube {
    tube.using++
    return tube
  }

  unuse(tube: StoredTube): void {
    tube.using--
    this.#dropIfUnused(tube)
  }

  /** Whether there was memory for it. */
  watch(reserver: Reserver, name: string): boolean {
    const tube = this.findOrMake(name)
    if (tube === undefined) return false
    if (reserver.watched.has(tube)) return true
    if (!this.memory.hasRoomFor(PLACE_BYTES)) {
      this.#dropIfUnused(tube)
      return false
    }
    this.#watch(reserver, tube)
    return true
  }

  #watch(reserver: Reserver, tube: StoredTube): void {
    reserver.watched.add(tube)
    tube.watching++
    this.memory.take(PLACE_BYTES)
  }

  ignore(reserver: Reserver, tube: StoredTube): void {
    if (!reserver.watched.delete(tube)) return
    tube.watching--
    this.memory.giveBack(PLACE_BYTES)
    this.#dropIfUnused(tube)
  }

  pause(tube: StoredTube, seconds: number): void {
    tube.pauses++
    tube.pause = seconds
    setTimer(this.#paused, tube.resumes, this.now + seconds * SECOND, 0)
    if (seconds === 0) this.#resume()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The life of a job
  // -------------------------------------------------------------------------------------------------------------------

  /** Ids follow the order of the commands, not of the bodies. */
  nextId(): number {
    return ++this.#lastId
  }

  put(id: number, tube: StoredTube, body: Body, pri: number, delay: number, ttr: number): void {
    this.#enqueue(this.#insert(id, tube, body, pri, delay, ttr), delay)
  }

  /** The same where there is no memory for a place in a queue. */
  putBuried(id: number, tube: StoredTube, body: Body, pri: number, delay: number, ttr: number): void {
    this.#bury(this.#insert(id, tube, body, pri, delay, ttr))
  }

  #insert(id: number, tube: StoredTube, body: Body, pri: number, delay: number, ttr: number): StoredJob {
    const job = new StoredJob(id, tube, body, pri, delay, ttr, this.now)
    this.jobs.add(id, job)
    this.memory.take(forJob(body.length))
    this.totalJobs++
    tube.totalJobs++
    return job
  }

  isHeldBy(job: StoredJob | undefined, reserver: Reserver): job is StoredJob {
    return job !== undefined && job.holder === reserver
  }

  /** Whether there is one that this client may delete. */
  delete(id: number, reserver: Reserver): boolean {
    const job = this.jobs.get(id)
    if (job === undefined || (job.holder !== undefined && job.holder !== reserver)) return false
    this.#takeOut(job)
    this.jobs.remove(id)
    this.memory.giveBack(forJob(job.body.length))
    job.tube.deletes++
    this.#dropIfUnused(job.tube)
    return true
  }

  release(job: StoredJob, pri: number, delay: number): void {
    this.#takeOut(job)
    job.pri = pri
    job.delay = delay
    job.releases++
    this.#enqueue(job, delay)
  }

  bury(job: StoredJob, pri: number): void {
    this.#takeOut(job)
    job.pri = pri
    this.#bury(job)
  }

  #bury(job: StoredJob): void {
    job.buries++
    job.state = "buried"
    job.tube.buried.append(job)
    this.buried++
  }

  touch(job: StoredJob): void {
    const holder = job.holder!
    job.deadline = this.now + job.ttr * SECOND
    holder.deadlines.update(job)
    this.#schedule(holder)
  }

  /** Makes buried jobs ready, or if there are none, delayed ones; how many. */
  kick(tube: StoredTube, bound: number): number {
    const kicksBuried = tube.buried.size > 0
    let kicked = 0
    while (kicked < bound) {
      const job = kicksBuried ? tube.buried.head : tube.delayed.head
      if (job === undefined) break
      this.#kick(job)
      kicked++
    }
    return kicked
  }

  /** Whether this job could be kicked. */
  kickJob(job: StoredJob | undefined): boolean {
    if (job === undefined || (job.state !== "buried" && job.state !== "delayed")) return false
    this.#kick(job)
    return true
  }

  #kick(job: StoredJob): void {
    this.#takeOut(job)
    job.kicks++
    this.#enqueue(job, 0)
  }

  /** Reserves this very job, unless somebody has it. */
  reserveJob(job: StoredJob | undefined, reserver: Reserver): job is StoredJob {
    if (job === undefined || job.state === "reserved") return false
    this.#reserve(job, reserver)
    return true
  }

  #enqueue(job: StoredJob, delay: number): void {
    const { tube } = job
    if (delay > 0) {
      // Of two that are delayed in one turn, the first one matures first.
      this.setNow()
      job.state = "delayed"
      job.deadline = this.now + delay * SECOND
      tube.delayed.add(job)
      this.delayed++
      this.#watchMaturing(tube)
      return
    }
    job.state = "ready"
    tube.ready.add(job)
    this.ready++
    this.#countUrgent(job, 1)
    if (tube.canServe) this.#serve([tube])
  }

  #countUrgent(job: StoredJob, by: number): void {
    if (job.pri >= URGENT) return
    this.urgent += by
    job.tube.urgent += by
  }

  // Out of whatever it is in.
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

  #reserve(job: StoredJob, reserver: Reserver): void {
    this.#takeOut(job)
    job.state = "reserved"
    job.holder = reserver
    job.reserves++
    job.deadline = this.now + job.ttr * SECOND
    reserver.held.append(job)
    reserver.deadlines.add(job)
    job.tube.reserved++
    this.reserved++
    this.#schedule(reserver)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Waiting
  // -------------------------------------------------------------------------------------------------------------------

  join(outcome: Outcome): Reserver {
    const reserver = new Reserver(++this.#reservers, outcome)
    this.#watch(reserver, this.default)
    return reserver
  }

  /** Gives back what it holds, in the order in which it was reserved, and forgets it. */
  leave(reserver: Reserver): void {
    this.stopWaiting(reserver)
    for (let job = reserver.held.head; job !== undefined; job = reserver.held.head) {
      this.#takeOut(job)
      this.#enqueue(job, 0)
    }
    for (const tube of reserver.watched) this.ignore(reserver, tube)
  }

  /** Waits for a job of the tubes that it watches; one of its outcomes follows, or has followed already. */
  wait(reserver: Reserver, timeoutMillis: number): void {
    let best: StoredJob | undefined
    for (const { isPaused, ready } of reserver.watched) {
      if (ready.head !== undefined && !isPaused && (best === undefined || isMoreUrgent(ready.head, best))) {
        best = ready.head
      }
    }
    if (best !== undefined) {
      this.#reserve(best, reserver)
      return reserver.outcome.onReserved(best)
    }
    if (this.#isDue(reserver)) return reserver.outcome.onDeadlineSoon()
    if (timeoutMillis === 0) return reserver.outcome.onTimedOut()
    reserver.places = Array.from(reserver.watched, (tube) => new Waiter(reserver, tube))
    for (const place of reserver.places) place.tube.waiters.append(place)
    reserver.timesOutAt = this.now + timeoutMillis
    this.waiting++
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

  // As long as one of these tubes has a job and somebody waits for it: the most urgent of all to the first in its line.
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
      reserver.outcome.onReserved(best)
    }
  }

  /** Nobody is there any more: what is not in the jobs themselves begins anew. */
  restart(): void {
    this.timeouts = this.totalJobs = 0
    for (const tube of this.tubes.values()) {
      tube.totalJobs =
        tube.deletes =
        tube.pauses =
        tube.pause =
          0
      setTimer(this.#paused, tube.resumes, Infinity, 0)
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Time
  // -------------------------------------------------------------------------------------------------------------------

  /** When `runTimers` has something to do next; Infinity for never. */
  get nextDeadline(): number {
    return Math.min(
      this.#maturing.head?.at ?? Infinity,
      this.#paused.head?.at ?? Infinity,
      this.#reserving.head?.at ?? Infinity
    )
  }

  /** Does what is due: delays that end, pauses that end, times to run and waits that are over, in this order. */
  runTimers(): void {
    if (this.nextDeadline > this.now) return
    while (this.#isPast(this.#maturing)) {
      const job = this.#maturing.head!.of.delayed.head!
      this.#takeOut(job)
      this.#enqueue(job, 0)
    }
    this.#resume()
    while (this.#isPast(this.#reserving)) this.#expire(this.#reserving.head!.of)
  }

  #isPast<A>(timers: Heap<Timer<A>>): boolean {
    return timers.head !== undefined && timers.head.at <= this.now
  }

  #resume(): void {
    const resumed: Array<StoredTube> = []
    while (this.#isPast(this.#paused)) {
      const tube = this.#paused.head!.of
      setTimer(this.#paused, tube.resumes, Infinity, 0)
      tube.pause = 0
      resumed.push(tube)
    }
    this.#serve(resumed)
  }

  #isDue(reserver: Reserver): boolean {
    const first = reserver.deadlines.head
    return first !== undefined && this.now >= first.deadline - MARGIN_MILLIS
  }

  #expire(reserver: Reserver): void {
    const isDue = this.#isDue(reserver)
    for (let job = reserver.deadlines.head; job !== undefined; job = reserver.deadlines.head) {
      if (job.deadline > this.now) break
      this.timeouts++
      job.timeouts++
      this.#takeOut(job)
      this.#enqueue(job, 0)
    }
    if (reserver.isWaiting && (isDue || reserver.timesOutAt <= this.now)) {
      this.stopWaiting(reserver)
      if (isDue) reserver.outcome.onDeadlineSoon()
      else reserver.outcome.onTimedOut()
    }
  }

  #watchMaturing(tube: StoredTube): void {
    const first = tube.delayed.head
    setTimer(this.#maturing, tube.matures, first?.deadline ?? Infinity, first?.id ?? 0)
  }

  #schedule(reserver: Reserver): void {
    const deadline = (reserver.deadlines.head?.deadline ?? Infinity) - (reserver.isWaiting ? MARGIN_MILLIS : 0)
    setTimer(this.#reserving, reserver.timer, Math.min(deadline, reserver.timesOutAt), reserver.serial)
  }
}
