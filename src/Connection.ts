/**
 * One connection to a beanstalkd, with an Effect for each of the 25 commands of the protocol.
 *
 * Any number of fibers may share it: their commands are pipelined, those of one tick of the event loop leave in one
 * write, and every fiber gets its own answer. It is scoped: closing its Scope ends it at once, and every command that
 * still waits on it fails. It is never redialed: when it dies, everything on it fails, and its owner makes a new one.
 *
 * A connection that waits in a reserve answers nothing else until a job comes, and a job can only be settled on the
 * connection that reserved it.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Inspectable } from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { ConnectionOptions } from "node:tls"
import type * as Errors from "./Errors.ts"
import { connect } from "./internal/connection/connect.ts"
import * as Internal from "./internal/connection/fromPipeline.ts"
import type { Dialer } from "./internal/connection/transport.ts"
import { unwrapConfig } from "./internal/connection/unwrapConfig.ts"
import type * as Protocol from "./Protocol.ts"
import type { JobStats, ServerStats, TubeStats } from "./Stats.ts"

export type { Dialer }

/**
 * Options of a connection. Plain numbers as durations are milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The server's host name or address. Default: `127.0.0.1`. */
  readonly host?: string | undefined
  /** The server's port. Default: 11300. */
  readonly port?: number | undefined
  /** The path of a unix socket, instead of `host` and `port`. Default: none. */
  readonly path?: string | undefined
  /**
   * The server in one string: `beanstalk://host:port`, `beanstalk+tls://host:port` or `unix:///path`. `host`, `port`,
   * `path` and `tls` win over it. Default: none.
   */
  readonly url?: string | undefined
  /**
   * TLS, for a proxy in front of the server: `true`, or the options of `node:tls` (`ca`, `cert`, `key`, ...). Default:
   * `false`.
   */
  readonly tls?: boolean | ConnectionOptions | undefined
  /** How long the dial may take, the TLS handshake included. Default: 5 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /**
   * After how much silence TCP keep-alive begins, at least 1 second; `true` for the default, `false` for no keep-alive.
   * Default: 30 seconds.
   */
  readonly keepAlive?: boolean | Duration.Input | undefined
  /** Another way to the server than a socket, which makes the options above irrelevant. Default: none. */
  readonly dialer?: Dialer | undefined
  /**
   * How long the server may be silent while a command waits for its reply, beyond what the command itself lets it wait.
   * In a long reply every 64 KiB begin that time anew, and so does every part of a large command that leaves: a large `put`
   * over a slow link has the time that it takes. The connection is closed when it is over. Default: 10 seconds.
   */
  readonly commandTimeout?: Duration.Input | undefined
  /**
   * The longest body to accept from the server, in bytes. The body of a larger job is dropped as it comes, and takes no
   * memory: the command fails with `ReplyTooLarge`, and a stream or a worker buries the job. A longer list, or longer
   * statistics, close the connection. Default: 64 MiB.
   */
  readonly maxReplySize?: number | undefined
  /** How many commands may be on their way without a reply; past that, further commands wait. Default: 1024. */
  readonly maxUnanswered?: number | undefined
  /** About how many bytes leave in one write; past that, further commands wait for the next. Default: 256 KiB. */
  readonly maxUnsentBytes?: number | undefined
  /** The tube that `put`, `kick` and the peeks act on unless they name one. Default: `default`. */
  readonly use?: string | undefined
  /** The tubes that `reserve` takes jobs from. Default: `default`. */
  readonly watch?: string | ReadonlyArray<string> | undefined
}

type PeekFailure = Errors.NotFound | Errors.ReplyTooLarge | Errors.BeanstalkdError

/**
 * The mark of connections.
 *
 * @since 0.1.0
 * @category type IDs
 */
export const TypeId: TypeId = Internal.TypeId

/**
 * The type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category type IDs
 */
export type TypeId = "~effect-beanstalkd/Connection"

