/**
 * Workers: say what is to be done with a job, and get concurrency, backpressure, leases, retries and shutdown.
 *
 * A job is deleted when its handler succeeds, and tried again later when it fails. It is never dropped: what fails for good
 * is buried, or moved to a dead-letter tube. A handler may run more than once for the same job, so what it does must be
 * idempotent: delivery is at least once.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Validate from "./internal/protocol/validate.ts"
import type * as Client from "./Client.ts"
import * as Consumer from "./Consumer.ts"
import * as Errors from "./Errors.ts"
import * as Intake from "./internal/consumer/fetcher.ts"
import type { Job, ReservedJob } from "./Job.ts"
import { Leases } from "./internal/consumer/leaseKeeper.ts"
import * as Metrics from "./Metrics.ts"
import { commands, type Failure } from "./Protocol.ts"
import * as Retry from "./internal/worker/retryDelay.ts"
import { clientOf } from "./internal/tube/prototype.ts"
import type { JobStats } from "./Stats.ts"
import type { Tube, TypedJob } from "./Tube.ts"
import { MAX_UINT32 } from "./internal/protocol/scalars.ts"

/**
 * What a worker does with a job. It may settle the job itself; the worker settles only what is not settled then. It has a
 * Scope of its own, which ends before the job is settled.
 */
export type Handler<A, E, R> = (value: A, job: TypedJob<A>) => Effect.Effect<unknown, E, R>

/**
 * What a worker can be told.
 *
 * - `concurrency`: how many handlers run at a time, default 1
 * - `maxConnections`: over how many connections, default 8
 * - `retry`: the Schedule whose delays are waited after failed attempts; where it ends, there is no further one. Default
 *   1 second, doubled up to 5 minutes
 * - `maxAttempts`: how often a job is tried, default 10, `Infinity` for ever. Attempts are what the server counts as
 *   `reserves`, so that crashes count; each kick allows one more
 * - `retryIf`: whether this error is worth another attempt, default always
 * - `crashGuard`: asks for the number of attempts before each job, so that a job that kills its process is not tried for
 *   ever; default true, unless `maxAttempts` is infinite. It costs a round trip a job
 * - `deadLetter`: the tube to which jobs go that failed for good, with their bytes, priority and ttr; default none: they
 *   are buried. What died of a defect or does not decode is buried in any case
 * - `shutdownTimeout`: how long running handlers and hooks may go on when the worker is interrupted, default 30 seconds;
 *   a plain number is milliseconds
 * - `onFailure`: runs after each failed attempt, one that died of a defect included; `onBury` when a job has failed for
 *   good, wherever it goes; `onLost` when the time of a job ran out, or its connection was lost, while its handler ran
 *
 * The last three are hooks. What goes wrong in one is logged and changes nothing about the job. A job is kept, and counts
 * as one of the `concurrency`, until its `onFailure` has ended.
 */
export interface Options<in A, in E, out R> {
  readonly concurrency?: number | undefined
  readonly maxConnections?: number | undefined
  readonly retry?: Schedule.Schedule<unknown, E> | undefined
  readonly maxAttempts?: number | undefined
  readonly retryIf?: ((error: E, job: TypedJob<A>) => boolean) | undefined
  readonly crashGuard?: boolean | undefined
  readonly deadLetter?: string | { readonly name: string } | undefined
  readonly shutdownTimeout?: Duration.Input | undefined
  readonly onFailure?: ((cause: Cause.Cause<E>, job: TypedJob<A>) => Effect.Effect<unknown, never, R>) | undefined
  readonly onBury?:
    | ((cause: Cause.Cause<E | Errors.DecodeError>, job: Job) => Effect.Effect<unknown, never, R>)
    | undefined
  readonly onLost?: ((job: Job) => Effect.Effect<unknown, never, R>) | undefined
}

const DEFAULT_MAX_ATTEMPTS = 10
const DEFAULT_SHUTDOWN_TIMEOUT = Duration.seconds(30)
const LONGEST_DELAY = Duration.seconds(MAX_UINT32)
const defaultRetry = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("5 minutes")])

// Told from whatever a handler fails with.
class Undecodable {
  readonly error: Errors.DecodeError
  constructor(error: Errors.DecodeError) {
    this.error = error
  }
}

// A handler may fail with anything, also with a Proxy that does not allow to be looked at.
const isUndecodable = (error: unknown): error is Undecodable => {
  try {
    return error instanceof Undecodable
  } catch {
    return false
  }
}

