/**
 * The record of what programs meant and what the server did: puts and the answers that their callers got, leases as the
 * server gave them, handlers as they ran. Each new entry is compared with the others; the totals are checked at the
 * end.
 */
import { reservedOf } from "../../../src/internal/job/decodedJob.ts"
import type { Job as Handle } from "../../../src/Job.ts"
import type { Link } from "./Network.ts"
import { type Copy, isDeadly, isSuspect } from "./Verdicts.ts"
import { payloadOf } from "./Enclosed.ts"
import type { Process, World } from "./World.ts"

/** The job that a put asks for. */
export interface Intent {
  readonly tube: string
  readonly body: string
  readonly priority: number
  readonly delaySeconds: number
  readonly ttrSeconds: number
}

/** A put, from its call to its end. */
export interface Put extends Intent {
  readonly key: number
  /** The answer to the caller: none yet, the id, that the job was not put, or that nobody knows. */
  heard: "nothing" | "acknowledged" | "notDone" | "unknown"
  /** The id in the envelope with which the server took it, if it has one. */
  envelope: string | undefined
  /** The job that it became. Workers put copies of it, into its tube or into the dead-letter tube. */
  job: Job | undefined
  /** All leases of it and of its copies. */
  readonly leases: Array<Lease>
  /** How often handlers have run. */
  runs: number
}

/** A job of the server. */
export interface Job {
  readonly id: number
  readonly tube: string
  readonly put: Put
  readonly ttrSeconds: number
  priority: number
  /** How often it was reserved and kicked, and how its leases have ended. */
  reserves: number
  kicks: number
  releases: number
  timeouts: number
  buries: number
  crashes: number
  /** All its leases, oldest first. */
  readonly leases: Array<Lease>
  /** The moment before which no reserve may get the job. */
  notBefore: number
  state: "ready" | "reserved" | "delayed" | "buried" | "gone"
  lease: Lease | undefined
}

/** A command that ends a lease, as its holder means it. */
export interface Settling {
  readonly command: "delete" | "release" | "bury"
  readonly priority?: number | undefined
  readonly delaySeconds?: number | undefined
}

/** A lease, as the server sees it. */
export interface Lease {
  readonly job: Job
  readonly link: Link
  /** How often the job had been reserved, this time included, and how often kicked. */
  readonly attempt: number
  readonly kicks: number
  /** How many leases of the job had ended with their connections, and how many by the end of their time. */
  readonly crashes: number
  readonly timeouts: number
  readonly priority: number
  readonly startedAt: number
  deadline: number
  /** The step in which the reply reached the holder. */
  deliveredAt: number | undefined
  /** When and how it ended. */
  endedAt: number | undefined
  end: string | undefined
  /** Whether a command that was meant for an older lease ended this one. */
  isMistaken: boolean
  /** Whether the server has got the command of its holder. */
  hasSettled: boolean
  /** The copy that its holder has put. */
  copy: Copy | undefined
  run: Run | undefined
}

/** A handler that runs or has run. */
export interface Run {
  lease: Lease | undefined
  readonly job: Job
  readonly process: Process
  readonly handle: Handle
  readonly startedAt: number
  /** The step in which it began. */
  readonly startedIn: number
  /** Whether an interruption ends it at once. */
  readonly isInterruptible: boolean
  outcome: "running" | "succeeded" | "snoozed" | "discarded" | "failed" | "gaveUp" | "died" | "interrupted"
  /** Whether it interrupts itself, if anything does. */
  isSelfInterrupting: boolean
  /** For how long it was snoozed. */
  delaySeconds: number
  /** Whether its job may have ended a process, so that no other handler may run. */
  isSuspect: boolean
  /** The command with which the handler settled the job itself. */
  settling: Settling | undefined
  /** The step in which the outcome, or that command, was known. */
  decidedAt: number | undefined
}

/** The options of the workers of a tube. */
export interface Rules {
  readonly maxAttempts: number
  readonly maxCrashes: number
  readonly isolateSuspects: boolean
  readonly crashGuard: boolean
  readonly onDefect: "retry" | "bury"
  readonly onUndecodable: "giveUp" | "retry"
  /** The bounds of the delay in seconds after a failed attempt with this number. */
  readonly retryDelay: (attempt: number) => readonly [from: number, to: number]
  readonly deadLetter: string | undefined
}

// Whether a lease ended without its holder being told.
const isUnnoticed = ({ end }: Lease): boolean => end === "expired" || end === "left"

// Whether the server and the program both think that the program has the job.
const isInHand = ({ lease }: Run): boolean =>
  lease !== undefined && lease.endedAt === undefined && lease.link.isClientOpen

/** A command that the server can refuse. */
export type Refused = "stats-job" | "delete" | "release" | "bury"

