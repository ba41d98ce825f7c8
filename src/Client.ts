/**
 * The client that an application provides and uses: all commands as effects, each naming its tube, safe from any number
 * of fibers at once.
 *
 * Commands go over one shared connection, pipelined; a reserve gets a connection of its own from the pool, for as long as
 * it waits and its job is held. See `Pool` for what happens when the server goes away.
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { refused } from "./internal/protocol/invalidOptions.ts"
import * as Validate from "./internal/protocol/validate.ts"
import * as Connection from "./Connection.ts"
import * as Errors from "./Errors.ts"
import { describeCause } from "./internal/protocol/describe.ts"
import { ReservedJob } from "./internal/job/reservedJob.ts"
import type { Job } from "./Job.ts"
import * as Open from "./internal/connection/connect.ts"
import type { Pipeline } from "./internal/connection/pipeline.ts"
import { reserveSliced } from "./internal/connection/reserveSliced.ts"
import * as Pool from "./Pool.ts"
import * as Protocol from "./Protocol.ts"
import { idOf, type JobIdentifier } from "./internal/client/byId.ts"
import { putRef } from "./internal/client/putRef.ts"
import type { Intake, IntakeSettings } from "./internal/consumer/intake.ts"
import { type Body, putAll } from "./internal/job/putAll.ts"
import * as Fetcher from "./internal/consumer/fetcher.ts"
import type { JobRef } from "./internal/protocol/jobRef.ts"
import * as Transport from "./internal/connection/transport.ts"
import type { JobId } from "./internal/protocol/scalars.ts"

/**
 * What a client can be told: see `Pool.Options`. All have defaults.
 */
export type Options = Pool.Options

/**
 * Options of `put` and `putAll`: `priority`, `delay` and `ttr`, as in `Protocol.PutOptions`.
 */
export type PutOptions = Omit<Protocol.PutOptions, "tube">

export type { Body, Intake, IntakeSettings, JobIdentifier }

/**
 * One tube or several.
 */
export type Tubes = string | ReadonlyArray<string>

type Failure<K extends Protocol.CommandName> = Protocol.Failure<K>

type ReserveFailure = Errors.InvalidArgument | Errors.BeanstalkdError

/**
 * The commands of beanstalkd, for any number of fibers. Durations are rounded up to whole seconds; plain numbers are
 * milliseconds.
 */
export interface Service {
  /** The address, as errors show it. */
  readonly server: string

  /** Puts a job into a tube and gives its reference: server and id. (protocol: `put`) */
  readonly put: (tube: string, body: Body, options?: PutOptions) => Effect.Effect<JobRef, Failure<"put">>

  /**
   * Puts many jobs, pipelined, and gives their references in order. Of a long iterable or a stream only a window is in
   * memory. The first failure ends it: `PutAllError` has the references of those that were put, and the cause. An error of
   * the stream itself is passed on. (protocol: `put`)
   */
  readonly putAll: <E = never, R = never>(
    tube: string,
    bodies: Iterable<Body> | Stream.Stream<Body, E, R>,
    options?: PutOptions
  ) => Effect.Effect<ReadonlyArray<JobRef>, E | Errors.PutAllError, R>

  /**
   * Reserves a job of a tube, or of several, on a connection of its own, which goes back to the pool when the job is
   * settled. Without a `timeout` it waits for ever; with one it can fail with `TimedOut`. The wait for a free connection
   * counts; when none becomes free within the timeout (at least the command timeout), it fails with the reason
   * `AcquireTimeout`. (protocol: `reserve-with-timeout`)
   */
  readonly reserve: {
    (
      tubes: Tubes,
      options?: { readonly timeout?: undefined }
    ): Effect.Effect<Job, ReserveFailure, Scope.Scope>
    (
      tubes: Tubes,
      options?: { readonly timeout?: Duration.Input | undefined }
    ): Effect.Effect<Job, Errors.TimedOut | ReserveFailure, Scope.Scope>
  }

  /** Reserves this very job, whether ready, delayed or buried. Since beanstalkd 1.12. (protocol: `reserve-job`) */
  readonly reserveJob: (job: JobIdentifier) => Effect.Effect<Job, Failure<"reserveJob">, Scope.Scope>

  /** Deletes a job that nobody has reserved. (protocol: `delete`) */
  readonly delete: (job: JobIdentifier) => Effect.Effect<void, Failure<"delete">>

  /** Looks at a job, whatever its state. (protocol: `peek`) */
  readonly peek: (job: JobIdentifier) => Effect.Effect<Protocol.ReceivedJob, Failure<"peek">>

  /** Looks at the next ready job of a tube. (protocol: `peek-ready`) */
  readonly peekReady: (tube: string) => Effect.Effect<Protocol.ReceivedJob, Failure<"peekReady">>

