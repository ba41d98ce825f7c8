/**
 * The options of a pool: their names, defaults and checks. `operation` is the function that was called with them, as
 * errors name it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Errors from "../../Errors.ts"
import type * as Connection from "../../Connection.ts"
import type { Options } from "../../Pool.ts"
import * as ConnectionOptions from "../connection/options.ts"
import { refused } from "../protocol/invalidOptions.ts"
import * as Validate from "../protocol/validate.ts"
import type { Reconnect } from "./dialBackoff.ts"

/** How many exclusive connections there may be unless a pool is told otherwise. */
export const DEFAULT_MAX_CONNECTIONS = 10

const DEFAULT_IDLE_TIMEOUT = Duration.seconds(60)

const DEFAULT_RECONNECT: Reconnect = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")])
  .pipe(Schedule.jittered)

/** The names of all options. */
export const OPTIONS: ReadonlyArray<keyof Options> = [
  ...ConnectionOptions.OPTIONS,
  ...Validate.optionNames<Omit<Options, keyof Connection.Options>>({
    maxConnections: true,
    minConnections: true,
    idleTimeout: true,
    acquireTimeout: true,
    connectionWait: true,
    reconnect: true
  })
]

/** The options of a pool, checked and with their defaults. */
export interface Settings {
  readonly server: string
  /** What each connection is opened with. */
  readonly connection: ConnectionOptions.ConnectionSettings
  readonly maxConnections: number
  readonly minConnections: number
  readonly idleTimeout: Duration.Duration
  readonly acquireTimeout: Duration.Duration | undefined
  readonly reconnect: Reconnect
  /** How long a command, or a borrower, waits for a server that cannot be reached. */
  readonly patience: Duration.Duration
}

/** The options as they are now: what an object says when it is asked again does not matter. */
export const snapshot = (operation: string, options: Options): Effect.Effect<Options, Errors.BeanstalkdError> =>
  Effect.fromResult(ConnectionOptions.read(operation, options, OPTIONS))

const checked = <A>(value: A | Errors.InvalidArgument): Effect.Effect<A, Errors.InvalidArgument> =>
  value instanceof Errors.InvalidArgument ? Effect.fail(value) : Effect.succeed(value)

/** Checks the options of a pool and of its connections, of which there is a snapshot. */
export const resolve = Effect.fnUntraced(function*(
  operation: string,
  options: Options
): Effect.fn.Return<Settings, Errors.BeanstalkdError> {
  const connection = yield* Effect.fromResult(ConnectionOptions.resolve(operation, options))
  const { commandTimeoutMillis, server } = connection
  const positive = (argument: string, value: Duration.Input) =>
    checked(Validate.positiveDuration(operation, argument, value))
  const count = (argument: string, value: number, least: number) =>
    checked(Validate.wholeNumber(operation, argument, value, least))
  const { acquireTimeout, connectionWait, reconnect = DEFAULT_RECONNECT } = options
  return yield* Effect.gen(function*() {
    yield* checked(Validate.schedule(operation, "reconnect", reconnect))
    const maxConnections = yield* count("maxConnections", options.maxConnections ?? DEFAULT_MAX_CONNECTIONS, 1)
    const minConnections = yield* count("minConnections", options.minConnections ?? 0, 0)
    return {
      server,
      connection,
      maxConnections,
      minConnections: Math.min(minConnections, maxConnections),
      idleTimeout: yield* positive("idleTimeout", options.idleTimeout ?? DEFAULT_IDLE_TIMEOUT),
      acquireTimeout: acquireTimeout === undefined ? undefined : yield* positive("acquireTimeout", acquireTimeout),
      reconnect,
      patience: connectionWait === undefined
        ? Duration.millis(commandTimeoutMillis)
        : yield* checked(Validate.duration(operation, "connectionWait", connectionWait))
    }
  }).pipe(Effect.mapError((invalid) => refused(server, invalid)))
})