// Allows for a slow network and for a clock that was late.
const SLACK = 5000

/** The ledger. */
export class Ledger {
  readonly world: World
  readonly puts = new Map<number, Put>()
  readonly jobs = new Map<number, Job>()
  /** The leases whose replies went or will go to a connection, oldest first. */
  readonly leases = new Map<Link, Array<Lease>>()
  readonly runs = new Set<Run>()
  /** The tubes that have workers. */
  readonly rules = new Map<string, Rules>()
  /** Jobs that an administrator deletes without a lease. */
  readonly deleting = new Set<number>()
  /** The workers of those tubes. */
  readonly workers = new Map<Process, Rules>()
  /** How many jobs a program may hold at a time. */
  readonly limits = new Map<Process, number>()
  /** Programs that are shutting down. */
  readonly stopping = new Set<Process>()
  /** Programs whose stream has had all that it takes: its end releases jobs before it interrupts their handlers. */
  readonly ending = new Set<Process>()
  /** Whether the server has lost all jobs once, so that an id may mean two. */
  hasForgotten = false
  /** Whether the run has no faults. */
  isCalm = false
  /** Whether a put can fail, or its answer be lost: a proxy can cut the connection on which it leaves. */
  mayLosePuts = false
  /** The commands that the server has refused to a program. */
  readonly refusals = new Map<Process, Set<Refused>>()
  /** Programs that have been told that there is no `stats-job`, and work without the crash guard. */
  readonly blind = new Set<Process>()
  /** The jobs that a program has done, and knows it. */
  readonly #done = new Map<Process, Set<Job>>()
  /** The runs that have succeeded since the last rest. */
  #succeeded: Array<Run> = []
  #lastKey = 0

  constructor(world: World) {
    this.world = world
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Puts
  // -------------------------------------------------------------------------------------------------------------------

  nextKey(): number {
    return ++this.#lastKey
  }

  began(key: number, intent: Intent): Put {
    const put: Put = { ...intent, key, heard: "nothing", envelope: undefined, job: undefined, leases: [], runs: 0 }
    this.puts.set(key, put)
    this.world.tell(`put ${key} into ${intent.tube} begins`)
    return put
  }

  acknowledged(put: Put, id: number): void {
    this.world.tell(`put ${put.key} acknowledged as ${id}`)
    put.heard = "acknowledged"
    if (put.job === undefined) this.world.violate(`put ${put.key} was acknowledged before the server had it`)
    else if (put.job.id !== id) this.world.violate(`put ${put.key} was told id ${id}, and is job ${put.job.id}`)
  }

  notDone(put: Put, why: string): void {
    this.world.tell(`put ${put.key} not done: ${why}`)
    put.heard = "notDone"
    if (put.job !== undefined) {
      this.world.violate(`put ${put.key} was said not to be done (${why}), and is job ${put.job.id}`)
    }
  }

  unknown(put: Put, why: string): void {
    this.world.tell(`put ${put.key} unknown: ${why}`)
    put.heard = "unknown"
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Runs
  // -------------------------------------------------------------------------------------------------------------------

  /**
   * The newest lease that a program knows of and has not handled. Without one, a lease whose handler was interrupted:
   * the program had taken it for an older lease of the job, which was just lost.
   */
  #newLease(process: Process, wanted: Job): Lease | undefined {
    const told: Array<Lease> = []
    // With the crash guard the handler cannot begin in the step in which the job arrives.
    const asks = this.workers.get(process)?.crashGuard === true && !this.blind.has(process)
    const before = asks ? this.world.steps : Infinity
    for (const [link, leases] of this.leases) {
      if (link.client !== process || !link.isClientOpen) continue
      const last = leases.findLast(({ deliveredAt = Infinity, end, isMistaken, job }) =>
        job === wanted && deliveredAt < before &&
        (end === undefined || end === "expired" || end === "left" || isMistaken)
      )
      if (last !== undefined) told.push(last)
    }
    told.sort((a, b) => Number(a.end !== undefined) - Number(b.end !== undefined) || a.deadline - b.deadline)
    return told.find(({ run }) => run === undefined) ??
      told.find(({ run }) => run?.outcome === "interrupted")
  }

  /** The lease of a handle that was lost before its handler began. */
  #lostLease(process: Process, wanted: Job): Lease | undefined {
    return wanted.leases.find(({ end, hasSettled, link, run }) =>
      link.client === process && end !== undefined && run === undefined && !hasSettled
    )
  }

