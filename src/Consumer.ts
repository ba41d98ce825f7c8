/**
 * Reserved jobs for those who handle them themselves: a `Stream` of jobs with backpressure, or one job with a Scope.
 *
 * A stream reserves no more jobs than were pulled, plus a few that it keeps ready. It opens connections of its own as it
 * needs them, and goes on when the server has been away. One job is taken over a connection of the client's pool.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Client from "./Client.ts"
import type * as Errors from "./Errors.ts"
import { checked, DEFAULT_MAX_CONNECTIONS, touchInterval } from "./internal/consumer/options.ts"
import { makePull, type PrefetchSettings } from "./internal/consumer/prefetch.ts"
import * as Take from "./internal/consumer/take.ts"
import * as Validate from "./internal/protocol/validate.ts"
import type { Job } from "./Job.ts"

/**
 * Options of a stream of jobs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * How many jobs may be reserved before they are pulled, at least 1. Their leases are kept while they wait. Higher hides
   * the round trip, lower shares the jobs more evenly with other consumers. Default: 16.
   */
  readonly prefetch?: number | undefined

  /**
   * How many jobs may be in hand at a time, at least 1: those that wait to be pulled, and those that were pulled and are
   * not settled. Downstream must not wait for more than that: `Stream.grouped(100)` never fills with 50. Default:
   * `Infinity`, as many as downstream pulls.
   */
  readonly maxInFlight?: number | undefined

  /** Over how many connections jobs are reserved at most, at least 1. Default: 8. */
  readonly maxConnections?: number | undefined

  /** Whether the leases of pulled jobs are kept too, until the jobs are settled. Default: `false`. */
  readonly keepLeases?: boolean | undefined

  /**
   * The longest time between two touches of a job whose lease is kept, at least 250 milliseconds; a plain number is
   * milliseconds. It is touched when half of its ttr is over in any case. Default: 20 seconds, since load balancers cut
   * connections that are silent.
   */
  readonly touchInterval?: Duration.Input | undefined
}

/**
 * Options of {@link take}.
 *
 * @category models
 * @since 0.1.0
 */
export interface TakeOptions {
  /**
   * How long to wait for a job, rounded up to whole seconds; a plain number is milliseconds. The wait for a free connection
   * of the pool counts. When it is over, `take` fails with `TimedOut`. Default: forever.
   */
  readonly timeout?: Duration.Input | undefined

  /**
   * What happens to the job when its Scope ends with a failure or a defect: `"release"` makes it ready again, after the
   * `delay`, and `"bury"` buries it. Default: `"release"`.
   */
  readonly onFailure?: "release" | "bury" | undefined

  /**
   * After how long a job that is released because of a failure is ready again, rounded up to whole seconds; a plain number
   * is milliseconds. Default: at once.
   */
  readonly delay?: Duration.Input | undefined

  /** The priority with which the job is released or buried because of a failure. Default: its own. */
  readonly priority?: number | undefined

  /**
   * The longest time between two touches of the job, at least 250 milliseconds; a plain number is milliseconds. Default: 20
   * seconds.
   */
  readonly touchInterval?: Duration.Input | undefined
}

const OPERATION = "Consumer.stream"

const OPTIONS = Validate.optionNames<Options>({
  prefetch: true,
  maxInFlight: true,
  maxConnections: true,
  keepLeases: true,
  touchInterval: true
})

const DEFAULT_PREFETCH = 16

const settingsOf = Effect.fnUntraced(function*(
  client: Client.Service,
  tubes: Client.Tubes,
  given: Options
): Effect.fn.Return<PrefetchSettings, Errors.BeanstalkdError> {
  const options = yield* checked(client, Validate.snapshot(OPERATION, given, OPTIONS))
  const limit = (argument: string, value: number | undefined, fallback: number) =>
    value === undefined || value === fallback
      ? Effect.succeed(fallback)
      : checked(client, Validate.wholeNumber(OPERATION, argument, value, 1))
  return {
    tubes: yield* checked(client, Validate.tubes(OPERATION, tubes)),
    prefetch: yield* limit("prefetch", options.prefetch, DEFAULT_PREFETCH),
    maxInFlight: yield* limit("maxInFlight", options.maxInFlight, Infinity),
    maxConnections: yield* limit("maxConnections", options.maxConnections, DEFAULT_MAX_CONNECTIONS),
    keepLeases: yield* checked(client, Validate.flag(OPERATION, "keepLeases", options.keepLeases)),
    touchIntervalMillis: yield* checked(client, touchInterval(OPERATION, options.touchInterval))
  }
})