  /** Looks at the job of a tube whose delay ends first. (protocol: `peek-delayed`) */
  readonly peekDelayed: (tube: string) => Effect.Effect<Protocol.ReceivedJob, Failure<"peekDelayed">>

  /** Looks at the job of a tube that was buried first. (protocol: `peek-buried`) */
  readonly peekBuried: (tube: string) => Effect.Effect<Protocol.ReceivedJob, Failure<"peekBuried">>

  /**
   * Makes at most `bound` (default 1) buried jobs of a tube ready, or if there are none, delayed ones, and gives their
   * number. (protocol: `kick`)
   */
  readonly kick: (tube: string, bound?: number) => Effect.Effect<number, Failure<"kick">>

  /** Makes this very job ready, if it is buried or delayed. (protocol: `kick-job`) */
  readonly kickJob: (job: JobIdentifier) => Effect.Effect<void, Failure<"kickJob">>

  /** Lets nobody reserve from a tube for a while; 0 ends the pause. (protocol: `pause-tube`) */
  readonly pauseTube: (tube: string, delay: Duration.Input) => Effect.Effect<void, Failure<"pauseTube">>

  /** The statistics of the server. (protocol: `stats`) */
  readonly stats: Connection.Answer<"stats">

  /** The statistics of a tube. (protocol: `stats-tube`) */
  readonly statsTube: (tube: string) => Connection.Answer<"statsTube">

  /** The statistics of a job. (protocol: `stats-job`) */
  readonly statsJob: (job: JobIdentifier) => Connection.Answer<"statsJob">

  /** The names of all tubes. (protocol: `list-tubes`) */
  readonly listTubes: Connection.Answer<"listTubes">

  /** A connection of one's own, which never goes into the pool. */
  readonly connection: Effect.Effect<Connection.Connection, Errors.BeanstalkdError, Scope.Scope>

  /** How its connections are doing. */
  readonly poolStats: Effect.Effect<Pool.Stats>

  /**
   * Runs a command of the table `Protocol.commands` on the shared connection, as soon as there is one, and gives its raw
   * value. Commands on a tube take it as their last argument here:
   *
   * ```ts
   * import { Client, Protocol } from "effect-beanstalkd"
   * import { Effect } from "effect"
   *
   * const oldest = Effect.flatMap(
   *   Client.Beanstalkd,
   *   (beanstalkd) => beanstalkd.run(Protocol.commands.peekBuried, "emails")
   * )
   * ```
   *
   * A reserve blocks the commands of all fibers behind it, and what it reserves can be settled by nobody else: use
   * `reserve` or `connection`.
   */
  readonly run: <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    command: Protocol.Command<Args, Invalid, A, E>,
    ...args: Args
  ) => Effect.Effect<A, Invalid | E | Errors.BeanstalkdError>

  /**
   * Reserves for a stream or a worker, which take their jobs through this member alone: a service that implements it, such
   * as one of several servers, works with all of them. Applications use `Consumer` or `Worker`.
   */
  readonly intake: (settings: IntakeSettings) => Effect.Effect<Intake, never, Scope.Scope>

  /** The connections behind it all. */
  readonly pool: Pool.Pool
}

/**
 * The service tag of the client. A program with two servers gives the second a tag of its own:
 *
 * ```ts
 * import { Client } from "effect-beanstalkd"
 * import { Context, Layer } from "effect"
 *
 * class Billing extends Context.Service<Billing, Client.Service>()("app/Billing") {
 *   static readonly layer = Layer.effect(Billing, Client.make({ host: "10.0.0.2" }))
 * }
 * ```
 */
export class Beanstalkd extends Context.Service<Beanstalkd, Service>()("effect-beanstalkd/Client/Beanstalkd") {}

const { commands } = Protocol

// In the table the tube may be left out, for the one in use. Here it may not: an unset variable must not mean `default`.
const inTube = <A, E>(
  command: string,
  tube: string,
  effect: () => Effect.Effect<A, E>
): Effect.Effect<A, E | Errors.InvalidArgument> => {
  if (tube !== undefined) return effect()
  const missing = Validate.tube(command, "tube", tube)
  return missing instanceof Errors.InvalidArgument ? Effect.fail(missing) : effect()
}

// They count also when there is nothing to put.
const putAllOptions = (tube: string, options: PutOptions | undefined): PutOptions | Errors.InvalidArgument => {
  const name = Validate.tube("put", "tube", tube)
  if (name instanceof Errors.InvalidArgument) return name
  const own = Validate.snapshot("put", options, ["priority", "delay", "ttr"])
  if (own instanceof Errors.InvalidArgument) return own
  const request = Protocol.encode(commands.put, ["", own, tube])
  return request instanceof Errors.InvalidArgument ? request : own
}

