/**
 * One connection to a beanstalkd, with an Effect for each of the 25 commands of the protocol.
 *
 * Any number of fibers may share it: their commands are pipelined, those of one turn of the event loop leave in one
 * write, and every fiber gets its own answer. It is scoped: closing its Scope ends it at once, and whatever still
 * waits on it fails. It is never redialled: when it dies, everything on it fails, and whoever owns it makes a new one.
 *
 * A connection that waits in a reserve answers nothing else until a job comes, and a job can only be settled on the
 * connection that reserved it.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Validate from "./internal/protocol/validate.ts"
import * as Errors from "./Errors.ts"
import * as Open from "./internal/connection/connect.ts"
import type { Pipeline } from "./internal/connection/pipeline.ts"
import { reserveSliced } from "./internal/connection/reserveSliced.ts"
import * as Protocol from "./Protocol.ts"
import type { JobId } from "./internal/protocol/scalars.ts"

/**
 * What a connection can be told: see `Open.Options`.
 */
export type Options = Open.Options

/**
 * What a command gives: its value, or one of exactly the errors that its replies can mean.
 */
export type Answer<K extends Protocol.CommandName> = Effect.Effect<Protocol.Success<K>, Protocol.Failure<K>>

/**
 * The same, of a command that is given no argument which could be invalid.
 */
export type Sure<K extends Protocol.CommandName> = Effect.Effect<
  Protocol.Success<K>,
  Exclude<Protocol.Failure<K>, Errors.InvalidArgument>
>

/**
 * A connection. Ids are {@link Protocol.JobId}, durations are rounded up to whole seconds, plain numbers are
 * milliseconds.
 */
export interface Connection {
  /** The address, as errors show it. */
  readonly server: string

  /** Whether it has ended. Every command on an ended connection fails with `sent: false`. */
  readonly closed: Effect.Effect<boolean>

  /**
   * Puts a job into the tube in use, or into `options.tube`, and gives its id. Fails with `JobTooBig`, `Draining`,
   * `OutOfMemory`, or `JobBuried` if the server could only bury it. (protocol: `put`)
   */
  readonly put: (body: Uint8Array | string, options?: Protocol.PutOptions) => Answer<"put">

  /** Chooses the tube for `put`, `kick`, `peekReady`, `peekDelayed` and `peekBuried`. (protocol: `use`) */
  readonly use: (tube: string) => Answer<"use">

  /**
   * Waits for a job of the watched tubes, for as long as it takes. It has no deadline of its own: a server that is gone
   * without a word is noticed by TCP keep-alive only. `reserveWithTimeout()` waits as long and notices sooner.
   * Interrupting it closes the connection. (protocol: `reserve`)
   */
  readonly reserve: Answer<"reserve">

  /**
   * Waits for a job of the watched tubes, at most `timeout`; 0 only looks, no timeout or infinity waits for ever. A
   * long wait goes out in slices of 30 seconds, so that a server which has gone away is noticed. Interrupting it closes
   * the connection, and the server takes back at once what it may just have handed out. (protocol:
   * `reserve-with-timeout`)
   */
  readonly reserveWithTimeout: (timeout?: Duration.Input) => Answer<"reserveWithTimeout">

  /** Reserves this very job, whether ready, delayed or buried. Since beanstalkd 1.12. (protocol: `reserve-job`) */
  readonly reserveJob: (id: JobId) => Answer<"reserveJob">

  /** Deletes a job that this connection has reserved, or that nobody has. (protocol: `delete`) */
  readonly delete: (id: JobId) => Answer<"delete">

  /**
   * Makes a reserved job ready again, or delayed. Without a priority it gets the default, 2^31. Fails with `JobBuried`
   * if the server could only bury it. (protocol: `release`)
   */
  readonly release: (id: JobId, options?: Protocol.ReleaseOptions) => Answer<"release">

  /** Buries a reserved job. Without a priority it gets the default, 2^31. (protocol: `bury`) */
  readonly bury: (id: JobId, options?: Protocol.BuryOptions) => Answer<"bury">

  /** Gives a reserved job its whole time to run again. (protocol: `touch`) */
  readonly touch: (id: JobId) => Answer<"touch">

  /** Adds a tube to those that `reserve` takes jobs from, and gives their number. (protocol: `watch`) */
  readonly watch: (tube: string) => Answer<"watch">

  /** Takes a tube off them again; the last one cannot be ignored. (protocol: `ignore`) */
  readonly ignore: (tube: string) => Answer<"ignore">

  /** Looks at a job, whatever its state. (protocol: `peek`) */
  readonly peek: (id: JobId) => Answer<"peek">

  /** Looks at the next ready job of the tube in use. (protocol: `peek-ready`) */
  readonly peekReady: Sure<"peekReady">

  /** Looks at the job of the tube in use whose delay ends first. (protocol: `peek-delayed`) */
  readonly peekDelayed: Sure<"peekDelayed">

