/**
 * A beanstalkd inside this process, for programs and tests on a machine that has none: on a socket, for any client, or in
 * memory, for clients in the same process. It answers as beanstalkd 1.12 does.
 *
 * All its time is Effect's `Clock`: `TestClock.adjust("24 hours")` ends delays, leases, pauses and waits.
 *
 * Jobs live as long as the server, or longer if it has a `directory`: there it keeps a binlog, in the format of beanstalkd,
 * which can go on with the directory, and the other way round.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as SocketServer from "effect/socket/SocketServer"
import * as Client from "./Client.ts"
import * as Errors from "./Errors.ts"
import type { SyncPolicy } from "./internal/binlog/policy.ts"
import type { Failure } from "./internal/binlog/failure.ts"
import { poolOf } from "./internal/client/internals.ts"
import * as LoopbackDialer from "./internal/connection/loopback.ts"
import * as Transport from "./internal/connection/transport.ts"
import { describeCause } from "./internal/protocol/describe.ts"
import { refused } from "./internal/protocol/invalidOptions.ts"
import { DEFAULT_PORT } from "./internal/protocol/scalars.ts"
import { unwrapConfig } from "./internal/protocol/unwrapConfig.ts"
import * as Validate from "./internal/protocol/validate.ts"
import * as EngineHost from "./internal/server/engineHost.ts"
import type * as EngineFaults from "./internal/server/faults.ts"
import { endpointOf } from "./internal/server/loopback.ts"
import { nameOf } from "./internal/server/memoryNames.ts"
import type { Place } from "./internal/server/socketServer.ts"
import { DEFAULT_FILE_SIZE } from "./internal/server/statsText.ts"
import * as PoolSettings from "./internal/pool/settings.ts"
import { BinlogRecorder } from "./internal/telemetry/binlogRecorder.ts"

/**
 * What is wrong with a server, for tests of what a client does then: see `Service.injectFaults`.
 *
 * ```ts
 * import { Server } from "effect-beanstalkd"
 *
 * const slow: Server.Faults = { delay: "3 seconds", split: 1 }
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export type Faults = EngineFaults.Faults

/**
 * The limits of any server.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** The largest body that a put may have, in bytes, at most 1,073,741,824. Default: 65,535. */
  readonly maxJobSize?: number | undefined

  /** How many clients may be connected. The server cuts off the next one at once. Default: any number. */
  readonly maxClients?: number | undefined

  /**
   * About how many bytes jobs and tubes may take. Each job counts 256 more than its body, each tube 1,024, each tube that
   * a client watches 256. A put without room is answered OUT_OF_MEMORY. So is a `use` or `watch` of a new tube, and that
   * ends the connection: the commands behind it must not reach another tube. Default: any number.
   */
  readonly maxMemory?: number | undefined
}

/**
 * Where a server keeps its jobs, so that they outlive it: in a binlog, as beanstalkd does with `-b`, and in its format. Each
 * of the two can go on with what the other has left. The other options have no effect without `directory`.
 *
 * ```ts
 * import { Server } from "effect-beanstalkd"
 *
 * const durable = Server.layer({ directory: "/var/lib/jobs", sync: "always" })
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface Durability {
  /**
   * The directory of the binlog, which must exist. One server can use it at a time; another one, or a beanstalkd, is refused.
   * It needs `node:sqlite`, which holds the lock. Default: none, and jobs are kept in memory only.
   */
  readonly directory?: string | undefined

  /**
   * When the disk must have what a reply tells of. `"always"`: before the reply. A duration: so long after the reply at the
   * latest; plain numbers are milliseconds, and 0 is `"always"`. `"never"`: when the system writes it by itself. Whichever it is,
   * the system has the bytes before the reply, so that a killed process loses nothing. What the machine loses without power
   * is another matter. Default: 50 milliseconds.
   */
  readonly sync?: "always" | "never" | Duration.Input | undefined

  /** How large a file of the binlog gets, in bytes, up to 2,147,483,647; 512 is the least that is used. Default: 10,485,760. */
  readonly fileSize?: number | undefined

  /**
   * Whether to start although files are damaged or missing: with the jobs that can be read. The files that it cannot
   * understand as a whole are moved to the directory `damaged` in `directory`. Default: false, and such a server does not start.
   */
  readonly salvage?: boolean | undefined
}

