/**
 * The options of a connection, checked once before anything is dialed: defaults, the server's address, the way to it.
 */
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import type { Options } from "../../Connection.ts"
import * as Errors from "../../Errors.ts"
import { describeCause } from "../protocol/describe.ts"
import { refused } from "../protocol/invalidOptions.ts"
import { DEFAULT_PORT } from "../protocol/scalars.ts"
import * as Validate from "../protocol/validate.ts"
import { type Address, type Dialer, show, socketDialer, type SocketSettings } from "./transport.ts"

/** The names of all options. */
export const OPTIONS: ReadonlyArray<keyof Options> = Validate.optionNames<Options>({
  host: true,
  port: true,
  path: true,
  url: true,
  tls: true,
  connectTimeout: true,
  keepAlive: true,
  dialer: true,
  commandTimeout: true,
  maxReplySize: true,
  maxUnanswered: true,
  maxUnsentBytes: true,
  use: true,
  watch: true
})

/** How long a server may be silent unless the options say otherwise. */
export const DEFAULT_COMMAND_TIMEOUT: Duration.Duration = Duration.seconds(10)
const DEFAULT_CONNECT_TIMEOUT = Duration.seconds(5)
const DEFAULT_KEEP_ALIVE = Duration.seconds(30)
const DEFAULT_MAX_REPLY_SIZE = 64 * 1024 * 1024
const DEFAULT_MAX_UNANSWERED = 1024
const DEFAULT_MAX_UNSENT_BYTES = 256 * 1024

/** The settings of a pipeline. Times are in milliseconds, sizes in bytes. */
export interface PipelineSettings {
  /** The address, as errors show it. */
  readonly server: string
  readonly commandTimeoutMillis: number
  readonly maxReplySize: number
  readonly maxUnanswered: number
  readonly maxUnsentBytes: number
}

/** All that it takes to open connections. */
export interface ConnectionSettings extends PipelineSettings {
  readonly dialer: Dialer
  /** The tube to use, if it is not the server's default. */
  readonly use: string | undefined
  /** The tubes to watch, at least one. */
  readonly watch: ReadonlyArray<string>
}

type Checked<A> = Result.Result<A, Errors.InvalidArgument>

const checked = <A>(value: A | Errors.InvalidArgument): Checked<A> =>
  value instanceof Errors.InvalidArgument ? Result.fail(value) : Result.succeed(value)

const refuse = (operation: string, argument: string, value: unknown, rule: string) =>
  Result.fail(new Errors.InvalidArgument({ operation, argument, value, rule }))

// ---------------------------------------------------------------------------------------------------------------------
// The way to the server
// ---------------------------------------------------------------------------------------------------------------------

const URL_RULE = "a URL of the form beanstalk://host:port, beanstalk+tls://host:port or unix:///path"

/** What a URL says about the way to the server. */
export const fromUrl = (operation: string, url: string): Checked<Pick<Options, "host" | "port" | "path" | "tls">> => {
  const parsed = typeof url === "string" ? URL.parse(url) : null
  const wrong = refuse(operation, "url", url, URL_RULE)
  if (parsed === null || parsed.search !== "" || parsed.hash !== "" || parsed.username !== "") return wrong
  if (parsed.protocol === "unix:") {
    const path = Result.try(() => decodeURIComponent(parsed.pathname))
    return parsed.host === "" && Result.isSuccess(path) ? Result.succeed({ path: path.success }) : wrong
  }
  const isTls = parsed.protocol === "beanstalk+tls:"
  if (!isTls && parsed.protocol !== "beanstalk:") return wrong
  if (parsed.hostname === "" || (parsed.pathname !== "" && parsed.pathname !== "/")) return wrong
  return Result.succeed({
    host: parsed.hostname.replace(/^\[(.*)\]$/, "$1"),
    ...(parsed.port === "" ? {} : { port: Number(parsed.port) }),
    ...(isTls ? { tls: true } : {})
  })
}

const addressOf = ({ host, path, port }: Options): Address =>
  path !== undefined ? { path } : { host: host ?? "127.0.0.1", port: port ?? DEFAULT_PORT }

// Options come from configuration files and environment variables, so they are checked although they are typed.
const checkAddress = (operation: string, address: Address): Checked<Address> => {
  if ("path" in address) {
    return typeof address.path === "string" && address.path !== ""
      ? Result.succeed(address)
      : refuse(operation, "path", address.path, "the path of a unix socket")
  }
  if (typeof address.host !== "string" || address.host === "") {
    return refuse(operation, "host", address.host, "a host name or an address")
  }
  return Number.isInteger(address.port) && address.port >= 1 && address.port <= 65_535
    ? Result.succeed(address)
    : refuse(operation, "port", address.port, "an integer from 1 to 65535")
}

const checkTls = (operation: string, tls: Options["tls"]): Checked<SocketSettings["tls"]> => {
  if (tls === undefined || tls === false) return Result.succeed(undefined)
  if (tls === true) return Result.succeed({})
  return typeof tls === "object" && tls !== null && !Array.isArray(Validate.toArray(tls))
    ? Result.succeed(tls)
    : refuse(operation, "tls", tls, "true, false, or the options of node:tls")
}