  /** Looks at the job of the tube in use that was buried first. (protocol: `peek-buried`) */
  readonly peekBuried: Sure<"peekBuried">

  /**
   * Makes at most `bound` (default 1) buried jobs of the tube in use ready, or if there are none, delayed ones, and gives
   * their number. (protocol: `kick`)
   */
  readonly kick: (bound?: number) => Answer<"kick">

  /** Makes this very job ready, if it is buried or delayed. (protocol: `kick-job`) */
  readonly kickJob: (id: JobId) => Answer<"kickJob">

  /** The statistics of a job. (protocol: `stats-job`) */
  readonly statsJob: (id: JobId) => Answer<"statsJob">

  /** The statistics of a tube. (protocol: `stats-tube`) */
  readonly statsTube: (tube: string) => Answer<"statsTube">

  /** The statistics of the server. (protocol: `stats`) */
  readonly stats: Answer<"stats">

  /** The names of all tubes. (protocol: `list-tubes`) */
  readonly listTubes: Answer<"listTubes">

  /** The tube in use. (protocol: `list-tube-used`) */
  readonly listTubeUsed: Answer<"listTubeUsed">

  /** The tubes that `reserve` takes jobs from. (protocol: `list-tubes-watched`) */
  readonly listTubesWatched: Answer<"listTubesWatched">

  /** Lets nobody reserve from a tube for a while; 0 ends the pause. (protocol: `pause-tube`) */
  readonly pauseTube: (tube: string, delay: Duration.Input) => Answer<"pauseTube">

  /** Ends the connection from the server's side, behind all commands that were issued before. (protocol: `quit`) */
  readonly quit: Answer<"quit">

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
 * The service tag of {@link Connection}.
 */
export const Connection: Context.Service<Connection, Connection> = Context.Service<Connection>(
  "effect-beanstalkd/Connection"
)

const { commands } = Protocol

// The table lets these name a tube; where none is named, none can be wrong.
const withoutTube = <A, E>(effect: Effect.Effect<A, E | Errors.InvalidArgument>) =>
  Effect.catchIf(effect, (error) => error instanceof Errors.InvalidArgument, Effect.die)

/**
 * The connection over a pipeline that was opened elsewhere.
 */
export const fromPipeline = (pipeline: Pick<Pipeline, "server" | "death" | "run">): Connection => {
  return {
    server: pipeline.server,
    closed: Effect.sync(() => pipeline.death !== undefined),
    put: (body, options) => pipeline.run(commands.put, body, options),
    use: (tube) => pipeline.run(commands.use, tube),
    reserve: pipeline.run(commands.reserve),
    reserveWithTimeout: (timeout) =>
      Effect.suspend(() => {
        const seconds = Validate.timeout("reserve-with-timeout", timeout)
        return seconds instanceof Errors.InvalidArgument ? Effect.fail(seconds) : reserveSliced(pipeline, seconds)
      }),
    reserveJob: (id) => pipeline.run(commands.reserveJob, id),
    delete: (id) => pipeline.run(commands.delete, id),
    release: (id, options) => pipeline.run(commands.release, id, options),
    bury: (id, options) => pipeline.run(commands.bury, id, options),
    touch: (id) => pipeline.run(commands.touch, id),
    watch: (tube) => pipeline.run(commands.watch, tube),
    ignore: (tube) => pipeline.run(commands.ignore, tube),
    peek: (id) => pipeline.run(commands.peek, id),
    peekReady: withoutTube(pipeline.run(commands.peekReady)),
    peekDelayed: withoutTube(pipeline.run(commands.peekDelayed)),
    peekBuried: withoutTube(pipeline.run(commands.peekBuried)),
    kick: (bound) => pipeline.run(commands.kick, bound),
    kickJob: (id) => pipeline.run(commands.kickJob, id),
    statsJob: (id) => pipeline.run(commands.statsJob, id),
    statsTube: (tube) => pipeline.run(commands.statsTube, tube),
    stats: pipeline.run(commands.stats),
    listTubes: pipeline.run(commands.listTubes),
    listTubeUsed: pipeline.run(commands.listTubeUsed),
    listTubesWatched: pipeline.run(commands.listTubesWatched),
    pauseTube: (tube, delay) => pipeline.run(commands.pauseTube, tube, delay),
    quit: pipeline.run(commands.quit),
    run: (command, ...args) => pipeline.run(command, ...args)
  }
}

/**
 * Opens a connection, which ends with the Scope. Fails if nobody answers within `connectTimeout`, and then leaves
 * nothing behind.
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
 */
export const make = (options: Options = {}): Effect.Effect<Connection, Errors.BeanstalkdError, Scope.Scope> =>
  Open.read(options, Open.OPTIONS).pipe(Effect.flatMap(Open.open), Effect.map(fromPipeline))

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
 */
export const layer = (options?: Options): Layer.Layer<Connection, Errors.BeanstalkdError> =>
  Layer.effect(Connection, make(options))