// Loggers are written by others, and what they log as well: neither may keep the worker from what comes next.
const log = (level: LogLevel.Severity, message: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.logWithLevel(level)(message, cause).pipe(
    Effect.catchCause(() => Effect.logWithLevel(level)(`${message} (a logger died of the cause)`)),
    Effect.ignoreCause
  )

/** A job whose handler runs. */
interface Running {
  readonly startedAt: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** The job is settled or lost already. */
  isIdle: boolean
}

const aFunction = <F>(argument: string, value: F): F | Errors.InvalidArgument =>
  typeof value === "function"
    ? value
    : new Errors.InvalidArgument({ operation: "reserve", argument, value, rule: "a function" })

const maybeAFunction = <F>(argument: string, value: F | undefined): F | undefined | Errors.InvalidArgument =>
  value === undefined ? value : aFunction(argument, value)

const OPTIONS = Validate.optionNames<Options<never, never, never>>({
  concurrency: true,
  maxConnections: true,
  retry: true,
  maxAttempts: true,
  retryIf: true,
  crashGuard: true,
  deadLetter: true,
  shutdownTimeout: true,
  onFailure: true,
  onBury: true,
  onLost: true
})

const nameOf = (tube: string | { readonly name: string } | undefined): string | undefined | Errors.InvalidArgument => {
  if (typeof tube !== "object") return tube
  const named = Validate.snapshot("deadLetter", tube, ["name"])
  return named instanceof Errors.InvalidArgument ? named : Validate.tube("deadLetter", "tube", named.name)
}

const settingsOf = Effect.fnUntraced(function*<A, E, R>(
  client: Client.Service,
  handler: Handler<A, E, R>,
  given: Options<A, E, R>
) {
  const check = <B>(value: B | Errors.InvalidArgument) => Consumer.checked(client, value)
  const count = (argument: string, value: number) => check(Validate.wholeNumber("reserve", argument, value, 1))
  const options = yield* check(Validate.snapshot("reserve", given, OPTIONS))
  const { maxAttempts = DEFAULT_MAX_ATTEMPTS } = options
  yield* check(aFunction("handler", handler))
  return {
    concurrency: yield* count("concurrency", options.concurrency ?? 1),
    maxConnections: yield* count("maxConnections", options.maxConnections ?? Consumer.DEFAULT_MAX_CONNECTIONS),
    maxAttempts: maxAttempts === Infinity ? maxAttempts : yield* count("maxAttempts", maxAttempts),
    crashGuard: yield* check(Validate.flag("reserve", "crashGuard", options.crashGuard ?? maxAttempts !== Infinity)),
    retry: yield* check(Validate.schedule("reserve", "retry", options.retry ?? defaultRetry)),
    retryIf: (yield* check(maybeAFunction("retryIf", options.retryIf))) ?? (() => true),
    deadLetter: yield* check(Validate.optionalTube("deadLetter", yield* check(nameOf(options.deadLetter)))),
    onFailure: yield* check(maybeAFunction("onFailure", options.onFailure)),
    onBury: yield* check(maybeAFunction("onBury", options.onBury)),
    onLost: yield* check(maybeAFunction("onLost", options.onLost)),
    shutdownTimeout: yield* check(
      Validate.duration("reserve", "shutdownTimeout", options.shutdownTimeout ?? DEFAULT_SHUTDOWN_TIMEOUT)
    )
  }
})

// Each handler has a Scope of its own, which ends before its job is settled.
type Needs<R> = Exclude<R, Scope.Scope>

type SettleFailure = Failure<"release"> | Failure<"put"> | Failure<"statsJob">

const start = Effect.fnUntraced(function*<A, C, RD, RE, E, R>(
  tube: Tube<A, C, RD, RE>,
  handler: Handler<A, E, R>,
  options: Options<A, E, R>
) {
  const client = yield* clientOf("Worker.run", tube)
  const settings = yield* settingsOf(client, handler, options)
  const { concurrency, crashGuard, deadLetter, maxAttempts } = settings
  const place = { server: client.server, tube: tube.name }
  const context = yield* Effect.context<Needs<R> | RD>()
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(context)
  const recorder = new Metrics.JobRecorder(place, context)
  const leases = new Leases(clock, yield* Intake.forkerIn(yield* Effect.scope))
  const failed = Deferred.makeUnsafe<never, Errors.BeanstalkdError>()
  const running = new Map<ReservedJob, Running>()
  /** Handlers that still run although their jobs are settled or lost. */
  let idle = 0
  /** Jobs that are not done with. */
  let busy = 0
  let onQuiet = () => {}
  let isStopping = false
  /** Hooks and retry policies that run. */
  const foreign = new Set<Fiber.Fiber<unknown, unknown>>()
  /** The time for the shutdown is over. */
  let isCut = false

  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

  const done = () => {
    busy--
    if (busy === 0) onQuiet()
  }

  const isQuiet: Effect.Effect<void> = Effect.callback((resume) => {
    if (busy === 0) return resume(Effect.void)
    onQuiet = () => resume(Effect.void)
  })

  const annotations = (job: ReservedJob) => ({
    tube: tube.name,
    job: job.id,
    ...(job.known === undefined ? {} : { attempt: job.known.reserves })
  })

  // In a fiber of its own, since a fiber in which somebody gives what is no effect ends there and then, whatever it was to
  // do afterwards; and to be interrupted when the worker has no more time.
  const runForeign = <B, F>(effect: Effect.Effect<B, F, Needs<R>>): Effect.Effect<Exit.Exit<B, F>, never, Needs<R>> =>
    Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), (fiber) => {
      foreign.add(fiber)
      if (isCut) fiber.interruptUnsafe()
      return Effect.tap(Fiber.await(fiber), () => Effect.sync(() => foreign.delete(fiber)))
    })

  const isCutOff = (cause: Cause.Cause<unknown>) => isCut && Cause.hasInterruptsOnly(cause)

  const hook = (call: () => Effect.Effect<unknown, never, R>): Effect.Effect<void, never, Needs<R>> => {
    const called = Effect.suspend(() => {
      const effect = call()
      return Effect.isEffect(effect) ? effect : Effect.die(new TypeError("a hook of the worker gave no effect"))
    })
    return Effect.flatMap(runForeign(Effect.scoped(called)), (exit) => {
      if (Exit.isSuccess(exit)) return Effect.void
      if (isCutOff(exit.cause)) return log("Warn", "a hook of the worker was interrupted by its shutdown", exit.cause)
      return log("Error", "a hook of the worker died", exit.cause)
    })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // A job comes
  // -------------------------------------------------------------------------------------------------------------------

  const onJob = (job: ReservedJob) => {
    busy++
    recorder.count("reserved")
    leases.add(job)
    if (!crashGuard) return begin(job)
    job.inspect((answer) => {
      if (job.isOver) return done()
      if (Exit.isFailure(answer)) return conclude(job, answer)
      if (isStopping) return conclude(job, job.release())
      const { kicks, reserves } = answer.value
      if (reserves <= maxAttempts + kicks) return begin(job)
      const message = `job ${job.id} was reserved ${reserves} times and never settled: it may end its worker's process`
      conclude(job, giveUp(job, Cause.die(new Error(message))))
    })
  }

  const work = (job: ReservedJob): Effect.Effect<unknown, E | Undecodable, Needs<R> | RD> =>
    tube.decode(job).pipe(
      Effect.mapError((error) => new Undecodable(error)),
      Effect.flatMap((value) => Effect.scoped(handler(value, Object.assign(job, { value })))),
      (handled) =>
        Effect.useSpan("process", spanOptions(job), (span) => Effect.updateContext(handled, within(job, span)))
    )

  const spanOptions = (job: ReservedJob): Tracer.SpanOptionsNoTrace => ({
    kind: "consumer",
    attributes: {
      "messaging.system.name": "beanstalkd",
      "messaging.operation.name": "process",
      "messaging.destination.name": tube.name,
      "messaging.message.id": String(job.id)
    }
  })

  // What `withSpan` and `annotateLogs` do, in one go: each change of a fiber's context costs as much as all else there is
  // to a job.
  const within = (job: ReservedJob, span: Tracer.Span) => (context: Context.Context<Needs<R> | RD>) => {
    const parent = Context.get(context, References.CurrentStackFrame)
    const logged = { ...Context.get(context, References.CurrentLogAnnotations), ...annotations(job) }
    return context.pipe(
      Context.add(References.CurrentStackFrame, { name: "process", stack: () => undefined, parent }),
      Context.add(References.CurrentLogAnnotations, logged),
      Context.add(Tracer.ParentSpan, span)
    )
  }

  const begin = (job: ReservedJob) => {
    const entry: Running = { startedAt: now(), fiber: undefined, isIdle: false }
    running.set(job, entry)
    recorder.started()
    entry.fiber = fork(work(job))
    // Lost by what the handler did before it waited for anything.
    if (job.isLost) entry.fiber.interruptUnsafe()
    entry.fiber.addObserver((exit) => finish(job, entry, exit as Exit.Exit<unknown, E | Undecodable>))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Its handler ends
  // -------------------------------------------------------------------------------------------------------------------

  const finish = (job: ReservedJob, entry: Running, exit: Exit.Exit<unknown, E | Undecodable>) => {
    running.delete(job)
    recorder.ended(now() - entry.startedAt)
    if (job.isOver) {
      if (!job.isLost) recorder.count(Exit.isSuccess(exit) ? "succeeded" : "failed")
      if (entry.isIdle) idle--
      done()
      return intake.fill()
    }
    if (Exit.isFailure(exit)) return conclude(job, afterFailure(job, exit.cause))
    job.settle(commands.delete, [job.id], (answer) => {
      if (Exit.isFailure(answer)) return conclude(job, answer)
      recorder.count("succeeded")
      done()
    })
  }

  // Not to be interrupted: the job is to be settled one way or the other.
  const conclude = (job: ReservedJob, effect: Effect.Effect<void, SettleFailure, Needs<R>>) => {
    const settled = effect.pipe(
      // A defect that nobody has foreseen.
      Effect.catchCauseIf((cause) => !Cause.hasFails(cause), (cause) => bury(job, cause as Cause.Cause<never>)),
      // Its time has run out, the connection is gone, or the server refused: somebody else will have it.
      Effect.catchCause(() => Effect.andThen(job.end, Effect.sync(() => job.isLost || lost(job))))
    )
    attend(job, settled)
  }

  const attend = (job: ReservedJob, effect: Effect.Effect<void, never, Needs<R>>) =>
    fork(Effect.uninterruptible(Effect.annotateLogs(effect, annotations(job)))).addObserver(done)

  const afterFailure = Effect.fnUntraced(function*(job: ReservedJob, cause: Cause.Cause<E | Undecodable>) {
    if (Cause.hasInterruptsOnly(cause)) return yield* job.release()
    recorder.count("failed")
    const error = Option.getOrUndefined(Cause.findErrorOption(cause))
    if (isUndecodable(error)) return yield* bury(job, Cause.fail(error.error))
    const failure = cause as Cause.Cause<E>
    const { onFailure } = settings
    if (onFailure !== undefined) yield* hook(() => onFailure(failure, job as unknown as TypedJob<A>))
    if (Cause.hasDies(cause)) return yield* bury(job, failure)
    const stats = yield* statsOf(job)
    const delay = yield* nextDelay(job, stats, error as E)
    if (Option.isNone(delay)) return yield* giveUp(job, failure)
    const next = Duration.format(delay.value)
    yield* log("Warn", `attempt ${stats.reserves} failed, the next one comes in ${next}`, failure)
    yield* job.release({ delay: delay.value })
    recorder.count("retried")
  })

  const statsOf = (job: ReservedJob): Effect.Effect<JobStats, Failure<"statsJob">> =>
    job.known === undefined ? Effect.callback((resume) => job.inspect(resume)) : Effect.succeed(job.known)

  const nextDelay = (job: ReservedJob, { kicks, reserves }: JobStats, error: E) => {
    const policy = Effect.suspend(() =>
      reserves < maxAttempts + kicks && settings.retryIf(error, job as unknown as TypedJob<A>)
        ? Retry.delayAfter(settings.retry, reserves, error)
        : Effect.succeedNone
    )
    const bounded = Effect.map(policy, Option.map(Duration.clamp({ minimum: Duration.zero, maximum: LONGEST_DELAY })))
    return Effect.flatMap(runForeign(bounded), (exit) => {
      if (Exit.isSuccess(exit)) return Effect.succeed(exit.value)
      if (isCutOff(exit.cause)) return Effect.succeedSome(Duration.zero)
      return Effect.as(
        log("Error", "the retry policy of the worker died", exit.cause),
        Option.none<Duration.Duration>()
      )
    })
  }

  const giveUp = Effect.fnUntraced(function*(job: ReservedJob, cause: Cause.Cause<E>) {
    if (deadLetter === undefined) return yield* bury(job, cause)
    const { pri, ttr } = yield* statsOf(job)
    // First there, then not here: if it goes wrong in between, the job is there twice rather than nowhere.
    const moved = yield* Effect.exit(client.put(deadLetter, job.body, { priority: pri, ttr: Duration.seconds(ttr) }))
    if (Exit.isFailure(moved)) {
      yield* log("Error", `cannot be put into ${deadLetter}`, moved.cause)
      return yield* bury(job, cause)
    }
    yield* log("Error", `failed for good, moved to ${deadLetter} as job ${String(moved.value)}`, cause)
    yield* job.delete
    yield* gone(job, cause)
  })

  const bury = Effect.fnUntraced(function*(job: ReservedJob, cause: Cause.Cause<E | Errors.DecodeError>) {
    yield* log("Error", "failed for good, buried", cause)
    yield* job.bury()
    yield* gone(job, cause)
  })

  const gone = (job: ReservedJob, cause: Cause.Cause<E | Errors.DecodeError>) => {
    recorder.count("buried")
    const { onBury } = settings
    return onBury === undefined ? Effect.void : hook(() => onBury(cause, job))
  }

  const lost = (job: ReservedJob) => {
    recorder.count("lost")
    const { onLost } = settings
    const logged = log("Warn", "its time ran out, or its connection was lost", Cause.empty)
    busy++
    attend(job, onLost === undefined ? logged : Effect.andThen(logged, hook(() => onLost(job))))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // From the first job to the last
  // -------------------------------------------------------------------------------------------------------------------

  const intake: Intake.Intake = yield* Intake.make({
    pool: client.pool,
    tubes: [tube.name],
    maxConnections: settings.maxConnections,
    room: () => concurrency - intake.taken - idle,
    mayReuse: (job) => !running.has(job),
    isKept: (job) => leases.has(job),
    onJob,
    onOver: (job) => {
      leases.remove(job)
      if (job.isLost) lost(job)
      const entry = running.get(job)
      if (entry === undefined) return
      entry.isIdle = true
      idle++
      if (job.isLost) entry.fiber?.interruptUnsafe()
    },
    onFailure: (error) => Deferred.doneUnsafe(failed, Exit.fail(error))
  })

  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      isStopping = true
      intake.stop()
      yield* Effect.timeoutOption(Effect.interruptible(isQuiet), settings.shutdownTimeout)
      isCut = true
      for (const { fiber } of running.values()) fiber?.interruptUnsafe()
      for (const fiber of foreign) fiber.interruptUnsafe()
      yield* isQuiet
    })
  )

  const wrong = Validate.tube("reserve", "tube", tube.name)
  yield* Consumer.checked(client, wrong)
  intake.fill()
  return { failed }
})

