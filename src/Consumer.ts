/**
 * A `Stream` of reserved jobs with backpressure.
 *
 * A stream reserves no more jobs than were pulled, plus a few that it keeps ready. It opens connections of its own as it
 * needs them, and goes on when the server has been away.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Client from "./Client.ts"
import type * as Errors from "./Errors.ts"
import { checked, DEFAULT_MAX_CONNECTIONS } from "./internal/consumer/options.ts"
import { makePull, type PrefetchSettings } from "./internal/consumer/prefetch.ts"
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
}

const OPERATION = "Consumer.stream"

const OPTIONS = Validate.optionNames<Options>({
  prefetch: true,
  maxInFlight: true,
  maxConnections: true,
  keepLeases: true
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
    keepLeases: yield* checked(client, Validate.flag(OPERATION, "keepLeases", options.keepLeases))
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
 * jobs that were in hand are lost, and say `NotFound` when they are settled. The stream fails when that Schedule ends, and
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