const checkKeepAlive = (operation: string, keepAlive: Options["keepAlive"]): Checked<number | undefined> => {
  if (keepAlive === false) return Result.succeed(undefined)
  const after = keepAlive === undefined || keepAlive === true
    ? DEFAULT_KEEP_ALIVE
    : Validate.flagOrDuration(operation, "keepAlive", keepAlive)
  return Result.map(checked(after), (duration) => Math.max(1000, Duration.toMillis(duration)))
}

const socketSettings = (operation: string, options: Options): Checked<SocketSettings> =>
  Result.gen(function*() {
    const { connectTimeout = DEFAULT_CONNECT_TIMEOUT, keepAlive, tls } = options
    return {
      address: yield* checkAddress(operation, addressOf(options)),
      tls: yield* checkTls(operation, tls),
      connectTimeout: yield* checked(Validate.positiveDuration(operation, "connectTimeout", connectTimeout)),
      keepAliveMillis: yield* checkKeepAlive(operation, keepAlive)
    }
  })

const isDialer = (value: Dialer): boolean => {
  try {
    return typeof value.server === "string" && typeof value.open === "function"
  } catch {
    return false
  }
}

/** The way to a server: its address, as errors show it, and the dialer, or the option that is wrong. */
interface Route {
  readonly server: string
  readonly dialer: Checked<Dialer>
}

const route = (operation: string, options: Options): Route => {
  const { dialer, url } = options
  if (dialer !== undefined) {
    return isDialer(dialer)
      ? { server: dialer.server, dialer: Result.succeed(dialer) }
      : { server: describeCause(dialer), dialer: refuse(operation, "dialer", dialer, "a Dialer") }
  }
  const byUrl = url === undefined ? Result.succeed({}) : fromUrl(operation, url)
  if (Result.isFailure(byUrl)) return { server: describeCause(url), dialer: Result.fail(byUrl.failure) }
  const all: Options = { ...byUrl.success, ...options }
  return { server: show(addressOf(all)), dialer: Result.map(socketSettings(operation, all), socketDialer) }
}

// ---------------------------------------------------------------------------------------------------------------------
// All of it
// ---------------------------------------------------------------------------------------------------------------------

const watchedTubes = ({ watch }: Options): ReadonlyArray<string> => {
  if (watch === undefined) return ["default"]
  const tubes: ReadonlyArray<string> = Array.isArray(watch) ? watch : [watch]
  return tubes.length === 0 ? ["default"] : tubes
}

const settings = (operation: string, server: string, dialer: Checked<Dialer>, options: Options) =>
  Result.gen(function*() {
    const { commandTimeout = DEFAULT_COMMAND_TIMEOUT, use } = options
    const atLeastOne = (argument: keyof Options, value: number) =>
      checked(Validate.wholeNumber(operation, argument, value, 1))
    const timeout = yield* checked(Validate.positiveDuration(operation, "commandTimeout", commandTimeout))
    if (use !== undefined) yield* checked(Validate.tube(operation, "use", use))
    const watch = watchedTubes(options)
    for (const tube of watch) yield* checked(Validate.tube(operation, "watch", tube))
    const all: ConnectionSettings = {
      server,
      dialer: yield* dialer,
      use,
      watch,
      commandTimeoutMillis: Duration.toMillis(timeout),
      maxReplySize: yield* atLeastOne("maxReplySize", options.maxReplySize ?? DEFAULT_MAX_REPLY_SIZE),
      maxUnanswered: yield* atLeastOne("maxUnanswered", options.maxUnanswered ?? DEFAULT_MAX_UNANSWERED),
      maxUnsentBytes: yield* atLeastOne("maxUnsentBytes", options.maxUnsentBytes ?? DEFAULT_MAX_UNSENT_BYTES)
    }
    return all
  })

/** The address of the server unless the options say otherwise. */
export const DEFAULT_SERVER: string = show(addressOf({}))

/**
 * Options of these names as they are now, for all connections that are ever opened with them. `operation` is the
 * function that was called with them.
 */
export const read = <O extends Options>(
  operation: string,
  options: O,
  names: ReadonlyArray<keyof O>
): Result.Result<Partial<O>, Errors.BeanstalkdError> => {
  const all = Validate.snapshot(operation, options, names)
  if (all instanceof Errors.InvalidArgument) return Result.fail(refused(DEFAULT_SERVER, all))
  return Result.succeed(all.watch === undefined ? all : { ...all, watch: Validate.toArray(all.watch) })
}

/**
 * The settings that these options mean, with the reason `InvalidOptions` if one is not allowed. Nothing is dialed.
 * `operation` is the function that was called with them, such as `Connection.make`.
 */
export const resolve = (
  operation: string,
  options: Options
): Result.Result<ConnectionSettings, Errors.BeanstalkdError> =>
  Result.flatMap(read(operation, options, OPTIONS), (all) => {
    const { dialer, server } = route(operation, all)
    return Result.mapError(settings(operation, server, dialer, all), (invalid) => refused(server, invalid))
  })