// A connection that has just come from the pool holds no job that could be due.
const neverDue = (error: Errors.DeadlineSoon) =>
  new Errors.BeanstalkdError({
    command: "reserve",
    server: error.server,
    sent: true,
    reason: new Errors.UnexpectedReply({ reply: "DEADLINE_SOON", detail: "the connection holds no job" })
  })

const makeReserve = (pool: Pool.Pool, patienceMillis: number) => {
  // The lease has a Scope of its own below the caller's: it ends with that, or sooner, when the job is settled.
  const onOwnConnection = <E>(
    take: Effect.Effect<Pipeline, Errors.BeanstalkdError, Scope.Scope>,
    reserve: (pipeline: Pipeline) => Effect.Effect<Protocol.ReceivedJob, E>
  ) =>
    Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
      const own = yield* Scope.fork(yield* Effect.scope)
      return yield* Effect.gen(function*() {
        const pipeline = yield* restore(take)
        const received = yield* restore(reserve(pipeline))
        const job = new ReservedJob(received, {
          pipeline,
          shared: pool.shared,
          listener: {},
          afterwards: Scope.close(own, Exit.void)
        })
        yield* Scope.addFinalizer(own, job.end)
        return job
      }).pipe(
        Scope.provide(own),
        Effect.onError((cause) => Scope.close(own, Exit.failCause(cause)))
      )
    }))

  const reserve = Effect.fnUntraced(
    function*(tubes: Tubes, options?: { readonly timeout?: Duration.Input | undefined }) {
      const wanted = Validate.tubes("reserve", tubes)
      if (wanted instanceof Errors.InvalidArgument) return yield* wanted
      const all = Validate.snapshot("reserve", options, ["timeout"])
      if (all instanceof Errors.InvalidArgument) return yield* all
      const seconds = Validate.timeout("reserve", all.timeout)
      if (seconds instanceof Errors.InvalidArgument) return yield* seconds
      if (seconds === Infinity) {
        return yield* onOwnConnection(pool.take(wanted), (pipeline) => reserveSliced(pipeline, Infinity))
      }
      const clock = yield* Clock.Clock
      const began = clock.currentTimeMillisUnsafe()
      const patience = Duration.millis(Math.max(seconds * 1000, patienceMillis))
      return yield* onOwnConnection(pool.take(wanted, patience), (pipeline) => {
        const waited = Math.floor((clock.currentTimeMillisUnsafe() - began) / 1000)
        return reserveSliced(pipeline, Math.max(0, seconds - waited))
      }).pipe(
        Effect.catchTag(
          "TimedOut",
          ({ server }) => Effect.fail(new Errors.TimedOut({ server, timeoutSeconds: seconds }))
        )
      )
    },
    Effect.catchTag("DeadlineSoon", (error) => Effect.fail(neverDue(error)))
  )

  const reserveJob = Effect.fnUntraced(function*(job: JobIdentifier) {
    const named = idOf("reserve-job", pool.server, job)
    if (named instanceof Errors.InvalidArgument) return yield* named
    const id = Validate.jobId("reserve-job", named)
    if (id instanceof Errors.InvalidArgument) return yield* id
    return yield* onOwnConnection(pool.take(), (pipeline) => pipeline.run(commands.reserveJob, id))
  })

  return { reserve: reserve as Service["reserve"], reserveJob }
}

