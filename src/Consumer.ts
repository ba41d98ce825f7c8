/**
 * A `Stream` of reserved jobs, from one tube or several, with backpressure: never more are reserved than were pulled, plus
 * a few that are kept ready. It works over connections of its own, which it opens as it needs them, and goes on when the
 * server has been away.
 */
import type * as Array from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { refused } from "./internal/protocol/invalidOptions.ts"
import * as Validate from "./internal/protocol/validate.ts"
import * as Client from "./Client.ts"
import * as Errors from "./Errors.ts"
import * as Intake from "./internal/consumer/fetcher.ts"
import type { Job, ReservedJob } from "./Job.ts"
import { Leases } from "./internal/consumer/leaseKeeper.ts"

/**
 * What a stream of jobs can be told.
 *
 * - `prefetch`: how many jobs may be reserved before they are pulled, default 16, at least 1; they are touched while they
 *   wait
 * - `maxInFlight`: how many jobs may be in hand at a time, those that were pulled and are not settled included; default
 *   as many as downstream pulls. Downstream must not wait for more than that: `Stream.grouped(100)` never fills with 50
 * - `maxConnections`: over how many connections, default 8
 * - `keepAlive`: touch the jobs that were pulled too, until they are settled; default false
 */
export interface Options {
  readonly prefetch?: number | undefined
  readonly maxInFlight?: number | undefined
  readonly maxConnections?: number | undefined
  readonly keepAlive?: boolean | undefined
}

const DEFAULT_PREFETCH = 16

/** Over how many connections a consumer works unless told otherwise. */
export const DEFAULT_MAX_CONNECTIONS = 8

/** Checks names and numbers, and fails as a connection with wrong options does. */
export const checked = <A>(
  client: Client.Service,
  value: A | Errors.InvalidArgument
): Effect.Effect<A, Errors.BeanstalkdError> =>
  value instanceof Errors.InvalidArgument ? Effect.fail(refused(client.server, value)) : Effect.succeed(value)

const limit = (argument: string, value: number | undefined, fallback: number) =>
  value === undefined || value === fallback ? fallback : Validate.wholeNumber("reserve", argument, value, 1)

const OPTIONS = Validate.optionNames<Options>({
  prefetch: true,
  maxInFlight: true,
  maxConnections: true,
  keepAlive: true
})

type Pulled<A> = Effect.Effect<Array.NonEmptyReadonlyArray<A>, Errors.BeanstalkdError>

const makePull = Effect.fnUntraced(function*(client: Client.Service, tubes: Client.Tubes, given: Options) {
  const options = yield* checked(client, Validate.snapshot("reserve", given, OPTIONS))
  const wanted = yield* checked(client, Validate.tubes("reserve", tubes))
  const prefetch = yield* checked(client, limit("prefetch", options.prefetch, DEFAULT_PREFETCH))
  const maxInFlight = yield* checked(client, limit("maxInFlight", options.maxInFlight, Infinity))
  const maxConnections = yield* checked(
    client,
    limit("maxConnections", options.maxConnections, DEFAULT_MAX_CONNECTIONS)
  )
  const keepAlive = yield* checked(client, Validate.flag("reserve", "keepAlive", options.keepAlive))
  const leases = new Leases(yield* Clock.Clock, yield* Intake.forkerIn(yield* Effect.scope))
  const ready: globalThis.Array<ReservedJob> = []
  let puller: ((pulled: Pulled<ReservedJob>) => void) | undefined
  let failure: Errors.BeanstalkdError | undefined

  const answer = (pulled: Pulled<ReservedJob>) => {
    const resume = puller
    puller = undefined
    resume?.(pulled)
  }

  const mayPrefetch = (): number => prefetch - intake.asked - ready.length

  const intake: Intake.Intake = yield* Intake.make({
    pool: client.pool,
    tubes: wanted,
    maxConnections,
    room: () => Math.min(mayPrefetch(), maxInFlight - intake.taken),
    mayReuse: () => mayPrefetch() > 0,
    isKept: (job) => leases.has(job),
    onJob: (job) => {
      leases.add(job)
      ready.push(job)
      if (puller !== undefined) answer(Effect.succeed([take()!]))
    },
    onOver: (job) => {
      leases.remove(job)
      const at = ready.indexOf(job)
      if (at !== -1) ready.splice(at, 1)
    },
    onFailure: (error) => {
      failure = error
      answer(Effect.fail(error))
    }
  })

  const take = (): ReservedJob | undefined => {
    const job = ready.shift()
    if (job !== undefined && !keepAlive) leases.remove(job)
    return job
  }

  // A job may have come since the pull has looked: its fiber may have had to yield in between.
  const wait: Pulled<ReservedJob> = Effect.callback((resume) => {
    const job = take()
    if (job !== undefined) return resume(Effect.succeed([job]))
    if (failure !== undefined) return resume(Effect.fail(failure))
    puller = resume
    return Effect.sync(() => puller = undefined)
  })

  const pull = Effect.suspend((): Pulled<ReservedJob> => {
    const first = take()
    // With a server in memory, what this asks for is here when it returns.
    intake.fill()
    const job = first ?? take()
    return job === undefined ? wait : Effect.succeed([job])
  })
  return { pull }
})

/** The stream for a client that is at hand. */
export const fromClient = (
  client: Client.Service,
  tubes: Client.Tubes,
  options: Options = {}
): Stream.Stream<ReservedJob, Errors.BeanstalkdError> =>
  Stream.scoped(Stream.fromPull(Effect.map(makePull(client, tubes, options), ({ pull }) => pull)))

/**
 * A stream of reserved jobs of a tube, or of several, one element per pull. Each job is to be settled: deleted, released or
 * buried. When the stream ends, jobs that are not settled are given back to the server at once.
 *
 * When the connection is lost the stream goes on with another, dialled as the client's `reconnect` says; the jobs that were
 * in hand are lost, and say `NotFound` when they are settled. Tubes and options that make no sense fail with the reason
 * `InvalidOptions`. (protocol: `reserve-with-timeout`)
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
 */
export const stream = (
  tubes: Client.Tubes,
  options?: Options
): Stream.Stream<Job, Errors.BeanstalkdError, Client.Beanstalkd> =>
  Stream.unwrap(Effect.map(Client.Beanstalkd, (client) => fromClient(client, tubes, options)))
