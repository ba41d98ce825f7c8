/**
 * Several beanstalkd servers behind the service of one client: tubes, streams and workers use them as they use one server,
 * and an application changes one layer.
 *
 * There is no replication. An acknowledged job lives on one server: while that is down nobody gets the job, and if it had no
 * binlog, the job is lost with it. What a fleet gives is more durable puts per second, since each server syncs its own disk,
 * and puts and workers that go on when a server is down, frozen, draining or full.
 *
 * - A put goes to one of the servers that take jobs: to that of its `key`, or else to the less loaded of two.
 * - Jobs are reserved from all servers within the one `concurrency` of a worker. Servers with jobs share it evenly.
 * - Order is that of each server. Across servers there is none, but no server with jobs waits for longer than its turn.
 * - A server that comes back is used again by itself.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Dns from "effect/net/Dns"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Client from "./Client.ts"
import * as Errors from "./Errors.ts"
import { unwrapConfig } from "./internal/connection/unwrapConfig.ts"
import { makeFleet } from "./internal/fleet/fleetImpl.ts"
import { FleetServerStats, FleetTubeStats } from "./internal/fleet/stats.ts"
import { type DnsOptions, fromDns as fromDnsImpl, readUrl } from "./internal/fleet/url.ts"
import { refused } from "./internal/protocol/invalidOptions.ts"
import * as Validate from "./internal/protocol/validate.ts"
import type * as Protocol from "./Protocol.ts"
import * as Server from "./Server.ts"

/**
 * One server of a fleet. Its name is its identity: `host:port` as it is written here, or the `name`, never the address that
 * a host name resolves to. The host is looked up anew with each dial.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerOptions extends Pick<Client.Options, "host" | "port" | "path" | "url" | "tls" | "dialer"> {
  /** The name, in errors, references and events. Default: the address. */
  readonly name?: string | undefined
  /** How large its share of the jobs is, against those of others; greater than 0. Default: 1. */
  readonly weight?: number | undefined
  /** Whether it takes no more jobs, and is emptied: what a list says of a server before it leaves it out. Default: `false`. */
  readonly leaving?: boolean | undefined
}

/**
 * The key of a put that has none: none with `"spread"`, the name of its tube with `"tube"`, or what the function gives.
 *
 * @since 0.1.0
 * @category models
 */
export type Route =
  | "spread"
  | "tube"
  | ((put: { readonly tube: string; readonly key: string | undefined }) =>
    | string
    | undefined)

/**
 * The options of a fleet: its servers, how it uses them, and the options of the client of each.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<out R = never> extends
  Omit<
    Client.Options,
    "host" | "port" | "path" | "url" | "dialer" | "use" | "watch" | "waitForServer" | "commandTimeout"
  >
{
  /**
   * The servers, each as a URL or as options; or a Stream of all that there are. Who is added to the list joins after the
   * `joinDelay`. Who is no longer in it gets no more jobs, and is left when no job is ready, reserved or delayed there. A list
   * that is empty or wrong is logged and ignored.
   */
  readonly servers:
    | ReadonlyArray<string | ServerOptions>
    | Stream.Stream<ReadonlyArray<string | ServerOptions>, never, R>
  /** Which jobs go to the same server. With `"tube"` each tube keeps the order of one server. Default: `"spread"`. */
  readonly route?: Route | undefined
  /** Where jobs go while the server of their key takes none: `"elsewhere"` at once, or they `"wait"`. Default: `"elsewhere"`. */
  readonly whenDown?: "elsewhere" | "wait" | undefined
  /**
   * What becomes of a put whose server was lost before it answered: it may have been done. `"fail"` fails with `sent: true`.
   * `"again"` puts it elsewhere, so that some of them, 7 of 100 in our runs, are there twice: for jobs that are idempotent. Default:
   * `"fail"`.
   */
  readonly ambiguous?: "fail" | "again" | undefined
  /**
   * How long a put waits while no server takes it. After that it fails with the reason `NoServer`. 0 fails at once. Default:
   * 10 seconds.
   */
  readonly patience?: Duration.Input | undefined
  /**
   * How long a server that is new in the list waits until it joins, since keys move to it. The first list is used at once.
   * Default: 1 second.
   */
  readonly joinDelay?: Duration.Input | undefined
  /** How long a server may be silent while a command waits for it: short, since others can take over. Default: 2 seconds. */
  readonly commandTimeout?: Duration.Input | undefined
}

