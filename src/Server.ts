/**
 * A beanstalkd inside this process: on a socket, for any client, or in memory, for a client in the same process. Programs
 * and tests run with it on a machine that has no server. It answers as beanstalkd 1.12 does, and all its time is Effect's
 * `Clock`: `TestClock.adjust("24 hours")` matures delays, expires times to run, ends pauses and waits.
 *
 * Jobs live as long as the server: there is no binlog.
 */
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { lstatSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { refused } from "./internal/protocol/invalidOptions.ts"
import * as Validate from "./internal/protocol/validate.ts"
import * as Client from "./Client.ts"
import { poolOf } from "./internal/client/internals.ts"
import * as EngineHost from "./internal/server/engineHost.ts"
import * as Errors from "./Errors.ts"
import { describeCause } from "./internal/protocol/describe.ts"
import type { Faults } from "./internal/server/faults.ts"
import * as LoopbackDialer from "./internal/connection/loopback.ts"
import { endpointOf } from "./internal/server/loopback.ts"
import * as PoolSettings from "./internal/pool/settings.ts"
import * as ServerSocket from "./internal/server/socket.ts"
import * as Transport from "./internal/connection/transport.ts"
import { DEFAULT_PORT } from "./internal/protocol/scalars.ts"

export type {
  /** What can be wrong with a server. */
  Faults
} from "./internal/server/faults.ts"

/**
 * What any server can be told.
 *
 * - `maxJobSize`: the largest body that a put may have, in bytes; default 65,535, at most 1,073,741,824
 * - `maxConnections`: how many there may be at a time; who comes then is cut off at once. Default any number
 * - `maxMemory`: about how many bytes the jobs and tubes may take. A put for which there is no room is answered
 *   OUT_OF_MEMORY, and so is a use or watch of a new tube, which ends the connection: what comes behind it must not go
 *   astray. Each job counts 256 more than its body, each tube 1,024, each that a client watches 256. Default any number
 */
export interface EngineOptions {
  readonly maxJobSize?: number | undefined
  readonly maxConnections?: number | undefined
  readonly maxMemory?: number | undefined
}

/**
 * Where a server listens.
 *
 * - `host`, `port`: default 127.0.0.1 and 11300; port 0 is any that is free
 * - `path`: a unix socket instead
 */
export interface Options extends EngineOptions {
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly path?: string | undefined
}

/**
 * A running server, and what a test can do to it.
 */
export interface Service {
  /** Where it listens: `127.0.0.1:11300`, `unix:/path` or `memory`. */
  readonly address: string

  /** The TCP port, or undefined if it has none. */
  readonly port: number | undefined

  /** Options for `Client.make`, `Pool.make` or `Connection.make` to reach it. */
  readonly clientOptions: Pick<Client.Options, "host" | "port" | "path" | "dialer">

  /** From now on every put is answered DRAINING, as after SIGUSR1, until it is restarted. */
  readonly drain: Effect.Effect<void>

  /**
   * Kills it and starts it again, as a beanstalkd with a binlog: connections are cut off, all jobs are still there, and those
   * that were reserved are ready.
   */
  readonly restart: Effect.Effect<void>

  /** How many connections are open. */
  readonly connections: Effect.Effect<number>

  /** Cuts off all connections, as a network would that fails, and gives their number. */
  readonly dropConnections: Effect.Effect<number>

  /** Makes it faulty from now on; `inject({})` makes it sound again. */
  readonly inject: (faults: Faults) => Effect.Effect<void, Errors.InvalidArgument>

  /** Waits until so many connections (default 1) wait in a reserve for a job of this tube. */
  readonly awaitWaiting: (tube: string, count?: number) => Effect.Effect<void, Errors.InvalidArgument>
}

/**
 * The service tag of a server.
 */
export class Server extends Context.Service<Server, Service>()("effect-beanstalkd/Server") {}

/**
 * The server cannot listen there: the port is taken, the path cannot be written, the options make no sense.
 */
export class ListenError extends Schema.TaggedError<ListenError>("effect-beanstalkd/ListenError")("ListenError", {
  address: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `cannot listen on ${this.address}: ${describeCause(this.cause)}`
  }
}

const invalid = (value: unknown, argument: string, rule: string) =>
  new Errors.InvalidArgument({ operation: "listen", argument, value, rule })

const LEAST: Readonly<Record<keyof EngineOptions, number>> = { maxJobSize: 0, maxConnections: 1, maxMemory: 0 }

const ENGINE_OPTIONS = Validate.optionNames<EngineOptions>({ maxJobSize: true, maxConnections: true, maxMemory: true })

const makeHost = Effect.fnUntraced(function*(options: EngineOptions) {
  for (const name of ENGINE_OPTIONS) {
    const value = options[name]
    const checked = value === undefined ? 0 : Validate.wholeNumber("listen", name, value, LEAST[name])
    if (checked instanceof Errors.InvalidArgument) return yield* checked
  }
  return yield* EngineHost.make({ ...options, maxClients: options.maxConnections })
})

const FAULTS = Validate.optionNames<Faults>({
  refuse: true,
  mute: true,
  delay: true,
  split: true,
  garble: true,
  shortage: true
})

const SHORTAGES: ReadonlyArray<NonNullable<Faults["shortage"]>> = ["jobs", "queues"]

const fromHost = (
  host: EngineHost.EngineHost,
  where: Pick<Service, "address" | "port" | "clientOptions">
): Service => ({
  ...where,
  drain: Effect.sync(() => host.engine.drain()),
  restart: Effect.sync(() => host.engine.restart()),
  connections: Effect.sync(() => host.engine.connectionCount),
  dropConnections: Effect.sync(() => host.engine.dropConnections()),
  inject: Effect.fnUntraced(function*(given) {
    const faults = Validate.snapshot("inject", given, FAULTS)
    if (faults instanceof Errors.InvalidArgument) return yield* faults
    const delay = Validate.duration("inject", "delay", faults.delay ?? 0)
    if (delay instanceof Errors.InvalidArgument) return yield* delay
    const split = faults.split === undefined ? 1 : Validate.wholeNumber("inject", "split", faults.split, 1)
    if (split instanceof Errors.InvalidArgument) return yield* split
    if (faults.garble !== undefined && typeof faults.garble !== "function") {
      const { garble: value } = faults
      return yield* new Errors.InvalidArgument({ operation: "inject", argument: "garble", value, rule: "a function" })
    }
    for (const name of ["refuse", "mute"] as const) {
      const flag = Validate.flag("inject", name, faults[name])
      if (flag instanceof Errors.InvalidArgument) return yield* flag
    }
    const { shortage } = faults
    const short = shortage === undefined ? undefined : Validate.oneOf("inject", "shortage", shortage, SHORTAGES)
    if (short instanceof Errors.InvalidArgument) return yield* short
    host.injectFaults({ ...faults, delay, split: faults.split })
  }),
  awaitWaiting: Effect.fnUntraced(function*(tube, count = 1) {
    const name = Validate.tube("awaitWaiting", "tube", tube)
    if (name instanceof Errors.InvalidArgument) return yield* name
    const least = Validate.wholeNumber("awaitWaiting", "count", count, 0)
    if (least instanceof Errors.InvalidArgument) return yield* least
    yield* host.awaitReservers(name, least)
  })
})

const listenOptions = ({ host = "127.0.0.1", path, port = DEFAULT_PORT }: Options) => {
  if (path !== undefined) {
    return typeof path === "string" && path !== "" ? { path } : invalid(path, "path", "the path of a unix socket")
  }
  // Node would listen on all interfaces.
  if (typeof host !== "string" || host === "") return invalid(host, "host", "a host name or an address")
  return Number.isInteger(port) && port >= 0 && port <= 65_535
    ? { host, port }
    : invalid(port, "port", "an integer from 0 to 65535")
}

const show = ({ host = "127.0.0.1", path, port = DEFAULT_PORT }: Options): string =>
  Transport.show(path === undefined ? { host, port } : { path })

// A process that was killed leaves its unix socket behind, at which nobody can listen before it has been removed. Any
// other file stays, and whatever else is wrong is said when the server listens.
const removeAbandoned = (path: string): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const socket = Net.connect(path)
    const done = () => {
      socket.destroy()
      resume(Effect.void)
    }
    socket.once("connect", done)
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" && lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path)
      done()
    })
  })

