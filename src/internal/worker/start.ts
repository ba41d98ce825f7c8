/**
 * Starts a worker: puts its units together, and has them end in order.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type * as Errors from "../../Errors.ts"
import type { Tube } from "../../Tube.ts"
import type { Handler, Options } from "../../Worker.ts"
import type { Intake } from "../consumer/intake.ts"
import * as LeaseKeeper from "../consumer/leaseKeeper.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import { JobRecorders } from "../telemetry/jobRecorder.ts"
import { bodiesOf, clientOf } from "../tube/prototype.ts"
import { FinishedJobs } from "./finishedJobs.ts"
import * as HandlerEffect from "./handlerEffect.ts"
import * as WorkerHealth from "./health.ts"
import { InFlight } from "./inFlight.ts"
import * as Isolation from "./isolation.ts"
import * as Judge from "./judge.ts"
import { Lifecycle } from "./lifecycle.ts"
import { Refusals } from "./refusals.ts"
import * as Settings from "./settings.ts"
import { Settler } from "./settler.ts"
import { shutdown } from "./shutdown.ts"
import { UserCode } from "./userCode.ts"

/** A worker that runs. */
export interface Started {
  /** Fails when the worker cannot go on. */
  readonly failed: Deferred.Deferred<never, Errors.BeanstalkdError>
}

// Each job begins a trace of its own, or goes on with that of its put: a trace of the worker would never end.
const surroundings = <R>(): Effect.Effect<Context.Context<R>, never, R> =>
  Effect.map(Effect.context<R>(), (context) => Context.omit(Tracer.ParentSpan)(context) as Context.Context<R>)

/** Starts a worker that ends with the Scope. */
export const start = Effect.fnUntraced(function*<A, C, RD, RE, E, R>(
  operation: string,
  tube: Tube<A, C, RD, RE>,
  handler: Handler<A, E, R>,
  options: Options<A, E, R>
): Effect.fn.Return<Started, Errors.BeanstalkdError, C | RD | HandlerEffect.Needs<R> | Scope.Scope> {
  const client = yield* clientOf(operation, tube)
  const settings = yield* Settings.resolve(operation, client.server, tube, handler, options)
  const context = yield* surroundings<HandlerEffect.Needs<R> | RD>()
  const clock = yield* Clock.Clock
  const isolation = yield* Isolation.Current
  const workers = yield* WorkerHealth.Current
  const fork = Effect.runForkWith(context)
  const recorders = new JobRecorders(tube.name, context)
  const recorderOf = (job: ReservedJob) => recorders.of(job.server)
  const userCode = new UserCode()
  const inFlight = new InFlight(settings.concurrency, clock)
  const leases = yield* LeaseKeeper.make(settings.touchIntervalMillis)
  const refusals = new Refusals(clock, userCode)
  const finishedJobs = new FinishedJobs<E>()
  const effectOf = HandlerEffect.make(tube, handler, settings, recorderOf)
  const shared = { settings, userCode, refusals, leases, finishedJobs, inFlight, recorderOf }
  const lifecycle = new Lifecycle<A, E, R>({
    ...shared,
    isolation,
    judge: Judge.make(shared),
    settler: new Settler({ ...shared, tube: tube.name, bodies: bodiesOf(tube), put: client.put, fork }),
    fork: (job) => fork(effectOf(job)),
    waitForTurn: (onTimeout) => {
      const waiting = fork(Effect.andThen(Effect.sleep(Isolation.PATIENCE), Effect.sync(onTimeout)))
      return () => waiting.interruptUnsafe()
    },
    tellRefusal: (job, error) =>
      void fork(Effect.annotateLogs(refusals.say(error.command, error), HandlerEffect.annotationsOf(tube.name, job))),
    onRoom: () => intake.fill()
  })
  const failed = Deferred.makeUnsafe<never, Errors.BeanstalkdError>()
  const intake: Intake = yield* client.intake({
    tubes: [tube.name],
    maxConnections: settings.maxConnections,
    room: () => isolation.isClosed ? -Infinity : inFlight.free(intake.taken),
    mayReuse: (job) => !isolation.isClosed && !inFlight.has(job),
    isInUse: (job) => !job.isOver || inFlight.has(job),
    isKept: (job) => leases.has(job),
    onJob: (job) => lifecycle.onJob(job),
    onOver: (job) => lifecycle.onOver(job),
    onFailure: (error) => Deferred.doneUnsafe(failed, Exit.fail(error))
  })
  const leave = isolation.join({
    jobs: () => lifecycle.busy,
    resume: () => {
      lifecycle.resume()
      intake.fill()
    }
  })
  const { concurrency } = settings
  const forget = workers.add(Effect.map(client.health, (client) => {
    return { tube: tube.name, isStopping: lifecycle.isStopping, concurrency, running: inFlight.size, client }
  }))
  yield* Effect.addFinalizer(() =>
    shutdown({ tube: tube.name, settings, lifecycle, intake, inFlight, userCode }).pipe(
      Effect.ensuring(Effect.sync(() => {
        leave()
        forget()
      }))
    )
  )
  intake.fill()
  return { failed }
})