/**
 * {@link stream} for a client at hand, such as that of a second server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromClient = (
  client: Client.Service,
  tubes: Client.Tubes,
  options: Options = {}
): Stream.Stream<Job, Errors.BeanstalkdError> =>
  Stream.scoped(
    Stream.fromPull(
      settingsOf(client, tubes, options).pipe(
        Effect.flatMap((settings) => makePull(client.intake, settings)),
        Effect.map(({ pull }) => pull)
      )
    )
  )

/**
 * A stream of reserved jobs of a tube, or of several, one element per pull. Settle each job: delete, release or bury it.
 * When the stream ends, jobs that are not settled are released at once.
 *
 * When the connection is lost, the stream goes on with another one, dialed as the client's `reconnect` Schedule says. The
 * jobs that were in hand are lost, and say `NotFound` when they are settled. A job larger than `maxReplySize` never
 * reaches the stream: it is buried, and an error is logged. The stream fails when that Schedule ends, and
 * with the reason `InvalidOptions` for tubes and options that make no sense. (protocol: `reserve-with-timeout`)
 *
 * ```ts
 * import { Consumer } from "effect-beanstalkd"
 * import { Effect, Stream } from "effect"
 *
 * const program = Consumer.stream("emails").pipe(
 *   Stream.mapEffect((job) => Effect.andThen(Effect.log(job.text), job.delete), { concurrency: 10 }),
 *   Stream.take(1000),
 *   Stream.runDrain
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const stream = (
  tubes: Client.Tubes,
  options?: Options
): Stream.Stream<Job, Errors.BeanstalkdError, Client.Beanstalkd> =>
  Stream.unwrap(Effect.map(Client.Beanstalkd, (client) => fromClient(client, tubes, options)))

/**
 * {@link take} for a client at hand, such as that of a second server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const takeFrom: {
  (
    client: Client.Service,
    tubes: Client.Tubes,
    options?: TakeOptions & { readonly timeout?: undefined }
  ): Effect.Effect<Job, Errors.ReplyTooLarge | Errors.BeanstalkdError, Scope.Scope>
  (
    client: Client.Service,
    tubes: Client.Tubes,
    options?: TakeOptions
  ): Effect.Effect<Job, Errors.TimedOut | Errors.ReplyTooLarge | Errors.BeanstalkdError, Scope.Scope>
} = Take.take as typeof takeFrom

/**
 * Takes one job of a tube, or of several. Its lease is kept for as long as the Scope lives, and the end of the Scope settles
 * the job:
 *
 * - The Scope ends with a success: the job is deleted.
 * - It ends with a failure or a defect: the job is released, or buried, as `onFailure` says.
 * - It is interrupted: the job is released at once, with its own priority.
 *
 * A job that you have settled yourself is left alone. Give each job a Scope of its own, as `Effect.scoped` does: until it
 * ends, or until you settle the job, the job holds a connection of the pool.
 *
 * The lease can be lost all the same, when the connection is lost or the event loop was blocked for longer than half of the
 * ttr. Another consumer can have the job then. `job.lost` tells you, settling the job fails with `NotFound`, and the end of
 * the Scope changes nothing and logs a warning. If the end of the Scope cannot settle the job, it logs a warning as well,
 * and closes the connection, so that the server releases the job.
 *
 * A job larger than `maxReplySize` is released, and `take` fails with `ReplyTooLarge`.
 *
 * Without a `timeout` it waits forever; with one it can fail with `TimedOut`. Tubes and options that make no sense fail with
 * the reason `InvalidOptions`. (protocol: `reserve-with-timeout`, `stats-job`, `touch`, `delete`, `release`, `bury`)
 *
 * ```ts
 * import { Consumer } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * declare const send: (email: string) => Effect.Effect<void, Error>
 *
 * // Sends one email. If it fails, the next attempt is in 30 seconds; if the lease is lost, the sending is interrupted.
 * const sendOne = Effect.gen(function*() {
 *   const job = yield* Consumer.take("emails", { delay: "30 seconds" })
 *   yield* Effect.raceFirst(send(job.text), job.lost)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const take: {
  (
    tubes: Client.Tubes,
    options?: TakeOptions & { readonly timeout?: undefined }
  ): Effect.Effect<Job, Errors.ReplyTooLarge | Errors.BeanstalkdError, Client.Beanstalkd | Scope.Scope>
  (
    tubes: Client.Tubes,
    options?: TakeOptions
  ): Effect.Effect<
    Job,
    Errors.TimedOut | Errors.ReplyTooLarge | Errors.BeanstalkdError,
    Client.Beanstalkd | Scope.Scope
  >
} =
  ((tubes: Client.Tubes, options?: TakeOptions) =>
    Effect.flatMap(Client.Beanstalkd, (client) => Take.take(client, tubes, options))) as typeof take