/**
 * Where a server listens, its limits, and where it keeps its jobs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Limits, Durability {
  /** The host name or address to listen on; `0.0.0.0` lets other machines in. Default: 127.0.0.1. */
  readonly host?: string | undefined

  /** The TCP port; 0 is any that is free. Default: 11300. */
  readonly port?: number | undefined

  /** The path of a unix socket to listen on instead. Default: none. */
  readonly path?: string | undefined
}

/**
 * The limits of a server on a `SocketServer`, and where it keeps its jobs.
 *
 * @since 0.1.0
 * @category models
 */
export interface SocketServerOptions extends Limits, Durability {}

/**
 * The name of a server in memory, its limits, and where it keeps its jobs. One with a `directory` answers when the bytes are
 * written, no longer at once, so a test that sets its clock forward should go without.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryOptions extends Limits, Durability {
  /**
   * The server's name: its `server` and that of its errors and jobs. Any text without white space, and not empty. Two
   * servers that you give the same name take each other's jobs for their own. Default: `memory`, or while another server
   * has that name `memory-2`, `memory-3`, ...
   */
  readonly name?: string | undefined
}

/**
 * The options of a server in memory and of its client.
 *
 * @since 0.1.0
 * @category models
 */
export interface LayerMemoryOptions extends MemoryOptions {
  /**
   * Options of the client. Its `maxConnections` (default 10) come on top of the connection that it shares, and all of them
   * count for the server's `maxClients`. The layer opens as many of them as it may, at most 100, before a test begins.
   */
  readonly client?: Omit<Client.Options, "host" | "port" | "path" | "url" | "tls" | "dialer"> | undefined
}

/**
 * A running server, and what a test can do to it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Where it listens, as clients name it in their errors: `127.0.0.1:11300`, `unix:/path`, or the name of one in memory. */
  readonly server: string

  /** The TCP port, or undefined if it has none. */
  readonly port: number | undefined

  /** Options for `Client.make`, `Pool.make` or `Connection.make` to reach it. */
  readonly clientOptions: Pick<Client.Options, "host" | "port" | "path" | "dialer">

  /** Answers every put DRAINING from now on, as beanstalkd does after SIGUSR1, until it is restarted. */
  readonly drain: Effect.Effect<void>

  /**
   * Kills it and starts it again, as a beanstalkd with a binlog: connections are cut off, jobs that were reserved are ready,
   * and the other jobs are as they were. With a `directory` it has the jobs that it reads there.
   */
  readonly restart: Effect.Effect<void, BinlogError>

  /**
   * Fails when the binlog cannot be written any more: the disk has failed. By then the server has cut off all connections,
   * has acknowledged nothing that may be lost, and accepts no connection. Without a `directory` it waits forever.
   *
   * ```ts
   * import { Server } from "effect-beanstalkd"
   * import { Effect } from "effect"
   *
   * const serve = Effect.scoped(
   *   Effect.flatMap(Server.make({ directory: "/var/lib/jobs" }), (server) => server.failure)
   * )
   * ```
   */
  readonly failure: Effect.Effect<never, BinlogError>

  /** How many connections are open. */
  readonly connectionCount: Effect.Effect<number>

  /** Cuts off all connections, as a failing network would, and gives their number. */
  readonly dropConnections: Effect.Effect<number>

  /** Makes it faulty from now on. `injectFaults({})` makes it sound again. */
  readonly injectFaults: (faults: Faults) => Effect.Effect<void, Errors.InvalidArgument>

  /** Waits until `count` (default 1) connections wait in a reserve for a job of this tube. */
  readonly awaitReservers: (tube: string, count?: number) => Effect.Effect<void, Errors.InvalidArgument>
}

/**
 * The service tag of a server.
 *
 * @since 0.1.0
 * @category services
 */
export class Server extends Context.Service<Server, Service>()("effect-beanstalkd/Server/Server") {}

/**
 * A server did not start: the port is taken, the path cannot be written, `@effect/platform-node` is not installed. Its
 * `cause` is an `InvalidArgument` if an option makes no sense.
 *
 * @since 0.1.0
 * @category errors
 */
export class ListenError
  extends Schema.TaggedError<ListenError>("effect-beanstalkd/Server/ListenError")("ListenError", {
    server: Schema.String,
    cause: Schema.Defect()
  })
{
  override get message(): string {
    const why = describeCause(this.cause)
    return this.cause instanceof Errors.InvalidArgument ? why : `cannot listen on ${this.server}: ${why}`
  }
}

