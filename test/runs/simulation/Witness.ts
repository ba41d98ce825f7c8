/**
 * Watches every job that the server takes, gives and lets go, in order, and judges whether it may. It watches the
 * store, below the commands; the replies are for the programs to judge.
 */
import type { Reserver, StoredJob, StoredTube } from "../../../src/internal/server/entities.ts"
import { DEFAULT_PRIORITY, DEFAULT_TTR_SECONDS } from "../../../src/Protocol.ts"
import type { Store } from "../../../src/internal/server/store.ts"
import type { Job, Lease, Ledger, Put } from "./Ledger.ts"
import type { Link } from "./Network.ts"
import { idOf, idOfKey, payloadOf } from "./Enclosed.ts"
import { inWords, type Meaning, meaningsOf } from "./Verdicts.ts"
import type { Process, World } from "./World.ts"

const KEY = /"key":(\d+)/

// The store keeps short bodies as latin1 text.
const text = (body: Uint8Array | string): string =>
  (typeof body === "string" ? Buffer.from(body, "latin1") : Buffer.from(body)).toString("utf8")

type Doing = "nothing" | "delete" | "release" | "bury" | "kick" | "reserve-job"

const COUNTERS = ["reserves", "kicks", "releases", "timeouts", "buries"] as const

/** A command that has ended a lease. */
interface Command {
  readonly command: Meaning["command"]
  readonly priority: number
  /** The delay in seconds; undefined if nobody can tell it any more. */
  readonly delaySeconds: number | undefined
}

// The original methods. Each is replaced by one that calls it.
const methodsOf = (store: Store) => ({
  bury: store.bury.bind(store),
  kick: store.kick.bind(store),
  kickJob: store.kickJob.bind(store),
  leave: store.leave.bind(store),
  pause: store.pause.bind(store),
  put: store.put.bind(store),
  putBuried: store.putBuried.bind(store),
  release: store.release.bind(store),
  reserveJob: store.reserveJob.bind(store),
  touch: store.touch.bind(store)
})

/** Watches one server. */
export class Witness {
  readonly #world: World
  readonly #ledger: Ledger
  readonly #store: Store
  readonly #links = new Map<Reserver, Link>()
  /** The ends of pauses. */
  readonly #pauses = new Map<StoredTube, number>()
  #lastId = 0
  /** Deletes a job unseen. */
  #forget: (id: number) => void = () => {}
  #doing: Doing = "nothing"
  #deleter: Reserver | undefined
  /** Priority and delay of the current release or bury. */
  #terms = { priority: 0, delaySeconds: 0 }

  constructor(ledger: Ledger, store: Store) {
    this.#world = ledger.world
    this.#ledger = ledger
    this.#store = store
    this.#watch(store)
  }

  /** A connection was accepted. */
  meet(link: Link, reserver: Reserver): void {
    this.#links.set(reserver, link)
    this.#ledger.leases.set(link, [])
    const { held } = reserver
    const append = held.append.bind(held)
    const remove = held.remove.bind(held)
    held.append = (job) => {
      this.#onReserved(reserver, link, job)
      append(job)
    }
    held.remove = (job) => {
      remove(job)
      this.#onLeft(job)
    }
  }

  /** The server has been restarted. */
  forgetPauses(): void {
    this.#pauses.clear()
  }