/**
 * Starts a server on a socket, which ends with the Scope. Its connections are cut off then.
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
 */
export const make = Effect.fnUntraced(function*(
  given: Options = {}
): Effect.fn.Return<Service, ListenError, Scope.Scope> {
  const options = Validate.snapshot("listen", given, [...ENGINE_OPTIONS, "host", "port", "path"])
  if (options instanceof Errors.InvalidArgument) return yield* new ListenError({ address: show({}), cause: options })
  const failed = (cause: unknown) => new ListenError({ address: show(options), cause })
  const listen = listenOptions(options)
  if (listen instanceof Errors.InvalidArgument) return yield* failed(listen)
  const host = yield* Effect.mapError(makeHost(options), failed)
  if (listen.path !== undefined) yield* removeAbandoned(listen.path)
  // Its Scope would never end, if it were interrupted before there is a server to close.
  const server = yield* NodeSocketServer.make({ ...listen, allowHalfOpen: true, noDelay: true, keepAlive: true }).pipe(
    Effect.uninterruptible,
    Effect.mapError((error) => failed(error.reason.cause))
  )
  yield* Effect.forkScoped(server.run(ServerSocket.serve(host)))
  if (server.address._tag === "UnixPathAddress") {
    return fromHost(host, { address: show(options), port: undefined, clientOptions: { path: options.path } })
  }
  const { port } = server.address
  return fromHost(host, {
    address: show({ ...options, port }),
    port,
    clientOptions: { host: options.host ?? "127.0.0.1", port }
  })
})

