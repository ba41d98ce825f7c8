/**
 * What a store is made of: jobs, tubes, and the reservers that take jobs from tubes, with their deadlines and the memory
 * that they take. An entity knows what queues it has or is in; the store alone moves it from one to another.
 */
import { Heap, type HeapItem, List, Timer, TimerQueue } from "./collections.ts"
import type { JournalEntry } from "./journal.ts"
import type { Body } from "./requestParser.ts"

/** How long before the end of one of its leases a reserver that waits hears DEADLINE_SOON. */
const MARGIN_MILLIS = 1000

/** The states of a job. */
export type State = "ready" | "reserved" | "delayed" | "buried"

/** A job. `ttr` and `delay` are in seconds, as the producer gave them; all other times are in milliseconds. */
export class StoredJob implements HeapItem {
  readonly id: number
  readonly tube: StoredTube
  readonly body: Body
  readonly ttr: number
  readonly createdAt: number
  pri: number
  delay: number
  state: State
  /** When a delayed job is ready, or when the lease of a reserved one is over; of any other it says nothing. */
  deadline = Infinity
  holder: Reserver | undefined
  /** What the journal knows of it, if there is one. */
  entry: JournalEntry | undefined
  reserves = 0
  timeouts = 0
  releases = 0
  buries = 0
  kicks = 0
  index = -1
  previous: StoredJob | undefined
  next: StoredJob | undefined

  constructor(
    id: number,
    tube: StoredTube,
    body: Body,
    pri: number,
    delay: number,
    ttr: number,
    state: State,
    now: number
  ) {
    this.id = id
    this.tube = tube
    this.body = body
    this.pri = pri
    this.delay = delay
    this.ttr = ttr
    this.state = state
    this.createdAt = now
  }
}

/** Whether `a` is reserved before `b`. */
export const isMoreUrgent = (a: StoredJob, b: StoredJob): boolean => a.pri < b.pri || (a.pri === b.pri && a.id < b.id)

const isDueBefore = (a: StoredJob, b: StoredJob): boolean =>
  a.deadline < b.deadline || (a.deadline === b.deadline && a.id < b.id)

/** A tube, which lives as long as a connection or a job refers to it. */
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

  /** Whether it has a job for a reserver that waits, which no state of the store may leave so. */
  get canServe(): boolean {
    return this.waiters.head !== undefined && this.ready.head !== undefined && !this.isPaused
  }
}

/** The place of a reserver among those that wait for a job of one tube. */
export class Waiter {
  readonly reserver: Reserver
  readonly tube: StoredTube
  previous: Waiter | undefined
  next: Waiter | undefined

  constructor(reserver: Reserver, tube: StoredTube) {
    this.reserver = reserver
    this.tube = tube
  }
}

/** Hears how a wait ends. */
export interface ReserveListener {
  readonly onReserved: (job: StoredJob) => void
  readonly onDeadlineSoon: () => void
  readonly onTimedOut: () => void
}

/** The reserving side of a connection: the tubes that it watches, the jobs that it holds, its wait. */
export class Reserver {
  readonly listener: ReserveListener
  readonly watched = new Set<StoredTube>()
  readonly held = new List<StoredJob>()
  readonly deadlines = new Heap<StoredJob>(isDueBefore)
  readonly expires: Timer<Reserver> = new Timer<Reserver>(this)
  readonly serial: number
  /** One in each watched tube while it waits. */
  places: ReadonlyArray<Waiter> = []
  timesOutAt = Infinity

  constructor(serial: number, listener: ReserveListener) {
    this.serial = serial
    this.listener = listener
  }

  get isWaiting(): boolean {
    return this.places.length > 0
  }

  /** Whether a reserve is to say DEADLINE_SOON. */
  isDeadlineSoon(now: number): boolean {
    const first = this.deadlines.head
    return first !== undefined && now >= first.deadline - MARGIN_MILLIS
  }

  /** When a lease or the wait is over, or nearly so; Infinity for never. */
  get nextDeadline(): number {
    const deadline = (this.deadlines.head?.deadline ?? Infinity) - (this.isWaiting ? MARGIN_MILLIS : 0)
    return Math.min(deadline, this.timesOutAt)
  }
}

// Sums and differences of such fractions and whole milliseconds are exact, so that a lease of a second is soon over from its
// first moment, as beanstalkd has it. Others are not, where the clock has begun lately, as Deno's does with the process.
const PARTS_OF_A_MILLI = 1024

/** A clock of a store. */
export const millisOf = (clock: { readonly monotonicTimeNanosUnsafe: () => bigint }): () => number => () =>
  Math.round(Number(clock.monotonicTimeNanosUnsafe()) / 1e6 * PARTS_OF_A_MILLI) / PARTS_OF_A_MILLI

/** The moments at which a store has something to do by itself. */
export class Deadlines {
  /** The first delayed job of a tube is ready. */
  readonly matures = new TimerQueue<StoredTube>()
  /** The pause of a tube is over. */
  readonly resumes = new TimerQueue<StoredTube>()
  /** A lease of a reserver is over, or nearly so while it waits, or its wait is over. */
  readonly expires = new TimerQueue<Reserver>()

  /** When the first of all is due; Infinity for never. */
  get next(): number {
    return Math.min(this.matures.next, this.resumes.next, this.expires.next)
  }
}

/** About how many bytes a job takes whose body has `size` bytes. */
export const forJob = (size: number): number => size + 256

/** About how many bytes a tube takes. */
export const TUBE_BYTES = 1024

/** About how many bytes it takes to watch a tube. */
export const WATCH_BYTES = 256

/**
 * What a server spends on what its clients leave with it: jobs, tubes, places among those that watch a tube. Memory that
 * goes with its connection, such as replies that a client does not read, is bounded per connection instead.
 */
export class MemoryBudget {
  readonly limit: number
  taken = 0

  constructor(limit: number) {
    this.limit = limit
  }

  hasRoomFor(bytes: number): boolean {
    return this.taken + bytes <= this.limit
  }

  take(bytes: number): void {
    this.taken += bytes
  }

  free(bytes: number): void {
    this.taken -= bytes
  }
}