/**
 * What a fleet knows of one of its servers.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerState {
  /** The name. */
  readonly server: string
  /** How the fleet sees it. */
  readonly status: Errors.ServerStatus
  /** How many commands are on their way to it, but for reserves. */
  readonly load: number
  /** Its weight. */
  readonly weight: number
  /** Why it cannot be reached, in words. Left out while it can. */
  readonly reason?: string
}

/**
 * Something has changed: the status of a server, or it has left.
 *
 * @since 0.1.0
 * @category models
 */
export interface FleetEvent {
  /** The name. */
  readonly server: string
  /** The new status. */
  readonly status: Errors.ServerStatus | "left"
  /** Why, in words, if there is something to say. */
  readonly reason?: string
}

/**
 * Options of {@link Service.drain}.
 *
 * @since 0.1.0
 * @category models
 */
export interface DrainOptions {
  /** Whether ready jobs `"wait"` for their consumers, or `"move"` to other servers. Default: `"wait"`. */
  readonly ready?: "wait" | "move" | undefined
  /** Whether delayed jobs `"wait"` until they are ready, or `"move"` with the rest of their delay. Default: `"wait"`. */
  readonly delayed?: "wait" | "move" | undefined
  /** Whether buried jobs stay and are part of the `"report"`, or `"move"` as buried jobs. Default: `"report"`. */
  readonly buried?: "report" | "move" | undefined
  /** How long to wait, before it reports what is left. Default: forever. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * What has become of the jobs of a server.
 *
 * @since 0.1.0
 * @category models
 */
export interface DrainReport {
  /** The server. */
  readonly server: string
  /** How many jobs others have taken meanwhile. */
  readonly consumed: number
  /** How many jobs were moved to other servers. */
  readonly moved: number
  /** The jobs that are still there, by their states. */
  readonly left: {
    readonly ready: number
    readonly reserved: number
    readonly delayed: number
    readonly buried: number
  }
}

export { FleetServerStats, FleetTubeStats }

/**
 * The service of a client over several servers, and what only a fleet has.
 *
 * - `server` is all names, joined with commas.
 * - `put` and `putAll` put on one server each. References are in the order of the bodies. `putAll` fills several servers.
 * - `reserve` takes what is ready on some server, and waits on all of them otherwise. A worker does this better.
 * - `reserveJob`, `delete`, `peek`, `kickJob` and `statsJob` need a `JobRef` or a job. An id alone is an `InvalidArgument`.
 * - `peekReady`, `peekDelayed` and `peekBuried` look at the first job of each server, and give the first of these: by
 *   priority and age, by the delay that is left, by age.
 * - `kick` kicks buried jobs of all servers, and delayed ones only if none is buried on any.
 * - `pauseTube` pauses on all servers that have the tube. If some of them cannot be asked, it fails with `PartlyDone`.
 * - `stats` and `statsTube` are sums, with their parts: {@link FleetServerStats}, {@link FleetTubeStats}.
 * - `listTubes` gives the names of all servers.
 * - `health` is reachable while one server is. `poolStats` are sums.
 * - `connection` and `run` are of one server: `on(server)` has them. Here they fail with the reason `InvalidOptions`.
 *
 * A server that cannot be asked is no part of the answer. If none can, the command fails.
 *
 * @since 0.1.0
 * @category services
 */
export interface Service extends Client.Service {
  /** The statistics of all servers, added up, and those of each. (protocol: `stats`) */
  readonly stats: Effect.Effect<FleetServerStats, Protocol.Failure<"stats">>
  /** The statistics of a tube on all servers, added up, and those of each. (protocol: `stats-tube`) */
  readonly statsTube: (tube: string) => Effect.Effect<FleetTubeStats, Protocol.Failure<"statsTube">>
  /** The servers, and how the fleet sees each of them now. Nothing is asked of them. */
  readonly servers: Effect.Effect<ReadonlyArray<ServerState>>
  /** What changes from now on. Who reads slowly misses the oldest of more than 1024 events. */
  readonly events: Stream.Stream<FleetEvent>
  /** The whole service of one server. `NotFound` if the fleet has no server of this name. */
  readonly on: (server: string) => Effect.Effect<Client.Service, Errors.NotFound>
  /**
   * Empties a server: it takes no more jobs from this process, its consumers take what is ready, and what `options` say is
   * moved. It ends when no job is ready, reserved or delayed there. A job is moved by a copy elsewhere and then deleted, so a
   * crash in between leaves it twice. The server stays in the fleet as `leaving`, and other processes go on putting there:
   * tell them by `leaving: true` in their list. (protocol: `stats`, `list-tubes`, `peek-delayed`, `peek-buried`, `put`,
   * `reserve-job`, `bury`, `delete`)
   */
  readonly drain: (
    server: string,
    options?: DrainOptions
  ) => Effect.Effect<
    DrainReport,
    Errors.NotFound | Errors.InvalidArgument | Errors.BeanstalkdError | Protocol.Failure<"put">
  >
}

/**
 * The service tag of the fleet. {@link layer} provides `Client.Beanstalkd` with the same service.
 *
 * @since 0.1.0
 * @category services
 */
export class Fleet extends Context.Service<Fleet, Service>()("effect-beanstalkd/Fleet/Fleet") {}

/**
 * Makes a fleet, which ends with the Scope, and all connections with it. It dials its servers and waits for none of them.
 * Options that are not allowed fail with the reason `InvalidOptions`, before anything is dialed.
 *
 * ```ts
 * import { type Client, Fleet } from "effect-beanstalkd"
 * import { Context, Layer } from "effect"
 *
 * // A tag of its own for the servers of billing, for tubes with `client: Billing`.
 * class Billing extends Context.Service<Billing, Client.Service>()("app/Billing") {
 *   static readonly layer = Layer.effect(Billing, Fleet.make({ servers: ["beanstalk://10.0.0.2", "beanstalk://10.0.0.3"] }))
 * }
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <R = never>(
  options: Options<R>
): Effect.Effect<Service, Errors.BeanstalkdError, R | Scope.Scope> => makeFleet("Fleet.make", options)

const both = (service: Service): Context.Context<Fleet | Client.Beanstalkd> =>
  Context.make(Fleet, service).pipe(Context.add(Client.Beanstalkd, service))

/**
 * A fleet as a layer, which provides `Client.Beanstalkd` as well. It builds although no server is up.
 *
 * ```ts
 * import { Fleet, Tube } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const Emails = Tube.make("emails", { codec: "text" })
 *
 * const program = Emails.put("hello").pipe(
 *   Effect.provide(Fleet.layer({ servers: ["beanstalk://a.internal:11300", "beanstalk://b.internal:11300"] }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <R = never>(
  options: Options<R>
): Layer.Layer<Fleet | Client.Beanstalkd, Errors.BeanstalkdError, R> =>
  Layer.effectContext(Effect.map(makeFleet("Fleet.layer", options), both))

/**
 * A fleet as a layer whose options come from the configuration.
 *
 * ```ts
 * import { Fleet } from "effect-beanstalkd"
 * import { Config, Schema } from "effect"
 *
 * const live = Fleet.layerConfig({
 *   servers: Config.schema(Schema.Array(Schema.String), "BEANSTALKD_SERVERS")
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<Fleet | Client.Beanstalkd, Errors.BeanstalkdError | Config.ConfigError> =>
  Layer.effectContext(
    unwrapConfig("Fleet.layerConfig", options).pipe(
      Effect.flatMap((options) => makeFleet("Fleet.layerConfig", options)),
      Effect.map(both)
    )
  )

const NO_SERVER = "no server"

// The service of the context, or else that of Node.
const withDns = <A, E, R>(effect: Effect.Effect<A, E, R | Dns.Dns>): Effect.Effect<A, E, Exclude<R, Dns.Dns>> =>
  Effect.flatMap(Effect.serviceOption(Dns.Dns), (given) => {
    const dns = Option.isSome(given)
      ? Layer.succeed(Dns.Dns, given.value)
      : Layer.unwrap(Effect.map(Effect.promise(() => import("@effect/platform-node/NodeDns")), (node) => node.layer))
    return Effect.provide(effect, dns)
  })

const fromUrl = Effect.fnUntraced(function*(operation: string, url: string, options: Omit<Options, "servers">) {
  const named = yield* Effect.mapError(Effect.fromResult(readUrl(operation, url)), (error) => refused(NO_SERVER, error))
  if ("servers" in named) return yield* makeFleet<never>(operation, { ...options, servers: named.servers })
  const { tls, ...others } = options
  return yield* withDns(makeFleet<Dns.Dns>(operation, { ...others, servers: fromDnsImpl(named.name, { tls }) }))
})

/**
 * A fleet as a layer for the servers of a URL: `beanstalk://a:11300,b:11300` or `beanstalk+tls://a,b`; or for those that DNS
 * has under a name, as SRV records: `beanstalk+srv://beanstalkd.jobs.svc.cluster.local`. DNS is asked again every 10 seconds,
 * by the `Dns` service of the context, or else by that of `@effect/platform-node`.
 *
 * ```ts
 * import { Fleet } from "effect-beanstalkd"
 *
 * const live = Fleet.layerUrl("beanstalk://10.0.0.2:11300,10.0.0.3:11300", { ambiguous: "again" })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerUrl = (
  url: string,
  options: Omit<Options, "servers"> = {}
): Layer.Layer<Fleet | Client.Beanstalkd, Errors.BeanstalkdError> =>
  Layer.effectContext(Effect.map(fromUrl("Fleet.layerUrl", url, options), both))

/**
 * How DNS is asked by {@link fromDns}.
 *
 * @since 0.1.0
 * @category models
 */
export interface FromDnsOptions extends DnsOptions {
  /** The service of which the name has servers: `beanstalkd` asks for `_beanstalkd._tcp.` and the name. Default: none. */
  readonly service?: string | undefined
  /** How long to wait until DNS is asked again. Default: 10 seconds. */
  readonly refresh?: Duration.Input | undefined
  /** The TLS options of the servers. Default: none. */
  readonly tls?: ServerOptions["tls"]
}

/**
 * The servers that DNS has under a name, as SRV records, for the option `servers`. A lookup that fails is logged and changes
 * nothing. The identity of a server is the target of its record, and its weight that of the record.
 *
 * ```ts
 * import { Fleet } from "effect-beanstalkd"
 *
 * // It needs the service `Dns` of `effect/net/Dns`, such as `NodeDns.layer` of `@effect/platform-node`.
 * const live = Fleet.layer({ servers: Fleet.fromDns("beanstalkd.jobs.svc.cluster.local", { refresh: "30 seconds" }) })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromDns: (
  name: string,
  options?: FromDnsOptions
) => Stream.Stream<ReadonlyArray<ServerOptions>, never, Dns.Dns> = fromDnsImpl

/**
 * The servers of {@link layerMemory}, for tests that end one, freeze it, or look into it.
 *
 * @since 0.1.0
 * @category services
 */
export class MemoryServers
  extends Context.Service<MemoryServers, ReadonlyArray<Server.Service>>()("effect-beanstalkd/Fleet/MemoryServers")
{}

const makeMemory = Effect.fnUntraced(function*(count: number, options: Omit<Options, "servers">) {
  const operation = "Fleet.layerMemory"
  const most = Validate.wholeNumber(operation, "count", count, 1)
  if (most instanceof Errors.InvalidArgument) return yield* refused(NO_SERVER, most)
  const servers = yield* Effect.orDie(Effect.forEach(Array.from({ length: most }), () => Server.makeMemory()))
  const all = servers.map(({ clientOptions }) => clientOptions)
  const service = yield* makeFleet<never>(operation, { ...options, servers: all })
  return both(service).pipe(Context.add(MemoryServers, servers))
})

/**
 * A fleet of servers in memory as one layer, for tests: what passes on it passes on a fleet of real ones.
 *
 * ```ts
 * import { Fleet, Tube } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const Emails = Tube.make("emails", { codec: "text" })
 *
 * const test = Effect.gen(function*() {
 *   yield* Emails.putAll(["a", "b", "c"])
 *   const { currentJobsReady, parts } = yield* Effect.flatMap(Fleet.Fleet, (fleet) => fleet.statsTube("emails"))
 *   return { currentJobsReady, servers: parts.length }
 * }).pipe(Effect.provide(Fleet.layerMemory(3)))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory = (
  count: number,
  options: Omit<Options, "servers"> = {}
): Layer.Layer<Fleet | Client.Beanstalkd | MemoryServers, Errors.BeanstalkdError> =>
  Layer.effectContext(makeMemory(count, options))