/**
 * Works on the jobs of a tube until it is interrupted. Then it takes no more, lets running handlers end, and after the
 * `shutdownTimeout` interrupts them and releases their jobs. Hooks that still run then are interrupted as well, and so is
 * a `retry` Schedule, whose job is released at once.
 *
 * The handler succeeds: the job is deleted. It fails: the job is released, with its own priority and the delay of the
 * `retry` Schedule, or given up. It dies of a defect, or the body does not decode: the job is buried. It is interrupted:
 * the job is released at once. A job is touched in time for as long as its handler runs; when its lease is lost all the
 * same, the handler is interrupted, so that two workers never knowingly run one job.
 *
 * It fails only if there is no server, and the client's `reconnect` Schedule says not to dial again, or for a handler or
 * options that make no sense (reason `InvalidOptions`). (protocol: `reserve-with-timeout`, `stats-job`, `touch`, `delete`, `release`, `bury`)
 *
 * ```ts
 * import { Tube, Worker } from "effect-beanstalkd"
 * import { Effect, Schema } from "effect"
 *
 * const Emails = Tube.make("emails", { schema: Schema.Struct({ to: Schema.String }) })
 *
 * const program = Worker.run(Emails, ({ to }) => Effect.log(`to ${to}`), { concurrency: 16, maxAttempts: 5 })
 * ```
 */