/**
 * Makes a client, which ends with the Scope and all its connections with it. It dials once, and fails if it cannot connect.
 *
 * ```ts
 * import { Client } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const beanstalkd = yield* Client.make({ host: "127.0.0.1" })
 *   const id = yield* beanstalkd.put("emails", "hello", { priority: 10, delay: "5 seconds", ttr: "2 minutes" })
 *   const job = yield* beanstalkd.reserve("emails", { timeout: "10 seconds" })
 *   yield* job.delete
 *   return id
 * }).pipe(Effect.scoped)
 * ```
 */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<Service, Errors.BeanstalkdError, Scope.Scope> {
  const own = yield* Pool.read(options)
  const pool = yield* Pool.make(own)
  yield* pool.shared.connect
  const { server, shared: { run } } = pool
  const patience = Validate.positiveDuration(
    "connect",
    "commandTimeout",
    own.commandTimeout ?? Open.DEFAULT_COMMAND_TIMEOUT
  )
  if (patience instanceof Errors.InvalidArgument) return yield* refused(pool.server, patience)
  const byId = <A, E>(
    command: Protocol.Command<[id: JobId], Errors.InvalidArgument, A, E>,
    job: JobIdentifier
  ): Effect.Effect<A, E | Errors.InvalidArgument | Errors.BeanstalkdError> => {
    const id = idOf(command.name, server, job)
    return id instanceof Errors.InvalidArgument ? Effect.fail(id) : run(command, id)
  }
  const put: Service["put"] = (tube, body, options) => inTube("put", tube, () => run(putRef, body, options, tube))
  return identity<Service>({
    server,
    put,
    putAll: (tube, bodies, options) =>
      Effect.suspend(() => {
        const own = putAllOptions(tube, options)
        return own instanceof Errors.InvalidArgument
          ? Effect.fail(new Errors.PutAllError({ inserted: [], cause: own }))
          : putAll((body) => put(tube, body, own), bodies)
      }),
    ...makeReserve(pool, Duration.toMillis(patience)),
    delete: (job) => byId(commands.delete, job),
    peek: (job) => byId(commands.peek, job),
    peekReady: (tube) => inTube("peek-ready", tube, () => run(commands.peekReady, tube)),
    peekDelayed: (tube) => inTube("peek-delayed", tube, () => run(commands.peekDelayed, tube)),
    peekBuried: (tube) => inTube("peek-buried", tube, () => run(commands.peekBuried, tube)),
    kick: (tube, bound) => inTube("kick", tube, () => run(commands.kick, bound, tube)),
    kickJob: (job) => byId(commands.kickJob, job),
    pauseTube: (tube, delay) => run(commands.pauseTube, tube, delay),
    stats: run(commands.stats),
    statsTube: (tube) => run(commands.statsTube, tube),
    statsJob: (job) => byId(commands.statsJob, job),
    listTubes: run(commands.listTubes),
    connection: Connection.make(own),
    poolStats: pool.stats,
    run: (command, ...args) => run(command, ...args),
    intake: (settings) => Fetcher.make(pool, settings),
    pool
  })
})

/**
 * The client as a layer.
 *
 * ```ts
 * import { Client } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const beanstalkd = yield* Client.Beanstalkd
 *   return yield* beanstalkd.put("emails", "hello")
 * }).pipe(Effect.provide(Client.layer({ host: "127.0.0.1", port: 11300 })))
 * ```
 */
export const layer = (options?: Options): Layer.Layer<Beanstalkd, Errors.BeanstalkdError> =>
  Layer.effect(Beanstalkd, make(options))

const isPlain = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

// What is no Config may be an object of them, as `tls` is.
const isWrapped = (value: unknown): boolean =>
  Config.isConfig(value) || (isPlain(value) && Object.values(value).every(isWrapped))

const configOf = (
  options: Config.Wrap<Options>
): Effect.Effect<Options, Errors.BeanstalkdError | Config.ConfigError> => {
  const refuse = (argument: string, value: unknown, rule: string) =>
    Effect.fail(
      refused(
        Open.serverOf({}),
        new Errors.InvalidArgument({ operation: "connect", argument, value, rule })
      )
    )
  try {
    if (Config.isConfig(options)) return Config.unwrap(options)
    if (isPlain(options)) {
      const all = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
      const wrong = Object.entries(all).find(([, value]) => !isWrapped(value))
      return wrong === undefined ? Config.unwrap<Options>(all) : refuse(wrong[0], wrong[1], "a Config")
    }
  } catch {
    // An object that cannot be read.
  }
  return refuse("options", options, "a Config, or an object of Configs")
}

/**
 * The client as a layer whose options come from the configuration.
 *
 * ```ts
 * import { Client } from "effect-beanstalkd"
 * import { Config } from "effect"
 *
 * const live = Client.layerConfig({
 *   host: Config.String("BEANSTALKD_HOST").pipe(Config.withDefault("127.0.0.1")),
 *   port: Config.Port("BEANSTALKD_PORT").pipe(Config.withDefault(11300))
 * })
 * ```
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<Beanstalkd, Errors.BeanstalkdError | Config.ConfigError> =>
  Layer.effect(Beanstalkd, Effect.flatMap(configOf(options), make))

/**
 * The client as a layer for the server at a URL, `beanstalk://host:port`, `beanstalk+tls://host:port` or `unix:///path`.
 */
export const layerUrl = (
  url: string,
  options: Omit<Options, "url"> = {}
): Layer.Layer<Beanstalkd, Errors.BeanstalkdError> =>
  Layer.effect(
    Beanstalkd,
    Effect.gen(function*() {
      const own = yield* Pool.read(options)
      // One that is not set must not mean that of nobody.
      const known = Transport.fromUrl(url)
      if (Result.isFailure(known)) return yield* refused(describeCause(url), known.failure)
      return yield* make({ ...own, url })
    })
  )
