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
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Client from "./Client.ts"
import * as Errors from "./Errors.ts"
import * as Validate from "./internal/protocol/validate.ts"
import * as Directives from "./internal/worker/directives.ts"
import type * as HandlerEffect from "./internal/worker/handlerEffect.ts"
import * as WorkerHealth from "./internal/worker/health.ts"
import { programEnder } from "./internal/worker/programEnder.ts"
import { start } from "./internal/worker/start.ts"
import type { Job } from "./Job.ts"
import type { Tube, TypedJob } from "./Tube.ts"

/**
 * What {@link snooze} fails with: the job comes again after the `delay`.
 *
 * @since 0.1.0
 * @category errors
 */
export const Snooze: typeof Directives.Snooze = Directives.Snooze

/**
 * What {@link snooze} fails with.
 *
 * @since 0.1.0
 * @category errors
 */
export type Snooze = Directives.Snooze

/**
 * What {@link discard} fails with: nobody needs the job any more, for this `reason`.
 *
 * @since 0.1.0
 * @category errors
 */
export const Discard: typeof Directives.Discard = Directives.Discard

/**
 * What {@link discard} fails with.
 *
 * @since 0.1.0
 * @category errors
 */
export type Discard = Directives.Discard

/**
 * What a worker does with a job. The handler may settle the job itself; the worker settles only what is not settled when
 * the handler ends. Each run has a Scope of its own, which ends before the job is settled.
 *
 * @since 0.1.0
 * @category models
 */
export type Handler<A, E, R> = (value: A, job: TypedJob<A>) => Effect.Effect<unknown, E | Snooze | Discard, R>

/**
 * A tube that takes what has failed for good: a name, or a tube whose values include those of the worker's tube.
 *
 * @since 0.1.0
 * @category models
 */