  /**
   * The lease of a second handle, if the first began in the step in which this lease arrived: then the first handle had
   * the older lease.
   */
  #tradedLease(process: Process, wanted: Job): Lease | undefined {
    for (const [link, leases] of this.leases) {
      if (link.client !== process) continue
      const own = leases.filter(({ job }) => job === wanted)
      const newest = own.pop()
      const older = own.findLast(({ run }) => run === undefined)
      if (newest?.run === undefined || newest.run.startedIn !== newest.deliveredAt || older === undefined) continue
      older.run = newest.run
      older.run.lease = older
      return newest
    }
    return undefined
  }

  // A server that has lost its jobs gives their ids again.
  #jobOf(process: Process, id: number, body: string): Job | undefined {
    const job = this.jobs.get(id)
    if (job?.put.body === body) return job
    for (const [link, leases] of this.leases) {
      if (link.client !== process) continue
      const lease = leases.findLast(({ job }) => job.id === id && job.put.body === body)
      if (lease !== undefined) return lease.job
    }
    return job
  }

  /** A handler begins. */
  begin(process: Process, handle: Handle, isInterruptible: boolean): Run | undefined {
    const { id } = handle
    const body = payloadOf(handle.text)
    const job = this.#jobOf(process, id, body)
    if (job === undefined) {
      this.world.violate(`${process.name} was given job ${id}, which nobody has put`)
      return undefined
    }
    if (job.put.body !== body) this.world.violate(`${process.name} was given job ${id} with another body than was put`)
    const isLost = reservedOf(handle)?.isOver === true
    const lease = isLost
      ? this.#lostLease(process, job)
      : this.#newLease(process, job) ?? this.#tradedLease(process, job) ?? this.#lostLease(process, job)
    const run: Run = {
      lease,
      job,
      process,
      handle,
      startedAt: this.world.now,
      startedIn: this.world.steps,
      isInterruptible,
      outcome: "running",
      isSelfInterrupting: false,
      delaySeconds: 0,
      isSuspect: false,
      settling: undefined,
      decidedAt: undefined
    }
    this.world.tell(`${process.name} begins job ${id} (lease ${lease === undefined ? "lost" : lease.link.name})`)
    const rules = this.workers.get(process)
    if (lease !== undefined) {
      if (rules !== undefined) this.#checkAdmission(run, lease, rules)
      lease.run = run
    }
    this.runs.add(run)
    if (rules !== undefined) this.#checkCompany(run)
    job.put.runs++
    return run
  }

  // Whether the worker may run this job.
  #checkAdmission(run: Run, lease: Lease, rules: Rules): void {
    const { job, process } = run
    // Without its counters nobody can tell it from another job that has got its id.
    const canTell = this.refusals.get(process)?.has("stats-job") !== true
    if (canTell && this.#done.get(process)?.has(job) === true) {
      this.world.violate(`${process.name} begins job ${job.id}, which it has done and knows it`)
    }
    if (!rules.crashGuard || this.blind.has(process)) return
    const mayBe = job.leases.filter((other) =>
      other === lease || (other.link.client === process && (other.run?.outcome ?? "interrupted") === "interrupted")
    )
    if (mayBe.every((lease) => isDeadly(lease, rules))) {
      this.world.violate(`job ${job.id} was handled although it has crashed ${lease.crashes} times`)
    }
    run.isSuspect = rules.isolateSuspects && mayBe.every(isSuspect)
  }

  // Nothing runs beside a suspect, but for handlers that have lost their jobs.
  #checkCompany(run: Run): void {
    if (!isInHand(run)) return
    for (const other of this.runs) {
      if (other === run || other.process !== run.process || !isInHand(other)) continue
      if (!run.isSuspect && !other.isSuspect) continue
      const [suspect, neighbor] = run.isSuspect ? [run, other] : [other, run]
      this.world.violate(
        `${run.process.name} runs job ${suspect.job.id}, which has crashed or run out of time, beside ${neighbor.job.id}`
      )
    }
  }

  /** A program asks for a job. */
  asks({ client }: Link): void {
    for (const run of this.runs) {
      if (run.process !== client || !run.isSuspect || !isInHand(run) || run.settling !== undefined) continue
      // It has asked before it knew.
      if (run.startedIn === this.world.steps) continue
      this.world.violate(`${client.name} asks for jobs while it runs job ${run.job.id}, which is to run alone`)
    }
  }

  /** Whether the program of this lease had another job at the same time, or thought so. */
  hadCompany(lease: Lease): boolean {
    for (const [link, leases] of this.leases) {
      if (link.client !== lease.link.client) continue
      const has = leases.some((other) =>
        other !== lease && ((other.endedAt ?? Infinity) >= lease.startedAt || (isUnnoticed(other) && link.isClientOpen))
      )
      if (has) return true
    }
    return false
  }

  /** A handler settles its job itself. */
  settles(run: Run, settling: Settling): void {
    this.world.tell(`${run.process.name} will ${settling.command} ${run.job.id}`)
    run.settling ??= settling
    run.decidedAt ??= this.world.steps
  }

  /** The server has refused to settle it so: the job is still in hand. */
  settlesNot(run: Run): void {
    run.settling = undefined
    run.decidedAt = undefined
  }

  end(run: Run, outcome: Run["outcome"], delaySeconds = 0): void {
    this.world.tell(`${run.process.name} ends job ${run.job.id}: ${outcome}`)
    run.outcome = outcome
    run.delaySeconds = delaySeconds
    run.decidedAt ??= this.world.steps
    this.runs.delete(run)
    if (outcome === "succeeded" && run.settling === undefined && this.workers.has(run.process)) {
      this.#succeeded.push(run)
    }
  }

  /** A handle has answered NotFound, which it may only if the program has lost the job. */
  heardNotFound(run: Run, command: string): void {
    this.world.tell(`${run.process.name} hears NOT_FOUND of ${command} ${run.job.id}`)
    const { lease } = run
    if (lease === undefined || lease.endedAt !== undefined || !lease.link.isClientOpen) return
    // The end of a stream releases the job, and interrupts the handler thereafter.
    if (this.#hasLost(run.process, lease) || this.ending.has(run.process)) return
    this.world.violate(`${command} of job ${run.job.id} by ${run.process.name} was NotFound, and it had the job`)
  }

  /**
   * A proxy cuts a connection that has been silent for too long.
   *
   * @returns whether there is a proxy before this program
   */
  onSilence(link: Link): boolean {
    if (!this.workers.has(link.client)) return false
    for (const run of this.isCalm ? this.runs : []) {
      if (run.lease?.link !== link || !isInHand(run) || run.settling !== undefined) continue
      this.world.violate(`${link.name} was silent for too long, and has job ${run.job.id} in hand`)
    }
    return true
  }

  /** No task is ready, so every program has acted on the replies that it got. */
  checkAtRest(commandTimeoutMillis: number): void {
    const { now } = this.world
    this.#noticeDone()
    for (const run of this.runs) {
      const { isInterruptible, job, lease, process, settling } = run
      if (lease === undefined || !isInterruptible || settling !== undefined || process.isBlocked) continue
      if (!lease.link.isClientOpen) {
        return this.world.violate(`${process.name} works on job ${job.id} although its connection is gone`)
      }
      // By then the program has touched the job, and got NOT_FOUND or no answer.
      const patience = job.ttrSeconds * 500 + commandTimeoutMillis + SLACK
      if (
        lease.endedAt !== undefined && now > Math.max(lease.endedAt, run.startedAt, process.blockedUntil) + patience
      ) {
        return this.world.violate(`${process.name} still works on job ${job.id}, which it has lost`)
      }
      for (const other of this.runs) {
        if (other !== run && other.lease?.link === lease.link && other.job === job && other.settling === undefined) {
          return this.world.violate(`${process.name} works on job ${job.id} twice, knowingly`)
        }
      }
    }
  }

  // A handler that is interrupted as it succeeds has not succeeded for its worker: then its lease is lost.
  #noticeDone(): void {
    for (const { handle, job, lease, process } of this.#succeeded) {
      const reserved = reservedOf(handle)
      if (reserved === undefined || reserved.isLost) continue
      // It has been told the counters of a later lease, so that the job does not seem to have been reserved since.
      if ((reserved.known?.reserves ?? 0) > (lease?.attempt ?? 0)) continue
      const done = this.#done.get(process) ?? new Set()
      this.#done.set(process, done.add(job))
    }
    this.#succeeded = []
  }

  // Whether the program has lost an earlier lease of the job. A command does not say which of the two it was meant for.
  #hasLost(process: Process, { job }: Lease): boolean {
    for (const [link, leases] of this.leases) {
      if (link.client !== process) continue
      if (leases.some((lease) => lease.job === job && (lease.end === "expired" || lease.end === "left"))) return true
    }
    return false
  }

  /** A process was killed, and its handlers with it. */
  killed(process: Process): void {
    for (const run of this.runs) if (run.process === process) this.runs.delete(run)
  }

  /** The server has refused a command. */
  refused(process: Process, command: Refused, isUnknown: boolean): void {
    const refusals = this.refusals.get(process) ?? new Set()
    this.refusals.set(process, refusals.add(command))
    if (command === "stats-job" && isUnknown) this.blind.add(process)
  }

  /** The server has lost all jobs. */
  forgetJobs(): void {
    this.hasForgotten = true
    for (const job of this.jobs.values()) job.state = "gone"
    this.jobs.clear()
    this.deleting.clear()
  }

  forget(link: Link): void {
    this.leases.delete(link)
  }
}