/**
 * A binlog cannot be used: another server has the directory, a file is damaged, the disk is full or fails. `path` is the
 * file or directory, `offset` the place in the file in bytes if the trouble is there, and `cause` says what was wrong and what
 * can be done.
 *
 * @since 0.1.0
 * @category errors
 */
export class BinlogError
  extends Schema.TaggedError<BinlogError>("effect-beanstalkd/Server/BinlogError")("BinlogError", {
    path: Schema.String,
    operation: Schema.Literals(["lock", "read", "write", "sync", "remove"]),
    offset: Schema.optionalKey(Schema.Int),
    cause: Schema.Defect()
  })
{
  override get message(): string {
    const place = this.offset === undefined ? "" : ` at ${this.offset}`
    return `cannot ${this.operation} ${this.path}${place}: ${describeCause(this.cause)}`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Any server
// ---------------------------------------------------------------------------------------------------------------------

const LIMITS = Validate.optionNames<Limits>({ maxJobSize: true, maxClients: true, maxMemory: true })

const LEAST: Readonly<Record<keyof Limits, number>> = { maxJobSize: 0, maxClients: 1, maxMemory: 0 }

const checked = <A>(value: A | Errors.InvalidArgument) =>
  value instanceof Errors.InvalidArgument ? Effect.fail(value) : Effect.succeed(value)

const DURABILITY = Validate.optionNames<Durability>({ directory: true, sync: true, fileSize: true, salvage: true })

// A larger one could not be read as a whole.
const MAX_FILE_SIZE = 2 ** 31 - 1

const DEFAULT_SYNC = "50 millis"

const binlogError = ({ cause, offset, operation, path }: Failure): BinlogError =>
  new BinlogError({ path, operation, cause, ...offset === undefined ? {} : { offset } })

const readSync = (operation: string, sync: NonNullable<Durability["sync"]>): SyncPolicy | Errors.InvalidArgument => {
  if (sync === "always" || sync === "never") return sync
  const millis = Validate.duration(operation, "sync", sync)
  if (millis instanceof Errors.InvalidArgument) return millis
  return Duration.toMillis(millis) === 0 ? "always" : Duration.toMillis(millis)
}

const readDurability = Effect.fnUntraced(function*(
  operation: string,
  { directory, fileSize = DEFAULT_FILE_SIZE, salvage = false, sync = DEFAULT_SYNC }: Durability
) {
  if (directory !== undefined && (typeof directory !== "string" || directory === "")) {
    const rule = "the path of a directory"
    return yield* new Errors.InvalidArgument({ operation, argument: "directory", value: directory, rule })
  }
  yield* checked(Validate.wholeNumber(operation, "fileSize", fileSize, 0))
  if (fileSize > MAX_FILE_SIZE) {
    const rule = `a whole number from 0 to ${MAX_FILE_SIZE}`
    return yield* new Errors.InvalidArgument({ operation, argument: "fileSize", value: fileSize, rule })
  }
  yield* checked(Validate.flag(operation, "salvage", salvage))
  return { directory, fileSize, salvage, sync: yield* checked(readSync(operation, sync)) }
})

const makeHost = Effect.fnUntraced(function*(operation: string, options: Limits & Durability) {
  for (const name of LIMITS) {
    const value = options[name]
    if (value !== undefined) yield* checked(Validate.wholeNumber(operation, name, value, LEAST[name]))
  }
  const { directory, ...rest } = yield* readDurability(operation, options)
  if (directory === undefined) return yield* EngineHost.make(options)
  // Only a server with a directory needs it.
  const Storage = yield* Effect.promise(() => import("./internal/binlog/storage.ts"))
  const observer = new BinlogRecorder(directory, yield* Effect.context())
  return yield* Effect.mapError(
    Effect.flatMap(Storage.make({ directory, observer, ...rest }), (open) => EngineHost.make(options, open)),
    binlogError
  )
})

const hostOf = (operation: string, options: Limits & Durability, failed: (cause: unknown) => ListenError) =>
  Effect.catchTag(makeHost(operation, options), "InvalidArgument", (cause) => Effect.fail(failed(cause)))

const FAULTS = Validate.optionNames<Faults>({
  refuse: true,
  mute: true,
  delay: true,
  split: true,
  garble: true,
  shortage: true
})

const SHORTAGES: ReadonlyArray<NonNullable<Faults["shortage"]>> = ["jobs", "queues"]

const readFaults = Effect.fnUntraced(function*(given: Faults) {
  const operation = "injectFaults"
  const faults = yield* checked(Validate.snapshot(operation, given, FAULTS))
  const { garble, shortage, split } = faults
  const delay = yield* checked(Validate.duration(operation, "delay", faults.delay ?? 0))
  if (split !== undefined) yield* checked(Validate.wholeNumber(operation, "split", split, 1))
  if (garble !== undefined && typeof garble !== "function") {
    return yield* new Errors.InvalidArgument({ operation, argument: "garble", value: garble, rule: "a function" })
  }
  for (const name of ["refuse", "mute"] as const) yield* checked(Validate.flag(operation, name, faults[name]))
  if (shortage !== undefined) yield* checked(Validate.oneOf(operation, "shortage", shortage, SHORTAGES))
  return { ...faults, delay }
})

const fromHost = (
  host: EngineHost.EngineHost<Failure>,
  where: Pick<Service, "server" | "port" | "clientOptions">
): Service => ({
  ...where,
  drain: Effect.sync(() => host.engine.drain()),
  restart: Effect.mapError(host.restart, binlogError),
  failure: Effect.mapError(host.failure, binlogError),
  connectionCount: Effect.sync(() => host.engine.connectionCount),
  dropConnections: Effect.sync(() => host.engine.dropConnections()),
  injectFaults: (faults) => Effect.map(readFaults(faults), host.injectFaults),
  awaitReservers: Effect.fnUntraced(function*(tube, count = 1) {
    const name = yield* checked(Validate.tube("awaitReservers", "tube", tube))
    const least = yield* checked(Validate.wholeNumber("awaitReservers", "count", count, 0))
    yield* host.awaitReservers(name, least)
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// On a socket
// ---------------------------------------------------------------------------------------------------------------------

const placeOf = (
  operation: string,
  { host = "127.0.0.1", path, port = DEFAULT_PORT }: Options
): Place | Errors.InvalidArgument => {
  const invalid = (argument: string, value: unknown, rule: string) =>
    new Errors.InvalidArgument({ operation, argument, value, rule })
  if (path !== undefined) {
    return typeof path === "string" && path !== "" ? { path } : invalid("path", path, "the path of a unix socket")
  }
  // Given an empty host, Node would listen on all interfaces.
  if (typeof host !== "string" || host === "") return invalid("host", host, "a host name or an address")
  return Number.isInteger(port) && port >= 0 && port <= 65_535
    ? { host, port }
    : invalid("port", port, "an integer from 0 to 65535")
}

const show = ({ host = "127.0.0.1", path, port = DEFAULT_PORT }: Options): string =>
  Transport.show(path === undefined ? { host, port } : { path })

const NOT_INSTALLED = "a server on a socket needs the package @effect/platform-node: npm install @effect/platform-node"

// A static import would have every client load, and install, what only a server on a socket needs.
const loadListen = (failed: (cause: unknown) => ListenError) =>
  Effect.tryPromise({
    try: () => import("./internal/server/listen.ts"),
    catch: (cause) => {
      const isMissing = cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"
      return failed(isMissing ? new Error(NOT_INSTALLED, { cause }) : cause)
    }
  })

const start = Effect.fnUntraced(function*(
  operation: string,
  given: Options = {}
): Effect.fn.Return<Service, BinlogError | ListenError, Scope.Scope> {
  const options = Validate.snapshot(operation, given, [...LIMITS, ...DURABILITY, "host", "port", "path"])
  if (options instanceof Errors.InvalidArgument) return yield* new ListenError({ server: show({}), cause: options })
  const failed = (cause: unknown) => new ListenError({ server: show(options), cause })
  const place = placeOf(operation, options)
  if (place instanceof Errors.InvalidArgument) return yield* failed(place)
  const host = yield* hostOf(operation, options, failed)
  const { listen } = yield* loadListen(failed)
  const port = yield* Effect.mapError(listen(host, place), failed)
  return fromHost(host, {
    server: show({ ...options, port }),
    port,
    clientOptions: "path" in place ? place : { host: place.host, port }
  })
})

/**
 * Starts a server on a socket, which ends with the Scope and cuts off its connections then. It needs the package
 * `@effect/platform-node`.
 *
 * ```ts
 * import { Connection, Server } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const server = yield* Server.make({ port: 0 })
 *   const connection = yield* Connection.make(server.clientOptions)
 *   return yield* connection.put("hello")
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: Options): Effect.Effect<Service, BinlogError | ListenError, Scope.Scope> =>
  start("Server.make", options)

/**
 * A server on a socket as a layer.
 *
 * ```ts
 * import { Server } from "effect-beanstalkd"
 * import { Layer } from "effect"
 *
 * const main = Layer.launch(Server.layer({ port: 11300 }))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Server, BinlogError | ListenError> =>
  Layer.effect(Server, start("Server.layer", options))

/**
 * A server on a socket as a layer whose options come from the configuration.
 *
 * ```ts
 * import { Server } from "effect-beanstalkd"
 * import { Config } from "effect"
 *
 * const live = Server.layerConfig({
 *   port: Config.Port("BEANSTALKD_PORT").pipe(Config.withDefault(11300))
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<Server, BinlogError | ListenError | Config.ConfigError> =>
  Layer.effect(
    Server,
    unwrapConfig("Server.layerConfig", options).pipe(
      Effect.catchTag("InvalidArgument", (cause) => Effect.fail(new ListenError({ server: show({}), cause }))),
      Effect.flatMap((options) => start("Server.layerConfig", options))
    )
  )

// Loaded when it is needed, like `listen.ts`: no client needs a socket of Effect.
const loadSocketServer = Effect.promise(() => import("./internal/server/socketServer.ts"))

const startOnSocketServer = Effect.fnUntraced(function*(operation: string, given: SocketServerOptions = {}) {
  const socketServer = yield* SocketServer.SocketServer
  const { acceptFrom, placeOf } = yield* loadSocketServer
  const place = placeOf(socketServer.address)
  const server = Transport.show(place)
  const failed = (cause: unknown) => new ListenError({ server, cause })
  const options = Validate.snapshot(operation, given, [...LIMITS, ...DURABILITY])
  if (options instanceof Errors.InvalidArgument) return yield* failed(options)
  const host = yield* hostOf(operation, options, failed)
  yield* acceptFrom(host, socketServer)
  return fromHost(host, { server, port: "path" in place ? undefined : place.port, clientOptions: place })
})

/**
 * A server on the connections of Effect's service `SocketServer`, as a layer: of `NodeSocketServer` in
 * `@effect/platform-node` or `@effect/platform-node-shared`, of `BunSocketServer`, with TLS by its `layerTls`, or of your own.
 * It ends with its Scope, before the `SocketServer` does.
 *
 * The `SocketServer` decides on what `Server.layer` sees to by itself. Give one of Node:
 *
 * - `host: "127.0.0.1"`: without it, all machines may connect.
 * - `allowHalfOpen: true`: without it, a client that closes its half, as `nc` does, may miss the last replies. Not with TLS:
 *   there a client that breaks off the handshake would keep the server from ending, for up to two minutes.
 * - `noDelay: true` and `keepAlive: true`: small replies leave at once, and clients that are gone are noticed.
 *
 * A unix socket that a killed process left behind is not removed, and a port that is taken is an error of the
 * `SocketServer`. With TLS, give clients `tls` beside the server's `clientOptions`. An option that makes no sense fails with
 * `ListenError`, a directory that cannot be used with `BinlogError`.
 *
 * ```ts
 * import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
 * import { Server } from "effect-beanstalkd"
 * import { Layer } from "effect"
 *
 * const sockets = NodeSocketServer.layer({
 *   host: "127.0.0.1",
 *   port: 11300,
 *   allowHalfOpen: true,
 *   noDelay: true,
 *   keepAlive: true
 * })
 *
 * const live = Server.layerSocketServer({ maxJobSize: 1_000_000 }).pipe(Layer.provide(sockets))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSocketServer = (
  options?: SocketServerOptions
): Layer.Layer<Server, BinlogError | ListenError, SocketServer.SocketServer> =>
  Layer.effect(Server, startOnSocketServer("Server.layerSocketServer", options))

// ---------------------------------------------------------------------------------------------------------------------
// In memory
// ---------------------------------------------------------------------------------------------------------------------

const DEFAULT_NAME = "memory"

const MEMORY_OPTIONS: ReadonlyArray<keyof MemoryOptions> = [...LIMITS, ...DURABILITY, "name"]

const isName = (name: unknown): name is string => typeof name === "string" && /^\S+$/.test(name)

const startMemory = Effect.fnUntraced(function*(
  operation: string,
  given: MemoryOptions = {}
): Effect.fn.Return<Service, BinlogError | ListenError, Scope.Scope> {
  const failed = (cause: unknown) => new ListenError({ server: DEFAULT_NAME, cause })
  const options = Validate.snapshot(operation, given, MEMORY_OPTIONS)
  if (options instanceof Errors.InvalidArgument) return yield* failed(options)
  if (options.name !== undefined && !isName(options.name)) {
    const rule = "text without white space, not empty"
    return yield* failed(new Errors.InvalidArgument({ operation, argument: "name", value: options.name, rule }))
  }
  const host = yield* hostOf(operation, options, failed)
  const name = yield* nameOf(options.name)
  const dialer = LoopbackDialer.makeDialer(name, endpointOf(host))
  return fromHost(host, { server: name, port: undefined, clientOptions: { dialer } })
})

/**
 * Starts a server that only clients in this process can reach, by its `clientOptions`. It ends with the Scope.
 *
 * A command runs, and its client reads the reply, before anything else happens, so that a test may set its clock forward
 * at any moment.
 *
 * ```ts
 * import { Client, Server } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const server = yield* Server.makeMemory({ name: "billing" })
 *   const beanstalkd = yield* Client.make(server.clientOptions)
 *   return yield* beanstalkd.put("invoices", "hello")
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeMemory = (options?: MemoryOptions): Effect.Effect<Service, BinlogError | ListenError, Scope.Scope> =>
  startMemory("Server.makeMemory", options)

// The pool opens more when it needs them.
const MOST_OPENED_AT_ONCE = 100

const startWithClient = Effect.fnUntraced(function*(operation: string, given: LayerMemoryOptions = {}) {
  const all = Validate.snapshot(operation, given, [...MEMORY_OPTIONS, "client"])
  if (all instanceof Errors.InvalidArgument) return yield* new ListenError({ server: DEFAULT_NAME, cause: all })
  const { client: clientOptions = {}, ...options } = all
  const server = yield* startMemory(operation, options)
  const own = yield* PoolSettings.snapshot(operation, clientOptions)
  const most = Validate.wholeNumber(
    operation,
    "maxConnections",
    own.maxConnections ?? PoolSettings.DEFAULT_MAX_CONNECTIONS,
    1
  )
  if (most instanceof Errors.InvalidArgument) return yield* refused(server.server, most)
  // One is the shared connection.
  const minConnections = Math.max(0, Math.min(most, MOST_OPENED_AT_ONCE, (options.maxClients ?? Infinity) - 1))
  const client = yield* Client.make({ minConnections, ...own, ...server.clientOptions })
  // A pool opens connections in fibers of its own, for which a test that sets its clock forward would not wait. Each
  // answers a command: a connection that ends before its first reply looks like one that a busy server turned away.
  const open = Effect.flatMap(poolOf(client).get, (connection) => connection.listTubeUsed)
  yield* Effect.scoped(Effect.forEach(Array.from({ length: minConnections }), () => open))
  return Context.make(Server, server).pipe(Context.add(Client.Beanstalkd, client))
})

/**
 * A server in memory and a client of it, as one layer.
 *
 * Each call gives another server. To share one, call it once and keep the layer in a constant: within one build, Effect
 * makes a layer once however often it is provided, and it knows a layer by its identity. Without options nothing can
 * fail.
 *
 * ```ts
 * import { Client, Server } from "effect-beanstalkd"
 * import { Effect, Fiber } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * const test = Effect.gen(function*() {
 *   const beanstalkd = yield* Client.Beanstalkd
 *   const server = yield* Server.Server
 *   yield* beanstalkd.put("emails", "hello", { delay: "24 hours" })
 *   const waiting = yield* Effect.forkChild(Effect.scoped(beanstalkd.reserve("emails")))
 *   yield* server.awaitReservers("emails")
 *   yield* TestClock.adjust("24 hours")
 *   return yield* Fiber.join(waiting)
 * }).pipe(Effect.provide(Server.layerMemory()))
 *
 * const strict = Server.layerMemory({ maxJobSize: 1000, client: { maxConnections: 2 } })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: {
  (): Layer.Layer<Client.Beanstalkd | Server>
  (
    options: LayerMemoryOptions | undefined
  ): Layer.Layer<Client.Beanstalkd | Server, BinlogError | ListenError | Errors.BeanstalkdError>
} = (options?: LayerMemoryOptions): Layer.Layer<Client.Beanstalkd | Server> => {
  const started = Layer.effectContext(startWithClient("Server.layerMemory", options))
  // The overloads tell when it cannot fail.
  return started as Layer.Layer<Client.Beanstalkd | Server>
}