  /** The server has been restarted without a binlog: no job is left, and ids begin anew. */
  forgetJobs(): void {
    this.#world.tell("server: all jobs are gone")
    for (const id of this.#ledger.jobs.keys()) {
      if (this.#store.jobs.get(id) !== undefined) this.#forget(id)
    }
    this.#lastId = 0
    this.#ledger.forgetJobs()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Commands
  // -------------------------------------------------------------------------------------------------------------------

  #during<A>(doing: Doing, run: () => A): A {
    const before = this.#doing
    this.#doing = doing
    const result = run()
    this.#doing = before
    return result
  }

  #watch(store: Store): void {
    const { bury, kick, kickJob, leave, pause, put, putBuried, release, reserveJob, touch } = methodsOf(store)
    const remove = store.delete.bind(store)
    const nobody = store.join({ onReserved: () => {}, onDeadlineSoon: () => {}, onTimedOut: () => {} })
    this.#forget = (id) => remove(id, nobody)
    store.nextId = () => ++this.#lastId
    store.put = (id, tube, body, pri, delay, ttr) => {
      this.#onPut(id, tube, text(body), pri, delay, ttr, delay > 0 ? "delayed" : "ready")
      put(id, tube, body, pri, delay, ttr)
    }
    store.putBuried = (id, tube, body, pri, delay, ttr) => {
      this.#onPut(id, tube, text(body), pri, delay, ttr, "buried")
      putBuried(id, tube, body, pri, delay, ttr)
    }
    store.delete = (id, reserver) => {
      this.#deleter = reserver
      const wasThere = store.jobs.get(id)
      const isDone = this.#during("delete", () => remove(id, reserver))
      if (isDone && wasThere !== undefined) this.#onDeleted(id, reserver)
      return isDone
    }
    store.release = (job, pri, delay) => {
      this.#terms = { priority: pri, delaySeconds: delay }
      this.#during("release", () => release(job, pri, delay))
    }
    store.bury = (job, pri) => {
      this.#terms = { priority: pri, delaySeconds: 0 }
      this.#during("bury", () => bury(job, pri))
    }
    store.touch = (job) => {
      touch(job)
      const lease = this.#of(job)?.lease
      if (lease !== undefined) lease.deadline = this.#world.now + job.ttr * 1000
      this.#world.tell(`server touches ${job.id}`)
    }
    store.kick = (tube, bound) => {
      const candidates = [...this.#ledger.jobs.values()].filter((job) => job.tube === tube.name)
      const kicked = this.#during("kick", () => kick(tube, bound))
      for (const job of candidates) this.#noticeKick(job)
      return kicked
    }
    store.kickJob = (stored) => {
      const job = stored === undefined ? undefined : this.#of(stored)
      const isDone = this.#during("kick", () => kickJob(stored))
      if (job !== undefined) this.#noticeKick(job)
      return isDone
    }
    // TypeScript does not infer that this is a type guard.
    const byName = (job: StoredJob | undefined, reserver: Reserver): boolean =>
      this.#during("reserve-job", () => reserveJob(job, reserver))
    store.reserveJob = byName as Store["reserveJob"]
    store.pause = (tube, seconds) => {
      this.#pauses.set(tube, this.#world.now + seconds * 1000)
      this.#world.tell(`server pauses ${tube.name} for ${seconds} s`)
      pause(tube, seconds)
    }
    store.leave = (reserver) => {
      leave(reserver)
      this.#links.delete(reserver)
    }
  }

  #of(stored: StoredJob): Job | undefined {
    return this.#ledger.jobs.get(stored.id)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What becomes of jobs
  // -------------------------------------------------------------------------------------------------------------------

  // A dead letter that came without an envelope gets one, with the reason.
  #onEnvelope(put: Put, id: string | undefined, isAtHome: boolean): void {
    if (put.job === undefined) put.envelope = id
    const expected = put.envelope ?? (isAtHome ? undefined : id)
    if (id !== expected || (put.envelope !== undefined && id !== idOfKey(put.key))) {
      this.#world.violate(`the envelope of put ${put.key} has the id ${id ?? "none"}`)
    }
  }

