/**
 * Reserves for a stream or a worker from all servers of a fleet, within one bound: a `Fetcher` for each server, and a share
 * of the room for each that has jobs.
 *
 * Never are more jobs in hand than there is room for. What it takes to keep that:
 *
 * 1. A reserve that waits takes no room from those that do not, which are answered at once. Only the end of its connection
 *    calls it back. So where a job comes of it and all room is taken by then, the job is given back at once; and where there
 *    has been no room for a moment, the reserves that wait are ended.
 * 2. While no server has jobs, and there is room for one, all are waited for.
 * 3. While some servers have jobs, the others are waited for if there is room for all of them. Otherwise they are asked now and
 *    then, without waiting, and come before those that have jobs.
 * 4. Servers that have jobs share the room evenly, in turns if there are many. One may ask for the next whole job, but a
 *    settled job's room stays with it only up to the exact share.
 * 5. Of a server that owes an answer for too long only those jobs count that somebody still works on.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type * as Errors from "../../Errors.ts"
import { FetchCounts } from "../consumer/fetchCounts.ts"
import * as Fetcher from "../consumer/fetcher.ts"
import type { Intake, IntakeSettings } from "../consumer/intake.ts"
import { type ScopedFork, scopedFork } from "../consumer/scopedFork.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import type { Member } from "./member.ts"
import type { Members } from "./members.ts"
import { Shares } from "./shares.ts"

// How often servers without jobs are asked while others have some. With more servers each is asked less often.
const SWEEP_MILLIS = 20

// For how long a reserve may hold room that somebody else needs.
const RECLAIM_MILLIS = 50

/** A server, and what is taken from it. */
interface Source {
  readonly member: Member
  readonly fetcher: Fetcher.Fetcher
  readonly scope: Scope.Closeable
  /** Its schedule says not to dial again. */
  failure: Errors.BeanstalkdError | undefined
}

/** Reserves from all servers of a fleet. */
export class FleetIntake implements Intake {
  readonly #settings: IntakeSettings
  readonly #members: Members
  readonly #fork: ScopedFork
  readonly #clock: Clock.Clock
  readonly #all = new FetchCounts()
  readonly #sources = new Map<Member, Source>()
  readonly #shares = new Shares<Source>()
  readonly #silent = new Set<Source>()
  /** Jobs that came although there was no room, and are being given back. */
  readonly #surplus = new Set<ReservedJob>()
  /** A job that is neither asked for any more nor passed on yet. */
  #delivering = 0
  #state: "new" | "running" | "stopped" = "new"
  #isFilling = false
  #isStale = false
  #crowdedMillis = 0
  #sweptAt = -Infinity
  #turn = 0
  #ticking: Fiber.Fiber<void> | undefined