/**
 * A server on a socket as a layer.
 *
 * ```ts
 * import { Server } from "effect-beanstalkd"
 * import { Layer } from "effect"
 *
 * const main = Layer.launch(Server.layer({ port: 11300 }))
 * ```
 */
export const layer = (options?: Options): Layer.Layer<Server, ListenError> => Layer.effect(Server, make(options))

/**
 * Starts a server that can be reached from this process only, by its `clientOptions`. A command runs and its reply is
 * read before anything else happens, so that a test may set its clock forward at any moment.
 */
export const makeMemory = Effect.fnUntraced(function*(
  options: EngineOptions = {}
): Effect.fn.Return<Service, ListenError, Scope.Scope> {
  const failed = (cause: unknown) => new ListenError({ address: "memory", cause })
  const own = Validate.snapshot("listen", options, ENGINE_OPTIONS)
  if (own instanceof Errors.InvalidArgument) return yield* failed(own)
  const host = yield* Effect.mapError(makeHost(own), failed)
  const dialer = LoopbackDialer.makeDialer("memory", endpointOf(host))
  return fromHost(host, { address: dialer.server, port: undefined, clientOptions: { dialer } })
})

/**
 * What a server in memory and its client can be told. `maxConnections` is of the server, and the connection that the
 * client shares takes one place; `client.maxConnections` is of the client, and comes on top of that one.
 */
export interface MemoryOptions extends EngineOptions {
  readonly client?: Omit<Client.Options, "host" | "port" | "path" | "url" | "tls" | "dialer"> | undefined
}

const MEMORY_OPTIONS: ReadonlyArray<keyof MemoryOptions> = [...ENGINE_OPTIONS, "client"]

// More are opened when they are needed.
const MOST_OPENED_AT_ONCE = 100

/**
 * A server in memory and a client of it, as a layer. With options for either:
 *
 * ```ts
 * import { Server } from "effect-beanstalkd"
 *
 * const strict = Server.layerMemoryWith({ maxJobSize: 1000, client: { maxConnections: 2 } })
 * ```
 */
export const layerMemoryWith = (
  options: MemoryOptions
): Layer.Layer<Client.Beanstalkd | Server, ListenError | Errors.BeanstalkdError> =>
  Layer.effectContext(Effect.gen(function*() {
    const all = Validate.snapshot("listen", options, MEMORY_OPTIONS)
    if (all instanceof Errors.InvalidArgument) return yield* new ListenError({ address: "memory", cause: all })
    const { client: given = {}, ...engine } = all
    const server = yield* makeMemory(engine)
    const own = yield* PoolSettings.snapshot("Server.layerMemoryWith", given)
    const most = Validate.wholeNumber(
      "connect",
      "maxConnections",
      own.maxConnections ?? PoolSettings.DEFAULT_MAX_CONNECTIONS,
      1
    )
    if (most instanceof Errors.InvalidArgument) return yield* refused(server.address, most)
    // One is the shared connection.
    const minConnections = Math.max(0, Math.min(most, MOST_OPENED_AT_ONCE, (engine.maxConnections ?? Infinity) - 1))
    const client = yield* Client.make({ minConnections, ...own, ...server.clientOptions })
    // A pool opens connections in fibers of its own, for which a clock that is set forward would not wait. Each is asked
    // something: one that ended before it had answered anything would look like one that was turned away.
    const open = Effect.flatMap(poolOf(client).get, (connection) => connection.listTubeUsed)
    yield* Effect.scoped(Effect.forEach(Array.from({ length: minConnections }), () => open))
    return Context.make(Server, server).pipe(Context.add(Client.Beanstalkd, client))
  }))

/**
 * A server in memory and a client of it. Wherever this layer is provided within one build it is the same server, as
 * layers are memoised; `Layer.fresh(Server.layerMemory)` is another one.
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
 *   yield* server.awaitWaiting("emails")
 *   yield* TestClock.adjust("24 hours")
 *   return yield* Fiber.join(waiting)
 * }).pipe(Effect.provide(Server.layerMemory))
 * ```
 */
export const layerMemory: Layer.Layer<Client.Beanstalkd | Server> = Layer.orDie(layerMemoryWith({}))