  #onPut(
    id: number,
    tube: StoredTube,
    body: string,
    priority: number,
    delaySeconds: number,
    ttrSeconds: number,
    state: Job["state"]
  ): void {
    const put = this.#ledger.puts.get(Number(KEY.exec(body)?.[1]))
    this.#world.tell(`server takes ${put?.key ?? "?"} into ${tube.name} as ${id}, ${state}`)
    if (put === undefined) return this.#world.violate(`the server took job ${id}, which nobody has put`)
    if (put.body !== payloadOf(body)) this.#world.violate(`the body of put ${put.key} was changed on its way`)
    this.#onEnvelope(put, idOf(body), tube.name === put.tube)
    const job: Job = {
      id,
      tube: tube.name,
      put,
      ttrSeconds,
      priority,
      reserves: 0,
      kicks: 0,
      releases: 0,
      timeouts: 0,
      buries: state === "buried" ? 1 : 0,
      crashes: 0,
      leases: [],
      notBefore: this.#world.now + delaySeconds * 1000,
      state,
      lease: undefined
    }
    if (this.#ledger.jobs.has(id)) this.#world.violate(`the server gave the id ${id} twice`)
    this.#ledger.jobs.set(id, job)
    if (tube.name !== put.tube || put.job !== undefined) return this.#onCopy(put, job, delaySeconds)
    if (put.heard === "notDone") {
      this.#world.violate(`put ${put.key} came to the server after it was said not to be done`)
    }
    put.job = job
    const expected = [put.tube, put.priority, put.delaySeconds, put.ttrSeconds].join()
    const got = [tube.name, priority, delaySeconds, ttrSeconds].join()
    if (got !== expected) this.#world.violate(`put ${put.key} was to be ${expected}, and is ${got}`)
  }

  // A worker that has lost its lease without knowing it may still put the copy.
  #onCopy(put: Put, copy: Job, delaySeconds: number): void {
    const { id, priority, tube, ttrSeconds } = copy
    const areItsTerms = ({ end, job, link, priority: own }: Lease) =>
      (ttrSeconds === job.ttrSeconds && (priority === own || (end !== undefined && priority === job.priority))) ||
      (this.#ledger.refusals.get(link.client)?.has("stats-job") === true && priority === DEFAULT_PRIORITY &&
        ttrSeconds === DEFAULT_TTR_SECONDS)
    const isOfIt = (lease: Lease) =>
      lease.copy === undefined && lease.link.client === this.#sender() && areItsTerms(lease) &&
      meaningsOf(lease, lease.job.leases.at(-1)!, this.#ledger).some(({ copy }) =>
        copy?.tube === tube && copy.delaySeconds === delaySeconds
      )
    const lease = put.leases.findLast((lease) => lease.end === undefined && isOfIt(lease)) ??
      put.leases.findLast(isOfIt)
    if (lease !== undefined) {
      const { client } = lease.link
      const isSecond = (other: Lease) => other.copy !== undefined && other.link.client === client
      // Without its counters nobody can tell the job from another one that has got its id.
      const canTell = this.#ledger.refusals.get(client)?.has("stats-job") !== true
      if (this.#ledger.isCalm && canTell && lease.job.leases.some(isSecond)) {
        this.#world.violate(`${lease.link.client.name} puts a second copy of job ${lease.job.id}`)
      }
      lease.copy = { tube, delaySeconds }
      return
    }
    this.#world.violate(`put ${put.key} came again as job ${id}, with ${priority}, ${delaySeconds} s, ${ttrSeconds} s`)
  }

  #onReserved(reserver: Reserver, link: Link, stored: StoredJob): void {
    const job = this.#of(stored)
    if (job === undefined) return this.#world.violate(`job ${stored.id} was reserved, and is not there`)
    const { now } = this.#world
    this.#world.tell(`server gives ${job.id} to ${link.name}`)
    if (job.state === "gone") this.#world.violate(`job ${job.id} was reserved after it was deleted`)
    if (job.lease !== undefined) {
      this.#world.violate(`job ${job.id} was given to ${link.name} while ${job.lease.link.name} has it`)
    }
    if (this.#doing !== "reserve-job") this.#checkChoice(reserver, stored, job)
    job.reserves++
    if (this.#doing === "kick") job.kicks = stored.kicks
    job.state = "reserved"
    job.notBefore = 0
    const deadline = now + job.ttrSeconds * 1000
    const lease: Lease = {
      job,
      link,
      attempt: job.reserves,
      kicks: job.kicks,
      crashes: Math.max(0, job.reserves - 1 - job.releases - job.timeouts - job.buries),
      timeouts: job.timeouts,
      priority: job.priority,
      startedAt: now,
      deadline,
      deliveredAt: undefined,
      endedAt: undefined,
      end: undefined,
      isMistaken: false,
      hasSettled: false,
      copy: undefined,
      run: undefined
    }
    job.lease = lease
    job.leases.push(lease)
    job.put.leases.push(lease)
    this.#ledger.leases.get(link)?.push(lease)
    this.#checkLimit(link)
    for (const counter of COUNTERS) {
      if (stored[counter] === job[counter]) continue
      this.#world.violate(`the server counts ${stored[counter]} ${counter} of job ${job.id}, not ${job[counter]}`)
    }
  }

  // The client need not know of jobs on connections that only the server still has.
  #checkLimit({ client }: Link): void {
    const limit = this.#ledger.limits.get(client)
    // A reserve that follows a settling command on its way is one too many if the command is refused.
    if (limit === undefined || this.#ledger.refusals.has(client)) return
    let count = 0
    for (const { lease } of this.#ledger.jobs.values()) {
      if (lease !== undefined && lease.link.client === client && lease.link.isClientOpen) count++
    }
    if (count > limit) this.#world.violate(`${client.name} has ${count} jobs, and was to have ${limit} at most`)
  }

  #checkChoice(reserver: Reserver, stored: StoredJob, job: Job): void {
    const { now } = this.#world
    if (!reserver.watched.has(stored.tube)) {
      this.#world.violate(`job ${job.id} was given to one who does not watch for it`)
    }
    // A kick ends a delay, and is recorded after it.
    if (this.#doing === "kick") return
    if (job.state === "buried") this.#world.violate(`job ${job.id} was reserved although it is buried`)
    if (now < job.notBefore) this.#world.violate(`job ${job.id} was reserved ${job.notBefore - now} ms too early`)
    const pausedUntil = this.#pauses.get(stored.tube) ?? 0
    if (now < pausedUntil) {
      this.#world.violate(`job ${job.id} was reserved ${pausedUntil - now} ms before its tube resumes`)
    }
    for (const tube of reserver.watched) {
      const first = tube.ready.head
      // A late server ends delays first, then pauses.
      const isPaused = tube.isPaused || now < (this.#pauses.get(tube) ?? 0)
      if (first === undefined || first === stored || isPaused) continue
      if (first.pri < stored.pri || (first.pri === stored.pri && first.id < stored.id)) {
        this.#world.violate(`job ${job.id} was reserved before the more urgent ${first.id}`)
      }
    }
  }

  /** A lease ends: by the current command, by the end of its ttr, or with its connection. */
  #onLeft(stored: StoredJob): void {
    const job = this.#of(stored)
    const lease = job?.lease
    if (job === undefined || lease === undefined) return this.#world.violate(`nobody had job ${stored.id}`)
    const isCommand = this.#doing === "delete" || this.#doing === "release" || this.#doing === "bury"
    const isExpired = !isCommand && this.#store.now >= stored.deadline
    const how = isCommand ? this.#doing : isExpired ? "expired" : "left"
    this.#world.tell(`server: ${job.id} of ${lease.link.name} ${how}`)
    if (how === "expired" && this.#world.now < lease.deadline) this.#world.violate(`job ${job.id} expired too early`)
    lease.endedAt = this.#world.now
    lease.end = how
    job.lease = undefined
    job.state = "ready"
    if (how === "expired") job.timeouts++
    else if (how === "left") this.#onCrashed(lease)
    if (how === "release") this.#onReleased(lease)
    else if (how === "bury") this.#onBuried(lease)
  }

  // On a calm day no worker and no stream leaves a job of which it has heard to the end of its connection.
  #onCrashed({ deliveredAt, job, link }: Lease): void {
    job.crashes++
    const isOrderly = this.#ledger.isCalm && this.#world.isSteady && this.#ledger.limits.has(link.client)
    // A worker that cannot release a job closes its connection in the end.
    const cannot = this.#ledger.refusals.get(link.client)?.has("release") === true
    if (isOrderly && !cannot && deliveredAt !== undefined) {
      this.#world.violate(`${link.name} was closed on a calm day, and had job ${job.id}`)
    }
  }

  #noticeKick(job: Job): void {
    const stored = this.#store.jobs.get(job.id)
    if (stored === undefined || stored.kicks === job.kicks) return
    this.#world.tell(`server kicks ${job.id}`)
    job.kicks = stored.kicks
    job.notBefore = 0
    if (job.lease === undefined) job.state = "ready"
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Whether the holder had a reason
  // -------------------------------------------------------------------------------------------------------------------

  // The leases whose holder may have sent the command which ends this one: this lease, once its reply has arrived, and an
  // older one of the same process, whose holder sent the command before it could know of this lease, or has done the work
  // meanwhile. The command itself does not tell them apart.
  *#senders(lease: Lease): Generator<Lease> {
    const { deliveredAt, job, link, run } = lease
    if (deliveredAt !== undefined) yield lease
    for (const older of job.leases) {
      if (older === lease || older.link.client !== link.client || older.hasSettled || older.end === undefined) continue
      const isDone = run === undefined && older.run?.outcome === "succeeded"
      const wasInTime = older.link !== link || (older.run?.decidedAt ?? 0) <= (deliveredAt ?? Infinity)
      if (isDone || wasInTime) yield older
    }
    if (deliveredAt === undefined) yield lease
  }

  // Credits the command to the first lease whose holder may have sent it.
  #judge(lease: Lease, ...commands: ReadonlyArray<Command>): void {
    const { job, link } = lease
    for (const sender of this.#senders(lease)) {
      const meanings = meaningsOf(sender, lease, this.#ledger)
      if (!meanings.some((meaning) => commands.some((command) => matches(sender, meaning, command)))) continue
      lease.isMistaken = lease.deliveredAt === undefined || sender !== lease
      // A worker to which something was refused may let go of the job, and remembers what it was to do with it.
      sender.hasSettled = !this.#ledger.refusals.has(link.client)
      return
    }
    const [{ command, delaySeconds, priority }] = commands as [Command]
    const terms = command === "delete" ? "" : ` at ${priority} for ${String(delaySeconds)} s`
    const outcome = lease.run === undefined ? "had not run" : lease.run.outcome
    const meant = inWords(meaningsOf(lease, lease, this.#ledger))
    this.#world.violate(
      `${link.client.name}: ${command} of job ${job.id}${terms}, and its handler ${outcome}; it was to ${meant}`
    )
  }

  #onReleased(lease: Lease): void {
    const { job } = lease
    const { delaySeconds, priority } = this.#terms
    this.#judge(lease, { command: "release", delaySeconds, priority })
    job.releases++
    job.notBefore = this.#world.now + delaySeconds * 1000
    job.priority = priority
    job.state = delaySeconds > 0 ? "delayed" : "ready"
  }

  #onBuried(lease: Lease): void {
    const { job } = lease
    const { priority } = this.#terms
    const bury: Command = { command: "bury", delaySeconds: undefined, priority }
    const isTooLarge = lease.run === undefined && job.put.body.length > this.#limitOf(lease.link.client)
    // Where nobody tells its own, it gets the default.
    if (!isTooLarge || (priority !== job.priority && priority !== DEFAULT_PRIORITY)) {
      if (this.#isOutOfMemory()) this.#judge(lease, bury, { ...bury, command: "release" })
      else this.#judge(lease, bury)
    }
    job.buries++
    job.priority = priority
    job.state = "buried"
    job.notBefore = Infinity
  }

  #limitOf: (process: Process) => number = () => Infinity

  /** Sets how to ask which body is too large for a process: it buries such a job. */
  knowLimit(limitOf: (process: Process) => number): void {
    this.#limitOf = limitOf
  }

  #isOutOfMemory: () => boolean = () => false
  #sender: () => Process | undefined = () => undefined

  /** Sets how to ask whether the server is out of memory and buries released jobs, and whose bytes it reads. */
  know(isOutOfMemory: () => boolean, sender: () => Process | undefined): void {
    this.#isOutOfMemory = isOutOfMemory
    this.#sender = sender
  }

  #onDeleted(id: number, reserver: Reserver): void {
    const job = this.#ledger.jobs.get(id)
    if (job === undefined) return
    const link = this.#links.get(this.#deleter ?? reserver)
    this.#world.tell(`server deletes ${id} for ${link?.name ?? "nobody"}`)
    job.state = "gone"
    if (this.#ledger.deleting.has(id)) return
    // The last lease of this connection: a delete works after its end too, as long as no other lease exists.
    const lease = link === undefined
      ? undefined
      : this.#ledger.leases.get(link)?.findLast((lease) => lease.job === job)
    if (lease === undefined) return this.#world.violate(`job ${id} was deleted by somebody who never had it`)
    this.#judge(lease, { command: "delete", delaySeconds: undefined, priority: job.priority })
  }
}

// Whether a command does what the holder of the lease may mean.
const matches = (
  { copy, job }: Lease,
  meaning: Meaning,
  { command, delaySeconds, priority }: Command
): boolean => {
  if (meaning.command !== command || (meaning.copy !== undefined && copy?.tube !== meaning.copy.tube)) return false
  if (command !== "delete" && priority !== (meaning.priority ?? job.priority)) return false
  const [from, to] = meaning.delay ?? [0, Infinity]
  return delaySeconds === undefined || (delaySeconds >= from && delaySeconds <= to)
}
