/**
 * Workers: you say what to do with a job, and get concurrency, backpressure, leases, retries and shutdown.
 *
 * The worker deletes a job when its handler succeeds, and tries it again later when the handler fails. It never drops one: a
 * job that fails for good is buried, or moved to a dead-letter tube. A handler may run more than once for the same job, so
 * what it does must be idempotent: delivery is at least once.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Errors from "./Errors.ts"
import type { Intake } from "./internal/consumer/intake.ts"
import * as LeaseKeeper from "./internal/consumer/leaseKeeper.ts"
import type { ReservedJob } from "./internal/job/reservedJob.ts"
import { JobRecorders } from "./internal/telemetry/jobRecorder.ts"
import { clientOf } from "./internal/tube/prototype.ts"
import * as HandlerEffect from "./internal/worker/handlerEffect.ts"
import { InFlight } from "./internal/worker/inFlight.ts"
import * as Judge from "./internal/worker/judge.ts"
import { Lifecycle } from "./internal/worker/lifecycle.ts"
import * as Settings from "./internal/worker/settings.ts"
import { Settler } from "./internal/worker/settler.ts"
import { UserCode } from "./internal/worker/userCode.ts"
import type { Job } from "./Job.ts"
import type { Tube, TypedJob } from "./Tube.ts"

/**
 * What a worker does with a job. The handler may settle the job itself; the worker settles only what is not settled when
 * the handler ends. Each run has a Scope of its own, which ends before the job is settled.
 *
 * @since 0.1.0
 * @category models
 */
export type Handler<A, E, R> = (value: A, job: TypedJob<A>) => Effect.Effect<unknown, E, R>

/**
 * The options of a worker.
 *
 * `onFailure`, `onGiveUp` and `onLost` are hooks. What goes wrong in a hook is logged, and changes nothing about the job.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<in A, in E, out R> {
  /**
   * How many handlers run at a time: a whole number, at least 1. As many jobs are reserved, and no more. A job takes one of
   * these places until its handler and its `onFailure` have ended.
   *
   * Default: 1
   */
  readonly concurrency?: number | undefined

  /**
   * How many connections the worker may open to reserve jobs, beside those of the client's pool: a whole number, at least 1.
   * It opens them as it needs them.
   *
   * Default: 8
   */
  readonly maxConnections?: number | undefined

  /**
   * The backoff: the n-th delay of this Schedule is waited after the n-th attempt, in whole seconds, rounded up. Where the
   * Schedule ends, there is no further attempt. The delay follows from the number of attempts alone, whichever process made
   * them.
   *
   * Default: 1 second, doubled up to 5 minutes
   */
  readonly retrySchedule?: Schedule.Schedule<unknown, E> | undefined

  /**
   * How many attempts a job has: a whole number, at least 1, or `Infinity`. Attempts are what the server counts as
   * `reserves`, so those that ended in a crash count too. Each kick allows one more.
   *
   * Default: 10
   */
  readonly maxAttempts?: number | undefined

  /**
   * Whether an error is worth another attempt. It is not asked about defects.
   *
   * Default: every error is
   */
  readonly retryIf?: ((error: E, job: TypedJob<A>) => boolean) | undefined

  /**
   * Whether attempts are counted before a handler runs as well, so that a job that kills its process is given up in the end.
   * It costs one round trip per job.
   *
   * Default: true, unless `maxAttempts` is `Infinity`
   */
  readonly crashGuard?: boolean | undefined

  /**
   * The tube that takes jobs that have failed for good, with their bytes, priority and ttr: a name, or a tube. Jobs whose
   * handler died of a defect, and those whose body does not decode, are buried all the same.
   *
   * Default: none, such jobs are buried
   */
  readonly deadLetter?: string | { readonly name: string } | undefined

  /**
   * The grace period of an interrupted worker: how long running handlers and hooks may go on, in milliseconds if it is a
   * plain number. `Infinity` waits for them forever.
   *
   * Default: 30 seconds
   */
  readonly shutdownTimeout?: Duration.Input | undefined

  /**
   * Runs after each failed attempt, also one that died of a defect. The job stays reserved until this hook has ended.
   *
   * Default: nothing
   */
  readonly onFailure?: ((cause: Cause.Cause<E>, job: TypedJob<A>) => Effect.Effect<unknown, never, R>) | undefined

  /**
   * Runs when a job has failed for good, wherever it goes: buried, or moved to the dead-letter tube.
   *
   * Default: nothing
   */
  readonly onGiveUp?:
    | ((cause: Cause.Cause<E | Errors.DecodeError>, job: Job) => Effect.Effect<unknown, never, R>)
    | undefined

  /**
   * Runs when a lease is lost while the handler runs: the time of the job ran out, or its connection was lost.
   *
   * Default: nothing
   */
  readonly onLost?: ((job: Job) => Effect.Effect<unknown, never, R>) | undefined
}

