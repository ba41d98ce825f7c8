/**
 * The client that an application provides and uses: every command as an effect that names its tube, safe to run from any
 * number of fibers at once.
 *
 * Commands are pipelined over one shared connection. A reserve borrows a connection of its own from the pool, for as long
 * as it waits and its job is unsettled. When the server goes away, the client dials again by the `reconnect` Schedule, and
 * commands wait for it up to the `connectionWait`. It logs one warning when contact is lost, with the reason, and one line
 * when it is back; while it lasts, a warning per minute.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Connection from "./Connection.ts"
import type * as Errors from "./Errors.ts"
import type { JobIdentifier } from "./internal/client/byId.ts"
import { makeClient } from "./internal/client/clientImpl.ts"
import { Health } from "./internal/client/health.ts"
import { snapshot } from "./internal/client/settings.ts"
import { fromUrl } from "./internal/connection/options.ts"
import { unwrapConfig } from "./internal/connection/unwrapConfig.ts"
import type { Intake, IntakeSettings } from "./internal/consumer/intake.ts"
import type { Body } from "./internal/job/putAll.ts"
import { describeCause } from "./internal/protocol/describe.ts"
import { refused } from "./internal/protocol/invalidOptions.ts"
import type { JobRef } from "./internal/protocol/jobRef.ts"
import type { Job } from "./Job.ts"
import type * as Pool from "./Pool.ts"
import type * as Protocol from "./Protocol.ts"
import type { JobStats, ServerStats, TubeStats } from "./Stats.ts"

/**
 * The options of a client: those of a pool and its connections, and one of its own. All have defaults.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Pool.Options {
  /**
   * Whether to wait for a server that cannot be reached yet, and for how long: `true` dials until it is there, a duration
   * until that is over, and then the client fails with the error of the last dial. The client logs what it waits for.
   * Default: `false`, to dial once and fail if nobody answers.
   */
  readonly waitForServer?: boolean | Duration.Input | undefined
}

/**
 * Options of `put` and `putAll`: `priority`, `delay` and `ttr` as in `Protocol.PutOptions`, and the `key`.
 *
 * @since 0.1.0
 * @category models
 */
export interface PutOptions extends Omit<Protocol.PutOptions, "tube"> {
  /**
   * Jobs of the same key go to the same server of a fleet, see `Fleet`, for as long as it takes them. With one server it changes
   * nothing. Default: none, so that a fleet chooses the server.
   */
  readonly key?: string | undefined
}

export { Health }

export type { Body, Intake, IntakeSettings, JobIdentifier }

/**
 * One tube or several.
 *
 * @since 0.1.0
 * @category models
 */
export type Tubes = string | ReadonlyArray<string>

type Failure<K extends Protocol.CommandName> = Protocol.Failure<K>

type ReserveFailure = Errors.InvalidArgument | Errors.ReplyTooLarge | Errors.BeanstalkdError

/**
 * The commands of beanstalkd, for any number of fibers. Durations are rounded up to whole seconds, and plain numbers are
 * milliseconds. A job is named by its {@link JobIdentifier}.
 *
 * @since 0.1.0
 * @category services
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
   * `AcquireTimeout`. A job larger than `maxReplySize` is released, and the reserve fails with `ReplyTooLarge`. (protocol:
   * `reserve-with-timeout`)
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
  readonly peek: (job: JobIdentifier) => Effect.Effect<Protocol.RawJob, Failure<"peek">>

  /** Looks at the next ready job of a tube. (protocol: `peek-ready`) */
  readonly peekReady: (tube: string) => Effect.Effect<Protocol.RawJob, Failure<"peekReady">>

  /** Looks at the job of a tube whose delay ends first. (protocol: `peek-delayed`) */
  readonly peekDelayed: (tube: string) => Effect.Effect<Protocol.RawJob, Failure<"peekDelayed">>

  /** Looks at the job of a tube that was buried first. (protocol: `peek-buried`) */
  readonly peekBuried: (tube: string) => Effect.Effect<Protocol.RawJob, Failure<"peekBuried">>

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
  readonly stats: Effect.Effect<ServerStats, Failure<"stats">>

  /** The statistics of a tube. (protocol: `stats-tube`) */
  readonly statsTube: (tube: string) => Effect.Effect<TubeStats, Failure<"statsTube">>

  /** The statistics of a job. (protocol: `stats-job`) */
  readonly statsJob: (job: JobIdentifier) => Effect.Effect<JobStats, Failure<"statsJob">>

  /** The names of all tubes. (protocol: `list-tubes`) */
  readonly listTubes: Effect.Effect<ReadonlyArray<string>, Failure<"listTubes">>

  /** A connection of one's own, which never goes into the pool. */
  readonly connection: Effect.Effect<Connection.Service, Errors.BeanstalkdError, Scope.Scope>

  /** How the client is doing: whether the server can be reached, and what is under way. Nothing is asked of the server. */
  readonly health: Effect.Effect<Health>

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
   * as one of several servers, works with all of them. One that passes jobs of several intakes on must call `fill` of the
   * others when a job of one is over, since they share the room. Applications use `Consumer` or `Worker`.
   */
  readonly intake: (settings: IntakeSettings) => Effect.Effect<Intake, never, Scope.Scope>
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
 *
 * @since 0.1.0
 * @category services
 */
export class Beanstalkd extends Context.Service<Beanstalkd, Service>()("effect-beanstalkd/Client/Beanstalkd") {}

/**
 * Makes a client, which ends with the Scope, and all its connections with it. It dials once, and fails if it cannot connect,
 * unless `waitForServer` says otherwise.
 * Options that are not allowed fail with the reason `InvalidOptions`, before anything is dialed.
 *
 * ```ts
 * import { Client } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const beanstalkd = yield* Client.make({ host: "127.0.0.1" })
 *   const ref = yield* beanstalkd.put("emails", "hello", { priority: 10, delay: "5 seconds", ttr: "2 minutes" })
 *   const job = yield* beanstalkd.reserve("emails", { timeout: "10 seconds" })
 *   yield* job.delete
 *   return String(ref) // 127.0.0.1:11300/1
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, Errors.BeanstalkdError, Scope.Scope> =>
  makeClient("Client.make", options)

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
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Beanstalkd, Errors.BeanstalkdError> =>
  Layer.effect(Beanstalkd, makeClient("Client.layer", options))

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
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<Beanstalkd, Errors.BeanstalkdError | Config.ConfigError> =>
  Layer.effect(
    Beanstalkd,
    Effect.flatMap(unwrapConfig("Client.layerConfig", options), (options) => makeClient("Client.layerConfig", options))
  )

/**
 * The client as a layer for the server at a URL, `beanstalk://host:port`, `beanstalk+tls://host:port` or `unix:///path`.
 *
 * ```ts
 * import { Client } from "effect-beanstalkd"
 *
 * const live = Client.layerUrl("beanstalk://127.0.0.1:11300", { maxConnections: 4 })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerUrl = (
  url: string,
  options: Omit<Options, "url"> = {}
): Layer.Layer<Beanstalkd, Errors.BeanstalkdError> =>
  Layer.effect(
    Beanstalkd,
    Effect.gen(function*() {
      const read = yield* snapshot("Client.layerUrl", options)
      // Checked here, since `undefined` as an option would mean the default server.
      const parsed = fromUrl("Client.layerUrl", url)
      if (Result.isFailure(parsed)) return yield* refused(describeCause(url), parsed.failure)
      return yield* makeClient("Client.layerUrl", { ...read, url })
    })
  )