  constructor(settings: IntakeSettings, members: Members, fork: ScopedFork, clock: Clock.Clock) {
    this.#clock = clock
    this.#settings = settings
    this.#members = members
    this.#fork = fork
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What is taken
  // -------------------------------------------------------------------------------------------------------------------

  get taken(): number {
    let taken = this.#all.taken
    for (const { fetcher } of this.#silent) taken -= fetcher.asked + this.#unused(fetcher)
    return taken
  }

  get asked(): number {
    let asked = this.#all.asked + this.#delivering
    for (const { fetcher } of this.#silent) asked -= fetcher.asked
    return asked
  }

  get #waiting(): number {
    let waiting = this.#all.waiting
    for (const { fetcher } of this.#silent) waiting -= fetcher.counts.waiting
    return waiting
  }

  #unused(fetcher: Fetcher.Fetcher): number {
    let count = 0
    for (const job of fetcher.held()) if (!this.#settings.isInUse(job)) count++
    return count
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Who is asked
  // -------------------------------------------------------------------------------------------------------------------

  fill(): void {
    if (this.#state === "stopped") return
    this.#state = "running"
    this.#isStale = true
    if (this.#isFilling) return
    this.#isFilling = true
    while (this.#isStale && this.#isRunning()) {
      this.#isStale = false
      this.#fillOnce()
    }
    this.#isFilling = false
    if (this.#all.asked > 0) this.#members.watch()
    if (this.#isRunning() && this.#ticking === undefined && this.#mustTick()) this.#tickLater()
  }

  // Asked anew each time: what a reserve leads to can stop it.
  #isRunning(): boolean {
    return this.#state === "running"
  }

  #fillOnce(): void {
    const { idle, starved } = this.#shares
    if (this.#room > 0) this.#starveIfDue()
    for (const source of starved) {
      if (this.#room <= 0) return
      starved.delete(source)
      if (this.#mayWait) source.fetcher.fill()
      else source.fetcher.probe()
      this.#classify(source)
    }
    this.#fillAll(this.#shares.active)
    this.#fillAll(idle)
  }

  // Not always in the same order, since the last one may find no room.
  #fillAll(sources: Iterable<Source>): void {
    if (this.#room <= 0) return
    const all = [...sources]
    const first = this.#turn++
    for (let i = 0; i < all.length && this.#room > 0; i++) {
      const source = all[(first + i) % all.length]!
      source.fetcher.fill()
      this.#classify(source)
    }
  }

  /** Room, if no reserve that waits brings a job. */
  get #room(): number {
    return this.#settings.room() + this.#waiting
  }

  get #mayWait(): boolean {
    const { hot, idle } = this.#shares
    return hot.size === 0 ? this.#room > 0 : this.#settings.room() >= idle.size
  }

  #roomOf(source: Source): number {
    const { hot, starved } = this.#shares
    // A reserve to a server that does not answer can still be carried out, and its job comes back as one that has crashed.
    if (!source.member.isLive) return 0
    const isHot = hot.has(source)
    if (isHot && (starved.size > 0 || !this.#shares.isActive(source))) return 0
    const room = this.#room
    if (room <= 0 || !isHot) return room
    return Math.min(room, Math.ceil(this.#share) - source.fetcher.taken)
  }

  // What a server that has jobs may have while others have jobs too.
  get #share(): number {
    const { activeCount } = this.#shares
    if (activeCount <= 1) return Infinity
    return (this.#room + this.taken - this.#waiting) / activeCount
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What the sources tell
  // -------------------------------------------------------------------------------------------------------------------

  #onJob(source: Source, job: ReservedJob): void {
    this.#classify(source)
    this.#shares.onJob(source)
    this.#delivering = 1
    const hasRoom = this.#room >= 0
    this.#delivering = 0
    if (hasRoom) return this.#settings.onJob(job)
    this.#surplus.add(job)
    this.#fork(this.#settings.giveBack?.(job) ?? job.end)
  }

  #onOver(source: Source, job: ReservedJob): void {
    const { hot, idle } = this.#shares
    if (!this.#surplus.delete(job)) this.#settings.onOver(job)
    // The source asks for itself. The room may be another's.
    if (idle.size > 0 || !hot.has(source) || (hot.size > 1 && this.#room > 0)) this.fill()
  }

  #mayReuse(source: Source, job: ReservedJob): boolean {
    this.#starveIfDue()
    return this.#shares.starved.size === 0 && this.#shares.isActive(source) && !this.#surplus.has(job) &&
      source.fetcher.taken <= this.#share && this.#settings.mayReuse(job)
  }

  #onFailure(source: Source, error: Errors.BeanstalkdError): void {
    source.failure = error
    // One server that is given up is not the end.
    for (const { failure } of this.#sources.values()) if (failure === undefined) return
    this.#settings.onFailure(error)
  }

  #classify(source: Source): void {
    const { fetcher, member } = source
    if (!this.#sources.has(member)) return this.#shares.remove(source)
    if (member.isSilent) this.#silent.add(source)
    else this.#silent.delete(source)
    if (fetcher.isHot && member.isLive) this.#shares.setHot(source)
    else if (fetcher.asked === 0 && member.isLive) this.#shares.setIdle(source)
    else this.#shares.setOther(source)
  }

  #onChange(source: Source): void {
    this.#classify(source)
    if (this.#isRunning() && fetcherMisses(source)) this.fill()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // From time to time
  // -------------------------------------------------------------------------------------------------------------------

  // While servers without jobs are not waited for although there is room, or hold room that others need. Without room there
  // is nothing to do until a job is settled.
  #mustTick(): boolean {
    return (this.#shares.idle.size > 0 && this.#room > 0 && !this.#mayWait) || this.#isCrowded
  }

  // It is the turn of those that have had no jobs for a while.
  #starveIfDue(): void {
    if (this.#shares.idle.size === 0 || this.#mayWait) return
    const now = this.#clock.currentTimeMillisUnsafe()
    if (now - this.#sweptAt < this.#sweepMillis) return
    this.#sweptAt = now
    this.#shares.starve()
  }

  get #sweepMillis(): number {
    return Math.max(SWEEP_MILLIS, this.#sources.size)
  }

  get #isCrowded(): boolean {
    return this.#room <= 0 && this.#waiting > 0
  }

  #tickLater(): void {
    const millis = this.#sweepMillis
    this.#ticking = this.#fork(Effect.andThen(
      Effect.sleep(millis),
      Effect.sync(() => {
        this.#ticking = undefined
        this.#tick(millis)
      })
    ))
  }

  #tick(millis: number): void {
    if (!this.#isRunning()) return
    this.#crowdedMillis = this.#isCrowded ? this.#crowdedMillis + millis : 0
    if (this.#crowdedMillis >= RECLAIM_MILLIS) {
      this.#crowdedMillis = 0
      for (const { fetcher } of this.#sources.values()) if (!fetcher.isHot) fetcher.unwait()
    }
    this.fill()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The servers
  // -------------------------------------------------------------------------------------------------------------------

  /** Takes from the servers that there are now, and takes nothing more from others: what is in hand can be settled. */
  readonly follow: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() => {
    const wanted = new Set(this.#members.list)
    for (const source of this.#sources.values()) {
      const isBack = source.failure !== undefined && source.member.isLive
      if (!wanted.has(source.member) || isBack) this.#drop(source)
      else this.#classify(source)
    }
    const missing = [...wanted].filter((member) => !this.#sources.has(member))
    const added = Effect.forEach(missing, (member) => this.#add(member), { discard: true })
    return Effect.map(added, () => {
      if (this.#state !== "new") this.fill()
    })
  })

  #add(member: Member): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const scope = yield* Scope.fork(yield* Effect.scope)
      let source: Source | undefined
      const settings: IntakeSettings = {
        ...this.#settings,
        room: () => source === undefined || this.#isStopped() ? 0 : this.#roomOf(source),
        mayReuse: (job) => source !== undefined && this.#mayReuse(source, job),
        onJob: (job) => this.#onJob(source!, job),
        onOver: (job) => this.#onOver(source!, job),
        onFailure: (error) => this.#onFailure(source!, error)
      }
      const control: Fetcher.FetchControl = {
        all: this.#all,
        mayWait: () => this.#mayWait,
        onChange: () => {
          if (source !== undefined) this.#onChange(source)
        }
      }
      const fetcher = yield* Scope.provide(Fetcher.make(member.parts, settings, control), scope)
      source = { member, fetcher, scope, failure: undefined }
      this.#sources.set(member, source)
      if (this.#isStopped()) fetcher.stop()
      this.#classify(source)
    })
  }

  #isStopped(): boolean {
    return this.#state === "stopped"
  }

  #drop(source: Source): void {
    this.#sources.delete(source.member)
    this.#silent.delete(source)
    this.#shares.remove(source)
    source.fetcher.stop()
    this.#fork(Scope.close(source.scope, Exit.void))
  }

  stop(): void {
    this.#state = "stopped"
    this.#ticking?.interruptUnsafe()
    for (const { fetcher } of this.#sources.values()) fetcher.stop()
  }
}

const fetcherMisses = ({ fetcher }: Source): boolean => !fetcher.isHot && fetcher.asked === 0

/** An intake over all servers of a fleet, which lives in the Scope. */
export const make = Effect.fnUntraced(function*(
  members: Members,
  settings: IntakeSettings
): Effect.fn.Return<Intake, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const fork = yield* scopedFork
  // Side by side: the end of one that is silent takes a second.
  const sources = yield* Scope.fork(scope, "parallel")
  const intake = new FleetIntake(settings, members, fork, yield* Clock.Clock)
  const follow = Scope.provide(intake.follow, sources)
  const forget = members.onChange(() => void fork(follow))
  yield* Scope.addFinalizer(
    scope,
    Effect.sync(() => {
      forget()
      intake.stop()
    })
  )
  yield* follow
  return intake
})
