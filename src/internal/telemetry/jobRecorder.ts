/**
 * Counts what becomes of jobs. A Metric caches only the attributes that it had last, so each recorder keeps one Metric per
 * set of attributes: those with the same name and the same attributes are one.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type { Head } from "../../Envelope.ts"
import type { JobOutcome } from "../../Metrics.ts"
import type { JobStats } from "../../Stats.ts"
import { CurrentConventions, HandlerConventions } from "./conventions.ts"

type Attributes = Readonly<Record<string, string>>

export const makeJobs = (attributes: Attributes = {}) =>
  Metric.counter("beanstalkd_jobs_total", {
    description: "Jobs, by their outcomes",
    incremental: true,
    attributes: { ...attributes, unit: "{job}" }
  })

export const makeJobsInFlight = (attributes: Attributes = {}) =>
  Metric.gauge("beanstalkd_jobs_in_flight", {
    description: "Jobs whose handlers run",
    attributes: { ...attributes, unit: "{job}" }
  })

export const makeJobDuration = (attributes: Attributes = {}) =>
  Metric.histogram("beanstalkd_job_duration_seconds", {
    description: "How long handlers ran, in seconds",
    boundaries: Metric.exponentialBoundaries({ start: 0.001, factor: 2, count: 20 }),
    attributes: { ...attributes, unit: "s" }
  })

export const makeJobWait = (attributes: Attributes = {}) =>
  Metric.histogram("beanstalkd_job_wait_seconds", {
    description: "How long jobs were ready before their handlers began for the first time, in seconds",
    boundaries: Metric.exponentialBoundaries({ start: 0.001, factor: 4, count: 14 }),
    attributes: { ...attributes, unit: "s" }
  })

/** The counters of a job that tell how long it was ready. */
export type WaitCounters = Pick<JobStats, "age" | "delay" | "reserves" | "kicks">

/**
 * How long a job was ready before it was reserved, in milliseconds, and only if nobody has reserved it before: since its last
 * release nothing tells the time. Its envelope tells when it became ready, or else its counters, in whole seconds.
 */
export const waitOf = (
  counters: WaitCounters | undefined,
  head: Pick<Head, "at" | "due"> | undefined,
  now: number
): number | undefined => {
  if (counters !== undefined && (counters.reserves !== 1 || counters.kicks !== 0)) return undefined
  const ready = head?.due ?? head?.at
  if (ready !== undefined) return Math.max(0, now - ready)
  return counters === undefined ? undefined : Math.max(0, counters.age - counters.delay) * 1000
}

/** The attributes that all metrics of a job have. */
export interface Place {
  readonly server: string
  readonly tube: string
}

/** Counts one job. */
export const countJob = (outcome: JobOutcome, { server, tube }: Place): Effect.Effect<void> =>
  Metric.update(makeJobs({ server, tube, outcome }), 1)

/** Updates the metrics of the jobs of one worker from one server, without going through an Effect for each job. */
export class JobRecorder {
  readonly server: string
  readonly #place: Attributes
  readonly #context: Context.Context<never>
  readonly #counters = new Map<JobOutcome, Metric.Counter<number>>()
  readonly #inFlight: Metric.Gauge<number>
  readonly #duration: Metric.Histogram<number>
  readonly #wait: Metric.Histogram<number>
  readonly #conventions: HandlerConventions | undefined

  constructor({ server, tube }: Place, context: Context.Context<never>) {
    this.server = server
    this.#place = { server, tube }
    this.#context = context
    this.#inFlight = makeJobsInFlight(this.#place)
    this.#duration = makeJobDuration(this.#place)
    this.#wait = makeJobWait(this.#place)
    if (Context.get(context, CurrentConventions) === "messaging") {
      this.#conventions = new HandlerConventions(server, tube, context)
    }
  }

  count(outcome: JobOutcome): void {
    let counter = this.#counters.get(outcome)
    if (counter === undefined) {
      counter = makeJobs({ ...this.#place, outcome })
      this.#counters.set(outcome, counter)
    }
    counter.updateUnsafe(1, this.#context)
  }

  started(): void {
    this.#inFlight.modifyUnsafe(1, this.#context)
  }

  /** The handler of a job begins that has been ready for so many milliseconds. */
  waited(millis: number): void {
    this.#wait.updateUnsafe(Math.max(0, millis) / 1000, this.#context)
  }

  ended(millis: number, exit: Exit.Exit<unknown, unknown>): void {
    this.#inFlight.modifyUnsafe(-1, this.#context)
    this.#duration.updateUnsafe(millis / 1000, this.#context)
    this.#conventions?.ended(millis / 1000, exit)
  }
}

/** The recorders of one worker, one per server that its jobs come from. */
export class JobRecorders {
  readonly #tube: string
  readonly #context: Context.Context<never>
  readonly #recorders = new Map<string, JobRecorder>()
  /** Mostly there is one server, and always the next job is likely to come from the same one. */
  #last: JobRecorder | undefined

  constructor(tube: string, context: Context.Context<never>) {
    this.#tube = tube
    this.#context = context
  }

  /** The recorder for the jobs of a server. */
  of(server: string): JobRecorder {
    if (this.#last?.server === server) return this.#last
    this.#last = this.#recorders.get(server) ?? this.#make(server)
    return this.#last
  }

  #make(server: string): JobRecorder {
    const recorder = new JobRecorder({ server, tube: this.#tube }, this.#context)
    this.#recorders.set(server, recorder)
    return recorder
  }
}