/**
 * A connection. Ids are {@link Protocol.JobId}. Durations are rounded up to whole seconds; plain numbers are
 * milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service extends Inspectable {
  readonly [TypeId]: TypeId

  /** The address, as errors show it. */
  readonly server: string

  /** Whether it has ended. Every command on an ended connection fails with `sent: false`. */
  readonly closed: Effect.Effect<boolean>

  /**
   * Puts a job into the tube in use, or into `options.tube`, and gives its id. Fails with `JobTooBig`, `Draining`,
   * `OutOfMemory`, or `JobBuried` if the server could only bury it. (protocol: `put`)
   */
  readonly put: (
    body: Uint8Array | string,
    options?: Protocol.PutOptions
  ) => Effect.Effect<Protocol.JobId, Protocol.Failure<"put">>

  /** Chooses the tube for `put`, `kick`, `peekReady`, `peekDelayed` and `peekBuried`. (protocol: `use`) */
  readonly use: (tube: string) => Effect.Effect<string, Protocol.Failure<"use">>

  /**
   * Waits for a job of the watched tubes, forever if none comes. It has no deadline of its own: only TCP keep-alive
   * notices a server that has vanished. `reserveWithTimeout()` waits as long and notices sooner. Interrupting it closes
   * the connection. (protocol: `reserve`)
   */
  readonly reserve: Effect.Effect<Protocol.RawJob, Protocol.Failure<"reserve">>

  /**
   * Waits for a job of the watched tubes, at most `timeout`; 0 only looks, no timeout or infinity waits forever. A long
   * wait goes out in slices of 30 seconds, so that a server which has vanished is noticed. Interrupting it closes the
   * connection, and the server takes back at once a job that it may just have handed out. (protocol:
   * `reserve-with-timeout`)
   */
  readonly reserveWithTimeout: (
    timeout?: Duration.Input
  ) => Effect.Effect<Protocol.RawJob, Protocol.Failure<"reserveWithTimeout">>

  /** Reserves this very job, whether ready, delayed or buried. Since beanstalkd 1.12. (protocol: `reserve-job`) */
  readonly reserveJob: (id: Protocol.JobId) => Effect.Effect<Protocol.RawJob, Protocol.Failure<"reserveJob">>

  /** Deletes a job that this connection has reserved, or that no connection has. (protocol: `delete`) */
  readonly delete: (id: Protocol.JobId) => Effect.Effect<void, Protocol.Failure<"delete">>

  /**
   * Makes a reserved job ready again, or delayed. Without a priority it gets the default, 2^31. Fails with `JobBuried`
   * if the server could only bury it. (protocol: `release`)
   */
  readonly release: (
    id: Protocol.JobId,
    options?: Protocol.ReleaseOptions
  ) => Effect.Effect<void, Protocol.Failure<"release">>

  /** Buries a reserved job. Without a priority it gets the default, 2^31. (protocol: `bury`) */
  readonly bury: (id: Protocol.JobId, options?: Protocol.BuryOptions) => Effect.Effect<void, Protocol.Failure<"bury">>

  /** Gives a reserved job its whole time to run again. (protocol: `touch`) */
  readonly touch: (id: Protocol.JobId) => Effect.Effect<void, Protocol.Failure<"touch">>

  /** Adds a tube to those that `reserve` takes jobs from, and gives their number. (protocol: `watch`) */
  readonly watch: (tube: string) => Effect.Effect<number, Protocol.Failure<"watch">>

  /** Removes a tube from them, and gives their number; the last one cannot be ignored. (protocol: `ignore`) */
  readonly ignore: (tube: string) => Effect.Effect<number, Protocol.Failure<"ignore">>

  /** Looks at a job in any state. (protocol: `peek`) */
  readonly peek: (id: Protocol.JobId) => Effect.Effect<Protocol.RawJob, Protocol.Failure<"peek">>

  /** Looks at the next ready job of the tube in use. (protocol: `peek-ready`) */
  readonly peekReady: Effect.Effect<Protocol.RawJob, PeekFailure>

  /** Looks at the job of the tube in use whose delay ends first. (protocol: `peek-delayed`) */
  readonly peekDelayed: Effect.Effect<Protocol.RawJob, PeekFailure>

  /** Looks at the job of the tube in use that was buried first. (protocol: `peek-buried`) */
  readonly peekBuried: Effect.Effect<Protocol.RawJob, PeekFailure>

  /**
   * Makes at most `bound` (default 1) buried jobs of the tube in use ready, or if there are none, delayed ones, and
   * gives their number. (protocol: `kick`)
   */
  readonly kick: (bound?: number) => Effect.Effect<number, Protocol.Failure<"kick">>

  /** Makes this very job ready, if it is buried or delayed. (protocol: `kick-job`) */
  readonly kickJob: (id: Protocol.JobId) => Effect.Effect<void, Protocol.Failure<"kickJob">>

  /** The statistics of a job. (protocol: `stats-job`) */
  readonly statsJob: (id: Protocol.JobId) => Effect.Effect<JobStats, Protocol.Failure<"statsJob">>

  /** The statistics of a tube. (protocol: `stats-tube`) */
  readonly statsTube: (tube: string) => Effect.Effect<TubeStats, Protocol.Failure<"statsTube">>

  /** The statistics of the server. (protocol: `stats`) */
  readonly stats: Effect.Effect<ServerStats, Protocol.Failure<"stats">>

  /** The names of all tubes. (protocol: `list-tubes`) */
  readonly listTubes: Effect.Effect<ReadonlyArray<string>, Protocol.Failure<"listTubes">>

  /** The tube in use. (protocol: `list-tube-used`) */
  readonly listTubeUsed: Effect.Effect<string, Protocol.Failure<"listTubeUsed">>

  /** The tubes that `reserve` takes jobs from. (protocol: `list-tubes-watched`) */
  readonly listTubesWatched: Effect.Effect<ReadonlyArray<string>, Protocol.Failure<"listTubesWatched">>

  /** Stops all reserves from a tube for this long; 0 ends the pause. (protocol: `pause-tube`) */
  readonly pauseTube: (tube: string, delay: Duration.Input) => Effect.Effect<void, Protocol.Failure<"pauseTube">>

  /** Ends the connection from the server's side, after all commands that were issued before. (protocol: `quit`) */
  readonly quit: Effect.Effect<void, Protocol.Failure<"quit">>

  /**
   * Runs a command of the table {@link Protocol.commands}. Commands on a tube take it as their last argument here, so
   * that fibers that share a connection need not agree on one:
   *
   * ```ts
   * import { Connection, Protocol } from "effect-beanstalkd"
   * import { Effect } from "effect"
   *
   * const next = Effect.flatMap(
   *   Connection.Connection,
   *   (connection) => connection.run(Protocol.commands.peekReady, "emails")
   * )
   * ```
   */
  readonly run: <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    command: Protocol.Command<Args, Invalid, A, E>,
    ...args: Args
  ) => Effect.Effect<A, Invalid | E | Errors.BeanstalkdError>
}