const start = Effect.fnUntraced(function*<A, C, RD, RE, E, R>(
  operation: string,
  tube: Tube<A, C, RD, RE>,
  handler: Handler<A, E, R>,
  options: Options<A, E, R>
) {
  const client = yield* clientOf(operation, tube)
  const settings = yield* Settings.resolve(operation, client.server, tube.name, handler, options)
  const context = yield* Effect.context<HandlerEffect.Needs<R> | RD>()
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(context)
  const recorders = new JobRecorders(tube.name, context)
  const recorderOf = (job: ReservedJob) => recorders.of(job.server)
  const userCode = new UserCode()
  const inFlight = new InFlight(settings.concurrency, clock)
  const leases = yield* LeaseKeeper.make
  const effectOf = HandlerEffect.make(tube, handler)
  const lifecycle = new Lifecycle({
    settings,
    leases,
    inFlight,
    judge: Judge.make(settings, userCode, recorderOf),
    settler: new Settler({ tube: tube.name, settings, put: client.put, userCode, inFlight, recorderOf, fork }),
    recorderOf,
    fork: (job) => fork(effectOf(job)),
    onRoom: () => intake.fill()
  })
  const failed = Deferred.makeUnsafe<never, Errors.BeanstalkdError>()
  const intake: Intake = yield* client.intake({
    tubes: [tube.name],
    maxConnections: settings.maxConnections,
    room: () => inFlight.free(intake.taken),
    mayReuse: (job) => !inFlight.has(job),
    isKept: (job) => leases.has(job),
    onJob: (job) => lifecycle.onJob(job),
    onOver: (job) => lifecycle.onOver(job),
    onFailure: (error) => Deferred.doneUnsafe(failed, Exit.fail(error))
  })
  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      lifecycle.stop()
      intake.stop()
      yield* Effect.timeoutOption(Effect.interruptible(inFlight.quiescence), settings.shutdownTimeout)
      userCode.interruptAll()
      inFlight.interruptAll()
      yield* inFlight.quiescence
    })
  )
  intake.fill()
  return failed
})

/**
 * Works on the jobs of a tube until it is interrupted. It then reserves no more, lets running handlers end, and after the
 * `shutdownTimeout` interrupts them and releases their jobs. Hooks that still run are interrupted as well, and so is a
 * `retrySchedule`, whose job is released at once.
 *
 * | the handler | the job |
 * | --- | --- |
 * | succeeds | is deleted |
 * | fails | is released, with its own priority and the delay of the `retrySchedule`, or given up |
 * | dies of a defect, or the body does not decode | is buried |
 * | is interrupted | is released at once |
 *
 * The worker touches a job in time for as long as its handler runs. If the lease is lost all the same, the handler is
 * interrupted, so that two workers never knowingly run one job.
 *
 * `run` fails with a `BeanstalkdError` in two cases: there is no server, and the client's `reconnect` Schedule says not to
 * dial again; or the tube, the handler or an option is refused (reason `InvalidOptions`).
 * (protocol: `reserve-with-timeout`, `stats-job`, `touch`, `delete`, `release`, `bury`)
 *
 * ```ts
 * import { Tube, Worker } from "effect-beanstalkd"
 * import { Effect, Schema } from "effect"
 *
 * const Emails = Tube.make("emails", { schema: Schema.Struct({ to: Schema.String }) })
 *
 * const program = Worker.run(Emails, ({ to }) => Effect.log(`to ${to}`), { concurrency: 16, maxAttempts: 5 })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const run = <A, C, RD, RE, E, R>(
  tube: Tube<A, C, RD, RE>,
  handler: Handler<A, E, R>,
  options: Options<A, E, R> = {}
): Effect.Effect<never, Errors.BeanstalkdError, C | RD | HandlerEffect.Needs<R>> =>
  Effect.scoped(Effect.flatMap(start("Worker.run", tube, handler, options), Deferred.await))

// A layer that has been built cannot fail anymore. What can be ended is the fiber that builds it, which goes on with the
// program unless several layers are built side by side; and the process.
const programEnder = Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) =>
  Effect.succeed((error: unknown) => {
    if (fiber.pollUnsafe() === undefined) return fiber.interruptUnsafe()
    queueMicrotask(() => {
      throw error
    })
  })
)

/**
 * A worker as a layer, for `Layer.launch`. If the worker cannot go on, it logs that and ends the program, which must not go
 * on as if nothing had happened: it interrupts the fiber that has built the layer, or if that fiber has ended, throws the
 * error where nothing catches it.
 *
 * ```ts
 * import { Client, Tube, Worker } from "effect-beanstalkd"
 * import { Effect, Layer, Schema } from "effect"
 *
 * const Emails = Tube.make("emails", { schema: Schema.Struct({ to: Schema.String }) })
 *
 * const EmailWorker = Worker.layer(Emails, ({ to }) => Effect.log(`to ${to}`), { concurrency: 16 })
 *
 * const main = Layer.launch(EmailWorker.pipe(Layer.provide(Client.layer())))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <A, C, RD, RE, E, R>(
  tube: Tube<A, C, RD, RE>,
  handler: Handler<A, E, R>,
  options: Options<A, E, R> = {}
): Layer.Layer<never, Errors.BeanstalkdError, Exclude<C | RD | R, Scope.Scope>> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const endProgram = yield* programEnder
    const failed = yield* start("Worker.layer", tube, handler, options)
    yield* Deferred.await(failed).pipe(
      Effect.catch((error) =>
        Effect.andThen(
          Effect.ignoreCause(Effect.logFatal(`the worker of ${tube.name} has ended`, error)),
          Effect.sync(() => endProgram(error))
        )
      ),
      Effect.forkScoped
    )
  }))
