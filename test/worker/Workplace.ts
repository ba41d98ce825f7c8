/**
 * What the tests of consumers and workers share: a server of one's own, where the jobs of a tube are, what was logged,
 * which spans there were, what was counted.
 */
import { assert } from "@effect/vitest"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as Client from "../../src/Client.ts"
import type * as Errors from "../../src/Errors.ts"
import * as Metrics from "../../src/Metrics.ts"
import * as Server from "../../src/Server.ts"
import * as Tube from "../../src/Tube.ts"
import * as Worker from "../../src/Worker.ts"

export const TUBE = "work"

export const Texts = Tube.make(TUBE, { codec: "text" })

/**
 * On a server in memory that nobody else has, with a client that has opened no more than its shared connection, and a
 * registry of metrics that nobody else has.
 */
export const onItsOwn = <A, E>(
  test: (
    beanstalkd: Client.Service,
    server: Server.Service
  ) => Effect.Effect<A, E, Client.Beanstalkd | Server.Server | Scope.Scope>,
  options: { readonly client?: Client.Options | undefined } = {}
) =>
  Effect.gen(function*() {
    const server = yield* Server.makeMemory()
    const beanstalkd = yield* Client.make({ ...options.client, ...server.clientOptions })
    return yield* test(beanstalkd, server).pipe(
      Effect.provideService(Client.Beanstalkd, beanstalkd),
      Effect.provideService(Server.Server, server)
    )
  }).pipe(
    Effect.scoped,
    Effect.provideServiceEffect(Metric.MetricRegistry, Effect.sync(() => new Map()))
  )

const NOWHERE = { ready: 0, reserved: 0, delayed: 0, buried: 0 }

/** How many jobs of a tube are in which state. */
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

/** That they are there, and nowhere else. */
export const areIn = (beanstalkd: Client.Service, expected: Partial<typeof NOWHERE>, tube = TUBE) =>
  Effect.map(statesOf(beanstalkd, tube), (states) => assert.deepStrictEqual(states, { ...NOWHERE, ...expected }))

/**
 * A worker, at once; its end is the end of the test unless it is interrupted before. Handlers that still run then are not
 * waited for, unless told, since nobody sets the clock forward any more.
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

/** Keeps what is logged, and shows nothing of it. */
export const keepLog = () => {
  const log: Array<Logged> = []
  const logger = Logger.make(({ cause, fiber, logLevel, message }) => {
    const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
    const annotations = { ...fiber.getRef(References.CurrentLogAnnotations) }
    log.push({ level: logLevel, message: parts.map(String).join(" "), annotations, cause })
  })
  return { log, logged: Effect.provideService(Logger.CurrentLoggers, new Set([logger])) }
}

/** Nobody reads what is logged. */
export const silently: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = Effect.provideService(
  Logger.CurrentLoggers,
  new Set()
)

/** What became of the jobs of a tube, as the metrics have it; outcomes that did not occur are left out. */
export const outcomes = Effect.fnUntraced(function*(server: string, tube = TUBE) {
  const counts: Partial<Record<Metrics.JobOutcome, number>> = {}
  for (const outcome of ["reserved", "succeeded", "failed", "retried", "buried", "deadLettered", "lost"] as const) {
    const { count } = yield* Metric.value(Metric.withAttributes(Metrics.jobs, { server, tube, outcome }))
    if (count > 0) counts[outcome] = count
  }
  return counts
})

/** The handlers that run, as the metrics have it. */
export const inFlight = (server: string, tube = TUBE) =>
  Effect.map(Metric.value(Metric.withAttributes(Metrics.jobsInFlight, { server, tube })), ({ value }) => value)
