/**
 * A tube of texts to work on, and what tests look at: the states of its jobs, the log, the metrics.
 */
import { assert } from "@effect/vitest"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import type * as Client from "../../src/Client.ts"
import type * as Errors from "../../src/Errors.ts"
import * as Metrics from "../../src/Metrics.ts"
import * as Tube from "../../src/Tube.ts"
import * as Worker from "../../src/Worker.ts"

export const TUBE = "work"

export const Texts = Tube.make(TUBE, { codec: "text" })

const NOWHERE = { ready: 0, reserved: 0, delayed: 0, buried: 0 }

/** The number of jobs of a tube, by their state. */
export const statesOf = (beanstalkd: Client.Service, tube = TUBE) =>
  beanstalkd.statsTube(tube).pipe(
    Effect.map((stats) => ({
      ready: stats.currentJobsReady,
      reserved: stats.currentJobsReserved,
      delayed: stats.currentJobsDelayed,
      buried: stats.currentJobsBuried
    })),
    Effect.catchTag("NotFound", () => Effect.succeed(NOWHERE))
  )

/** Asserts that the jobs of a tube are in these states, and in no other. */
export const areIn = (beanstalkd: Client.Service, expected: Partial<typeof NOWHERE>, tube = TUBE) =>
  Effect.map(statesOf(beanstalkd, tube), (states) => assert.deepStrictEqual(states, { ...NOWHERE, ...expected }))

/**
 * Starts a worker at once. It ends with the test, unless the test interrupts it before. By default it has no grace
 * period, since the clock stands still by then.
 */
export const work = <E, R>(
  handler: Worker.Handler<string, E, R>,
  options?: Worker.Options<string, E, R>
): Effect.Effect<Fiber.Fiber<never, Errors.BeanstalkdError>, never, Client.Beanstalkd | Scope.Scope | R> =>
  Effect.forkScoped(Worker.run(Texts, handler, { shutdownTimeout: 0, ...options }), { startImmediately: true })

export interface Logged {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
  readonly cause: Cause.Cause<unknown>
}

/** Keeps what is logged instead of showing it. */
export const keepLog = () => {
  const log: Array<Logged> = []
  const logger = Logger.make(({ cause, fiber, logLevel, message }) => {
    const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
    const annotations = { ...fiber.getRef(References.CurrentLogAnnotations) }
    log.push({ level: logLevel, message: parts.map(String).join(" "), annotations, cause })
  })
  return { log, logged: Effect.provideService(Logger.CurrentLoggers, new Set([logger])) }
}

/** Drops what is logged, as `onMemory` and `onLayer` do by default. */
export const silently: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = Effect.provideService(
  Logger.CurrentLoggers,
  new Set()
)

const OUTCOMES = [
  "reserved",
  "succeeded",
  "failed",
  "retried",
  "postponed",
  "discarded",
  "expired",
  "buried",
  "deadLettered",
  "lost"
] as const

/**
 * What became of the jobs of a tube, by the metrics of a server, or of several with commas in between. Outcomes that did not
 * occur are left out.
 */
export const outcomes = Effect.fnUntraced(function*(servers: string, tube = TUBE) {
  const counts: Partial<Record<Metrics.JobOutcome, number>> = {}
  for (const server of servers.split(",")) {
    for (const outcome of OUTCOMES) {
      const { count } = yield* Metric.value(Metric.withAttributes(Metrics.jobs, { server, tube, outcome }))
      if (count > 0) counts[outcome] = (counts[outcome] ?? 0) + count
    }
  }
  return counts
})

/** How many handlers run, by the metrics. */
export const inFlight = (server: string, tube = TUBE) =>
  Effect.map(Metric.value(Metric.withAttributes(Metrics.jobsInFlight, { server, tube })), ({ value }) => value)
