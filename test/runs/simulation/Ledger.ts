/**
 * The record of what programs meant and what the server did: puts and the answers that their callers got, leases as the
 * server gave them, handlers as they ran. Each new entry is compared with the others; the totals are checked at the
 * end.
 */
import { reservedOf } from "../../../src/internal/job/decodedJob.ts"
import type { Job as Handle } from "../../../src/Job.ts"
import type { Link } from "./Network.ts"
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
  /** The job that it became. */
  job: Job | undefined
  /** How many copies workers have put into the dead-letter tube. */
  copies: number
  /** How often handlers have run, and how often they have failed. */
  runs: number
  failures: number
}

/** A job of the server. */
export interface Job {
  readonly id: number
  readonly tube: string
  readonly put: Put
  readonly ttrSeconds: number
  priority: number
  reserves: number
  kicks: number
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
  deadline: number
  /** The step in which the reply reached the holder. */
  deliveredAt: number | undefined
  /** When and how it ended. */
  endedAt: number | undefined
  end: string | undefined
  /** Whether a command that was meant for an older lease ended this one. */
  isMistaken: boolean
  run: Run | undefined
}

/** A handler that runs or has run. */
export interface Run {
  lease: Lease | undefined
  readonly job: Job
  readonly process: Process
  readonly startedAt: number
  /** The step in which it began. */
  readonly startedIn: number
  /** Whether an interruption ends it at once. */
  readonly isInterruptible: boolean
  outcome: "running" | "succeeded" | "failed" | "gaveUp" | "died" | "interrupted"
  /** The command with which the handler settled the job itself. */
  settling: Settling | undefined
  /** The step in which the outcome, or that command, was known. */
  decidedAt: number | undefined
  /** Whether the server has got its command. */
  hasSettled: boolean
}

/** The options of the workers of a tube. */
export interface Rules {
  readonly maxAttempts: number
  readonly crashGuard: boolean
  /** The delay in seconds after a failed attempt with this number. */
  readonly retryDelay: (attempt: number) => number
  readonly deadLetter: string | undefined
}

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
    const put: Put = { ...intent, key, heard: "nothing", job: undefined, copies: 0, runs: 0, failures: 0 }
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
  #newLease(process: Process, id: number): Lease | undefined {
    const told: Array<Lease> = []
    // With the crash guard the handler cannot begin in the step in which the job arrives.
    const before = this.workers.get(process)?.crashGuard === true ? this.world.steps : Infinity
    for (const [link, leases] of this.leases) {
      if (link.client !== process || !link.isClientOpen) continue
      const last = leases.findLast(({ deliveredAt = Infinity, end, isMistaken, job }) =>
        job.id === id && deliveredAt < before &&
        (end === undefined || end === "expired" || end === "left" || isMistaken)
      )
      if (last !== undefined) told.push(last)
    }
    told.sort((a, b) => Number(a.end !== undefined) - Number(b.end !== undefined) || a.deadline - b.deadline)
    return told.find(({ run }) => run === undefined) ??
      told.find(({ run }) => run?.outcome === "interrupted")
  }

  /** The lease of a handle that was lost before its handler began. */
  #lostLease(process: Process, id: number): Lease | undefined {
    for (const [link, leases] of this.leases) {
      if (link.client !== process) continue
      const lost = leases.find(({ end, job, run }) => job.id === id && end !== undefined && run === undefined)
      if (lost !== undefined) return lost
    }
    return undefined
  }

  /**
   * The lease of a second handle, if the first began in the step in which this lease arrived: then the first handle had
   * the older lease.
   */
  #tradedLease(process: Process, id: number): Lease | undefined {
    for (const [link, leases] of this.leases) {
      if (link.client !== process) continue
      const own = leases.filter(({ job }) => job.id === id)
      const newest = own.pop()
      const older = own.findLast(({ run }) => run === undefined)
      if (newest?.run === undefined || newest.run.startedIn !== newest.deliveredAt || older === undefined) continue
      older.run = newest.run
      older.run.lease = older
      return newest
    }
    return undefined
  }

  /** A handler begins. */
  begin(process: Process, handle: Handle, isInterruptible: boolean): Run | undefined {
    const { id, text: body } = handle
    const job = this.jobs.get(id)
    if (job === undefined) {
      this.world.violate(`${process.name} was given job ${id}, which nobody has put`)
      return undefined
    }
    if (job.put.body !== body) this.world.violate(`${process.name} was given job ${id} with another body than was put`)
    const isLost = reservedOf(handle)?.isOver === true
    const lease = isLost
      ? this.#lostLease(process, id)
      : this.#newLease(process, id) ?? this.#tradedLease(process, id)
    const run: Run = {
      lease,
      job,
      process,
      startedAt: this.world.now,
      startedIn: this.world.steps,
      isInterruptible,
      outcome: "running",
      settling: undefined,
      decidedAt: undefined,
      hasSettled: false
    }
    if (lease !== undefined) {
      lease.run = run
      const rules = this.workers.get(process)
      const isKnown = !this.#hasLost(process, lease)
      if (rules?.crashGuard === true && isKnown && lease.attempt > rules.maxAttempts + lease.kicks) {
        this.world.violate(`job ${id} was handled although it was attempt ${lease.attempt} of ${rules.maxAttempts}`)
      }
    }
    this.world.tell(`${process.name} begins job ${id} (lease ${lease === undefined ? "lost" : lease.link.name})`)
    this.runs.add(run)
    job.put.runs++
    return run
  }

  /** A handler settles its job itself. */
  settles(run: Run, settling: Settling): void {
    this.world.tell(`${run.process.name} will ${settling.command} ${run.job.id}`)
    run.settling ??= settling
    run.decidedAt ??= this.world.steps
  }

  end(run: Run, outcome: Run["outcome"]): void {
    this.world.tell(`${run.process.name} ends job ${run.job.id}: ${outcome}`)
    run.outcome = outcome
    run.decidedAt ??= this.world.steps
    this.runs.delete(run)
    if (outcome === "failed" || outcome === "gaveUp") run.job.put.failures++
  }

  /** A handle has answered NotFound, which it may only if the program has lost the job. */
  heardNotFound(run: Run, command: string): void {
    this.world.tell(`${run.process.name} hears NOT_FOUND of ${command} ${run.job.id}`)
    const { lease } = run
    if (lease === undefined || lease.endedAt !== undefined || !lease.link.isClientOpen) return
    if (this.#hasLost(run.process, lease)) return
    this.world.violate(`${command} of job ${run.job.id} by ${run.process.name} was NotFound, and it had the job`)
  }

  /** No task is ready, so every program has acted on the replies that it got. */
  checkAtRest(commandTimeoutMillis: number): void {
    const { now } = this.world
    for (const run of this.runs) {
      const { isInterruptible, job, lease, process, settling } = run
      if (lease === undefined || !isInterruptible || settling !== undefined) continue
      if (!lease.link.isClientOpen) {
        return this.world.violate(`${process.name} works on job ${job.id} although its connection is gone`)
      }
      // By then the program has touched the job, and got NOT_FOUND or no answer.
      const patience = job.ttrSeconds * 500 + commandTimeoutMillis + SLACK
      if (lease.endedAt !== undefined && now > Math.max(lease.endedAt, run.startedAt) + patience) {
        return this.world.violate(`${process.name} still works on job ${job.id}, which it has lost`)
      }
      for (const other of this.runs) {
        if (other !== run && other.lease?.link === lease.link && other.job === job) {
          return this.world.violate(`${process.name} works on job ${job.id} twice, knowingly`)
        }
      }
    }
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

  forget(link: Link): void {
    this.leases.delete(link)
  }
}