/**
 * The service tag of a connection.
 *
 * @since 0.1.0
 * @category services
 */
export class Connection extends Context.Service<Connection, Service>()("effect-beanstalkd/Connection/Connection") {}

/**
 * Whether a value is a connection.
 *
 * @since 0.1.0
 * @category guards
 */
export const isConnection = (value: unknown): value is Service => Predicate.hasProperty(value, TypeId)

const makeAs = (operation: string, options: Options): Effect.Effect<Service, Errors.BeanstalkdError, Scope.Scope> =>
  Effect.map(connect(operation, options), Internal.fromPipeline)

/**
 * Opens a connection, which ends with the Scope. Fails if the server does not answer within `connectTimeout`, and then
 * leaves nothing behind; fails with the reason `InvalidOptions`, without dialing, if an option is not allowed.
 *
 * ```ts
 * import { Connection } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const connection = yield* Connection.make({ host: "127.0.0.1", use: "emails", watch: "emails" })
 *   yield* connection.put("hello", { priority: 10, delay: "5 seconds", ttr: "2 minutes" })
 *   const job = yield* connection.reserveWithTimeout("10 seconds")
 *   yield* Effect.log(job.text)
 *   yield* connection.delete(job.id)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, Errors.BeanstalkdError, Scope.Scope> =>
  makeAs("Connection.make", options)

/**
 * A layer with one connection, for programs that need no more: scripts, tests, tools.
 *
 * ```ts
 * import { Connection } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const tubes = Effect.flatMap(Connection.Connection, (connection) => connection.listTubes).pipe(
 *   Effect.provide(Connection.layer({ port: 11300 }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Connection, Errors.BeanstalkdError> =>
  Layer.effect(Connection, makeAs("Connection.layer", options))

/**
 * A layer with one connection whose options come from the configuration.
 *
 * ```ts
 * import { Connection } from "effect-beanstalkd"
 * import { Config } from "effect"
 *
 * const live = Connection.layerConfig({
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
): Layer.Layer<Connection, Errors.BeanstalkdError | Config.ConfigError> =>
  Layer.effect(
    Connection,
    Effect.flatMap(unwrapConfig("Connection.layerConfig", options), (all) => makeAs("Connection.layerConfig", all))
  )