export const run = <A, C, RD, RE, E, R>(
  tube: Tube<A, C, RD, RE>,
  handler: Handler<A, E, R>,
  options: Options<A, E, R> = {}
): Effect.Effect<never, Errors.BeanstalkdError, C | RD | Needs<R>> =>
  Effect.scoped(Effect.flatMap(start(tube, handler, options), ({ failed }) => Deferred.await(failed)))

// A layer that has been built cannot fail any more. What can be ended is the fiber that builds it, where that goes on with
// the program, as it does unless several layers are built side by side; and the process.
const programEnder = Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) =>
  Effect.succeed((error: unknown) => {
    if (fiber.pollUnsafe() === undefined) return fiber.interruptUnsafe()
    queueMicrotask(() => {
      throw error
    })
  })
)

/**
 * A worker as a layer, for `Layer.launch`. If it cannot go on, that is logged, and the program is ended: the fiber that has
 * built the layer is interrupted, or if that does not run any more, the error is thrown where nobody catches it. A program
 * with nobody at work does not go on as if nothing had happened.
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
 */
export const layer = <A, C, RD, RE, E, R>(
  tube: Tube<A, C, RD, RE>,
  handler: Handler<A, E, R>,
  options: Options<A, E, R> = {}
): Layer.Layer<never, Errors.BeanstalkdError, Exclude<C | RD | R, Scope.Scope>> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const endProgram = yield* programEnder
    const { failed } = yield* start(tube, handler, options)
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