export type DeadLetter<A> = string | {
  readonly name: string
  readonly put: (value: A, options?: never) => Effect.Effect<unknown, unknown, unknown>
}

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
   * them. A defect is passed to the Schedule as it is.
   *
   * Default: a random part of 1 second, doubled up to 5 minutes
   */
  readonly retrySchedule?: Schedule.Schedule<unknown, E> | undefined

  /**
   * How many attempts a job has: a whole number, at least 1, or `Infinity`. It is judged when a handler has failed, by what
   * the server counts as `reserves`: failed attempts, but also crashes, leases that ran out and jobs that were given back. Each
   * kick allows one more.
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
   * When a job comes again whose error says so, such as a 429 with its `retry-after`: after this delay, at least 1 second, and
   * without using an attempt, as with {@link snooze}. `undefined` for an error like any other.
   *
   * Default: all errors are
   */
  readonly retryAfter?: ((error: E, job: TypedJob<A>) => Duration.Input | undefined) | undefined

  /**
   * How many crashes a job may have: a whole number, at least 1, or `Infinity`. A crash is a reservation whose connection was
   * closed before anybody settled the job, as when the process dies. It is judged before the handler runs, so that a job which
   * kills its process is given up in the end. Each kick gives such a job one more run.
   *
   * Default: 3
   */
  readonly maxCrashes?: number | undefined

  /**
   * Whether a job that has crashed, or whose lease ran out, runs alone in its process, so that it harms no other. All workers
   * of the process take no more jobs then, and the job runs when theirs are done. If they are not done within 30 seconds, or
   * another such job has its turn, the job comes again after 2 to the power of its crashes, in seconds.
   *
   * Default: true
   */
  readonly isolateSuspects?: boolean | undefined

  /**
   * Whether the counters of a job are asked for before its handler runs. Without that there is no `maxCrashes`, and no
   * isolation. It costs one round trip per job. A server without `stats-job` is not asked again.
   *
   * Default: true, unless `maxAttempts` is `Infinity` and `maxCrashes` is left out
   */
  readonly crashGuard?: boolean | undefined

  /**
   * What becomes of a job whose handler dies of a defect: `"retry"` treats it as a failed attempt, `"bury"` buries it at once,
   * even with a `deadLetter`.
   *
   * Default: "retry"
   */
  readonly onDefect?: "retry" | "bury" | undefined

  /**
   * What becomes of a job whose body does not decode: `"giveUp"` treats it as failed for good, `"retry"` as a failed attempt,
   * for deployments in which old processes meet new jobs. A function gives the effect that runs in the handler's place: the
   * job is deleted if it succeeds, and has failed for good if it fails with the error.
   *
   * Default: "giveUp"
   */
  readonly onUndecodable?:
    | "giveUp"
    | "retry"
    | ((error: Errors.DecodeError, job: Job) => Effect.Effect<unknown, Errors.DecodeError | Snooze | Discard, R>)
    | undefined

  /**
   * What becomes of a job whose envelope says that it has expired. No handler runs for it. `"discard"` deletes it, `"giveUp"`
   * treats it as failed for good. Both are counted as `expired`.
   *
   * Default: "discard"
   */
  readonly onExpired?: "discard" | "giveUp" | undefined

  /**
   * The tube that takes jobs that have failed for good, whatever the reason, with their bytes, priority and ttr: a name, or a
   * tube. It is another tube on the same server. The reason is logged with the ids of both jobs. If the worker's tube writes
   * envelopes, that of the dead letter has the reason too (`Envelope.DeadLetter`), and the tube must read envelopes.
   *
   * Default: none, such jobs are buried
   */
  readonly deadLetter?: DeadLetter<NoInfer<A>> | undefined

  /**
   * The longest time between two touches of a job whose handler runs, at least 250 milliseconds; in milliseconds if it is a
   * plain number. A job is touched when half of its ttr is over in any case. Load balancers cut connections that are silent
   * for longer than they allow.
   *
   * Default: 20 seconds
   */
  readonly touchInterval?: Duration.Input | undefined

  /**
   * The grace period of an interrupted worker: how long running handlers and hooks may go on, in milliseconds if it is a
   * plain number. `Infinity` waits for them forever. Another SIGINT or SIGTERM, at least half a second later, ends it.
   *
   * Default: 30 seconds
   */
  readonly shutdownTimeout?: Duration.Input | undefined

  /**
   * How long the shutdown waits for handlers and hooks that it has interrupted, in milliseconds if it is a plain number. It
   * then ends without them, logs that, and gives their jobs back. `Infinity` waits for them forever.
   *
   * Default: 10 seconds
   */
  readonly forceAfter?: Duration.Input | undefined

  /**
   * The level at which a failed attempt is logged that is not the last. Failures that are part of the plan need no warning.
   *
   * Default: "Warn"
   */
  readonly logFailure?: ((error: E) => LogLevel.LogLevel) | undefined

  /**
   * Runs after each failed attempt, also one that died of a defect or was interrupted by something else than the worker. The
   * job stays reserved until this hook has ended.
   *
   * Default: nothing
   */
  readonly onFailure?:
    | ((cause: Cause.Cause<E>, job: TypedJob<A>) => Effect.Effect<unknown, never, R>)
    | undefined

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

