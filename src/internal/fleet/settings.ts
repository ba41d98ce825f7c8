/**
 * The options of a fleet: its servers and how it uses them, checked and with their defaults.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Client from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import type { Options, Route, ServerOptions } from "../../Fleet.ts"
import * as ConnectionOptions from "../connection/options.ts"
import * as PoolSettings from "../pool/settings.ts"
import { refused } from "../protocol/invalidOptions.ts"
import * as Validate from "../protocol/validate.ts"
import type { MemberSettings } from "./member.ts"
import type { WhenDown } from "./placement.ts"

/** How long a server of a fleet may be silent: not as long as the only one, since others can take over. */
export const DEFAULT_COMMAND_TIMEOUT = Duration.seconds(2)

const DEFAULT_PATIENCE = Duration.seconds(10)

const DEFAULT_JOIN_DELAY = Duration.seconds(1)

type Own = Pick<Options, "servers" | "route" | "whenDown" | "ambiguous" | "patience" | "joinDelay">

const OWN = Validate.optionNames<Own>({
  servers: true,
  route: true,
  whenDown: true,
  ambiguous: true,
  patience: true,
  joinDelay: true
})

// What is said of each server by itself, or makes no sense for several.
const NOT_SHARED: ReadonlySet<string> = new Set(["host", "port", "path", "url", "dialer", "use", "watch"])

const SHARED = PoolSettings.OPTIONS.filter((name) => !NOT_SHARED.has(name)) as ReadonlyArray<keyof Options>

const SERVER = Validate.optionNames<ServerOptions>({
  host: true,
  port: true,
  path: true,
  url: true,
  tls: true,
  dialer: true,
  name: true,
  weight: true,
  leaving: true
})

/** One server of a list, checked. */
export interface Listed {
  readonly server: string
  readonly options: Client.Options
  readonly settings: MemberSettings
}

/** What becomes of a put that may have been done. */
type Ambiguous = "fail" | "again"

/** What a fleet was told, but for its servers. */
export interface Settings {
  readonly client: Client.Options
  readonly route: Route
  readonly whenDown: WhenDown
  readonly ambiguous: Ambiguous
  readonly patienceMillis: number
  readonly joinDelay: Duration.Duration
}

type Servers<R> = ReadonlyArray<Listed> | Stream.Stream<ReadonlyArray<string | ServerOptions>, never, R>

const WHEN_DOWN: ReadonlyArray<WhenDown> = ["elsewhere", "wait"]
const AMBIGUOUS: ReadonlyArray<Ambiguous> = ["fail", "again"]

const NO_SERVER = "no server"

const checked = <A>(value: A | Errors.InvalidArgument): Result.Result<A, Errors.BeanstalkdError> =>
  value instanceof Errors.InvalidArgument ? Result.fail(refused(NO_SERVER, value)) : Result.succeed(value)

const routeOf = (operation: string, route: Route | undefined): Route | Errors.InvalidArgument =>
  route === undefined || route === "spread" || route === "tube" || typeof route === "function"
    ? route ?? "spread"
    : Validate.refuse(operation, "route", route, "\"spread\", \"tube\", or a function that gives a key")

const weightOf = (operation: string, weight: number | undefined): number | Errors.InvalidArgument =>
  weight === undefined || (typeof weight === "number" && weight > 0 && Number.isFinite(weight))
    ? weight ?? 1
    : Validate.refuse(operation, "weight", weight, "a number greater than 0")

const nameOf = (operation: string, name: string | undefined): string | undefined | Errors.InvalidArgument =>
  name === undefined || (typeof name === "string" && /^[^\s,]+$/.test(name))
    ? name
    : Validate.refuse(operation, "name", name, "text without white space and commas, not empty")

/** Checks one server of a list. `shared` has the options of all. */
const readServer = (operation: string, given: string | ServerOptions, shared: Client.Options) =>
  Result.gen(function*() {
    const server = yield* checked(
      typeof given === "string" ? { url: given } : Validate.snapshot<ServerOptions>(operation, given, SERVER)
    )
    const { leaving, name, weight, ...address } = server
    const settings: MemberSettings = {
      weight: yield* checked(weightOf(operation, weight)),
      isLeaving: yield* checked(Validate.flag(operation, "leaving", leaving))
    }
    const own = yield* checked(nameOf(operation, name))
    const resolved = yield* ConnectionOptions.resolve(operation, { ...shared, ...address })
    const { dialer } = resolved
    const listed: Listed = {
      server: own ?? resolved.server,
      options: own === undefined
        ? { ...shared, ...address }
        : { ...shared, dialer: { server: own, open: dialer.open } },
      settings
    }
    return listed
  })

const listOf = (
  operation: string,
  given: unknown
): ReadonlyArray<string | ServerOptions> | Errors.InvalidArgument => {
  const list = Validate.toArray(given)
  return Array.isArray(list)
    ? list as ReadonlyArray<string | ServerOptions>
    : Validate.refuse(operation, "servers", given, "a list of servers, or a Stream of such lists")
}

/** Checks a list of servers, each of which must be there once. */
export const readList = (
  operation: string,
  given: unknown,
  shared: Client.Options
): Result.Result<ReadonlyArray<Listed>, Errors.BeanstalkdError> =>
  Result.gen(function*() {
    const list = yield* checked(listOf(operation, given))
    const all: Array<Listed> = []
    for (const server of list) {
      const listed = yield* readServer(operation, server, shared)
      if (all.some((other) => other.server === listed.server)) {
        yield* checked(Validate.refuse(operation, "servers", listed.server, "servers of different names"))
      }
      all.push(listed)
    }
    return all
  })

/** The options as they are now, checked. */
export const resolve = <R>(
  operation: string,
  given: Options<R>
): Effect.Effect<{ readonly settings: Settings; readonly servers: Servers<R> }, Errors.BeanstalkdError> =>
  Effect.fromResult(Result.gen(function*() {
    const options = yield* checked(Validate.snapshot(operation, given, [...OWN, ...SHARED]))
    const { ambiguous, joinDelay, patience, route, servers, whenDown, ...own } = options
    const client: Client.Options = { commandTimeout: DEFAULT_COMMAND_TIMEOUT, ...own }
    const duration = (argument: string, value: Duration.Input) => checked(Validate.duration(operation, argument, value))
    const settings: Settings = {
      client,
      route: yield* checked(routeOf(operation, route)),
      whenDown: yield* checked(Validate.oneOf(operation, "whenDown", whenDown ?? "elsewhere", WHEN_DOWN)),
      ambiguous: yield* checked(Validate.oneOf(operation, "ambiguous", ambiguous ?? "fail", AMBIGUOUS)),
      patienceMillis: Duration.toMillis(yield* duration("patience", patience ?? DEFAULT_PATIENCE)),
      joinDelay: yield* duration("joinDelay", joinDelay ?? DEFAULT_JOIN_DELAY)
    }
    if (Stream.isStream(servers)) return { settings, servers }
    const list = yield* readList(operation, servers, client)
    if (list.length === 0) yield* checked(Validate.refuse(operation, "servers", servers, "at least one server"))
    return { settings, servers: list }
  }))