/**
 * Ends a handler whose job is to come again after the delay, in whole seconds, rounded up: not ready yet, out of quota. It
 * costs no attempt, since the job is put once more, with the same bytes, priority and ttr, and then deleted; its id is
 * another one. A crash in between leaves it twice. If it cannot be put, the job is released with the delay, which counts as
 * an attempt.
 *
 * ```ts
 * import { Tube, Worker } from "effect-beanstalkd"
 * import { Effect, Schema } from "effect"
 *
 * const Exports = Tube.make("exports", { schema: Schema.Struct({ report: Schema.String }) })
 *
 * declare const isThere: (report: string) => Effect.Effect<boolean>
 *
 * const worker = Worker.run(Exports, ({ report }) =>
 *   Effect.gen(function*() {
 *     if (!(yield* isThere(report))) return yield* Worker.snooze("1 minute")
 *     yield* Effect.log(`exports ${report}`)
 *   }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const snooze = (delay: Duration.Input): Effect.Effect<never, Snooze> =>
  Effect.suspend(() => {
    const seconds = Validate.delay("Worker.snooze", delay)
    return seconds instanceof Errors.InvalidArgument
      ? Effect.die(seconds)
      : Effect.fail(new Snooze({ delay: Duration.seconds(seconds) }))
  })

/**
 * Ends a handler whose job nobody needs any more: the job is deleted, counted as `discarded`, and logged with the reason.
 *
 * ```ts
 * import { Tube, Worker } from "effect-beanstalkd"
 * import { Effect, Schema } from "effect"
 *
 * const Emails = Tube.make("emails", { schema: Schema.Struct({ to: Schema.String }) })
 *
 * const worker = Worker.run(
 *   Emails,
 *   ({ to }) => to.endsWith(".invalid") ? Worker.discard("no such address") : Effect.log(`to ${to}`)
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const discard = (reason: string): Effect.Effect<never, Discard> =>
  Effect.suspend(() => Effect.fail(new Discard({ reason })))

/**
 * Works on the jobs of a tube until it is interrupted. It then reserves no more, lets running handlers end, and after the
 * `shutdownTimeout` interrupts them and releases their jobs. Hooks that still run are interrupted as well, and so is a
 * `retrySchedule`, whose job is released at once.
 *
 * | the handler | the job |
 * | --- | --- |
 * | succeeds | is deleted |
 * | fails, dies, or is interrupted by something else than the worker | is released, with the delay of the `retrySchedule`, or given up |
 * | does not run, since the body does not decode | is given up |
 * | fails with {@link snooze}, or an error that `retryAfter` knows | comes again after the delay |
 * | fails with {@link discard} | is deleted |
 * | does not run, since the job has expired | is deleted, or given up, as `onExpired` says |
 * | is interrupted by the shutdown | is released at once |
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
  Effect.scoped(
    Effect.flatMap(start("Worker.run", tube, handler, options), ({ failed }) => Deferred.await(failed))
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
    let reason: Errors.BeanstalkdError | undefined
    // The program ends with the error rather than as if it had been told to end: its exit code is 1.
    yield* Effect.addFinalizer(() => reason === undefined ? Effect.void : Effect.die(reason))
    const { failed } = yield* start("Worker.layer", tube, handler, options)
    yield* Deferred.await(failed).pipe(
      Effect.catch((error) =>
        Effect.andThen(
          Effect.ignoreCause(Effect.logFatal(`the worker of ${tube.name} has ended`, error)),
          Effect.sync(() => {
            reason = error
            if (!endProgram(error)) reason = undefined
          })
        )
      ),
      Effect.forkScoped
    )
  }))

/**
 * How a worker is doing; see {@link health}. It has a Schema, which makes JSON of it.
 *
 * @since 0.1.0
 * @category models
 */
export class Health extends Schema.Class<Health>("effect-beanstalkd/Worker/Health")({
  /** The tube that it works on. */
  tube: Schema.String,
  /** Whether it takes no more jobs, since it is shutting down. */
  isStopping: Schema.Boolean,
  /** How many handlers may run at a time. */
  concurrency: Schema.Finite,
  /** How many handlers run. */
  running: Schema.Finite,
  /** How its client is doing. */
  client: Client.Health
}) {}

/**
 * How the workers of this process are doing, in the order in which they began, for an endpoint that tells whether a program
 * is alive. Nothing is asked of a server for it.
 *
 * ```ts
 * import { Worker } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const status = Effect.map(
 *   Worker.health,
 *   (workers) => workers.every(({ client }) => client.isReachable) ? 200 : 503
 * )
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const health: Effect.Effect<ReadonlyArray<Health>> = Effect.flatMap(
  WorkerHealth.Current,
  (workers) => Effect.map(workers.states, (states) => states.map((state) => new Health(state)))
)
