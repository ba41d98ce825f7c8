/**
 * Bytes to and from a server: TCP, a unix socket, or TLS, through `node:net` and `node:tls`. It dials, hands pieces over
 * as they come, and says once why it ended. What the bytes mean is the business of `Connection`.
 *
 * Node's sockets are used without Effect's `Socket` in between: a connection must know what was handed to the socket
 * and what was not, must be able to drop unsent bytes at once, and runs its parser in the very turn in which bytes
 * arrive.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { invalidOptions } from "../protocol/invalidOptions.ts"
import * as Validate from "../protocol/validate.ts"
import * as Errors from "../../Errors.ts"
import { describeCause } from "../protocol/describe.ts"
import { DEFAULT_PORT } from "../protocol/scalars.ts"

/**
 * Where the server is and how to reach it.
 *
 * - `host`, `port`: default 127.0.0.1 and 11300; `path`: a unix socket instead
 * - `url`: all of these in one, `beanstalk://host:port`, `beanstalk+tls://host:port` or `unix:///path`; the other
 *   options win over it
 * - `tls`: for a TLS proxy in front of the server; `true`, or the options of `node:tls` (`ca`, `cert`, `key`, ...)
 * - `connectTimeout`: default 5 seconds, the TLS handshake included
 * - `keepAlive`: TCP keep-alive, by default after 30 seconds of silence; `false` for none
 * - `dialer`: another way to reach a server than through a socket, such as that of a `Server` in memory; the options
 *   above do not matter then
 */
export interface Options {
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly path?: string | undefined
  readonly url?: string | undefined
  readonly tls?: boolean | Tls.ConnectionOptions | undefined
  readonly connectTimeout?: Duration.Input | undefined
  readonly keepAlive?: boolean | Duration.Input | undefined
  readonly dialer?: Dialer | undefined
}

/** Their names. */
export const OPTIONS = Validate.optionNames<Options>({
  host: true,
  port: true,
  path: true,
  url: true,
  tls: true,
  connectTimeout: true,
  keepAlive: true,
  dialer: true
})

/**
 * What a transport tells its owner. `onClose` is called once, and nothing after it.
 */
export interface Handlers {
  readonly onData: (piece: Uint8Array) => void
  readonly onDrain: () => void
  readonly onClose: (reason: Errors.BeanstalkdErrorReason) => void
}

/**
 * An open connection to a server, of bytes.
 */
export interface Transport {
  /** Hands bytes over; `false` asks to wait for `onDrain` before handing over more. */
  readonly write: (bytes: Uint8Array) => boolean
  /** Replies come before `write` returns, so that nothing is gained by waiting for more to send. */
  readonly isSynchronous?: boolean | undefined
  /** Ends at once: what has not been sent is dropped, and no handler is called any more. */
  readonly destroy: () => void
}

/**
 * A server that can be dialled: its address, as errors show it, and the effect that opens a transport to it, which ends
 * with the Scope.
 */
export interface Dialer {
  readonly server: string
  readonly open: (handlers: Handlers) => Effect.Effect<Transport, Errors.BeanstalkdErrorReason, Scope.Scope>
}

const DEFAULT_CONNECT_TIMEOUT = Duration.seconds(5)
const DEFAULT_KEEP_ALIVE = Duration.seconds(30)

const URL_RULE = "a URL of the form beanstalk://host:port, beanstalk+tls://host:port or unix:///path"

const refuse = (argument: string, value: unknown, rule: string) =>
  Result.fail(new Errors.InvalidArgument({ operation: "connect", argument, value, rule }))

/** What a URL says of where the server is. */
export const fromUrl = (url: string): Result.Result<Options, Errors.InvalidArgument> => {
  const parsed = typeof url === "string" ? URL.parse(url) : null
  const wrong = refuse("url", url, URL_RULE)
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

type Address = { readonly path: string } | { readonly host: string; readonly port: number }

const addressOf = ({ host, path, port }: Options): Address =>
  path !== undefined ? { path } : { host: host ?? "127.0.0.1", port: port ?? DEFAULT_PORT }

/** An address as errors show it; also what is none, for the error that says so. */
export const show = (address: Address): string => {
  if ("path" in address) return `unix:${describeCause(address.path)}`
  const host = describeCause(address.host)
  return `${Net.isIPv6(host) ? `[${host}]` : host}:${describeCause(address.port)}`
}

interface Settings {
  readonly address: Address
  readonly tls: Tls.ConnectionOptions | undefined
  readonly connectTimeout: Duration.Duration
  readonly keepAliveMillis: number | undefined
}

const checkAddress = (address: Address): Result.Result<Address, Errors.InvalidArgument> => {
  if ("path" in address) {
    return typeof address.path === "string" && address.path !== ""
      ? Result.succeed(address)
      : refuse("path", address.path, "the path of a unix socket")
  }
  if (typeof address.host !== "string" || address.host === "") {
    return refuse("host", address.host, "a host name or an address")
  }
  return Number.isInteger(address.port) && address.port >= 1 && address.port <= 65_535
    ? Result.succeed(address)
    : refuse("port", address.port, "an integer from 1 to 65535")
}

const isTls = (tls: unknown): boolean =>
  tls === undefined || typeof tls === "boolean" ||
  (typeof tls === "object" && tls !== null && !Array.isArray(Validate.toArray(tls)))

// Options come from configuration files and environment variables, so they are checked although they are typed.
const settingsOf = (options: Options): Result.Result<Settings, Errors.InvalidArgument> => {
  const address = checkAddress(addressOf(options))
  if (Result.isFailure(address)) return Result.fail(address.failure)
  if (!isTls(options.tls)) {
    return refuse("tls", options.tls, "true, false, or the options of node:tls")
  }
  const connectTimeout = Validate.positiveDuration(
    "connect",
    "connectTimeout",
    options.connectTimeout ?? DEFAULT_CONNECT_TIMEOUT
  )
  if (connectTimeout instanceof Errors.InvalidArgument) return Result.fail(connectTimeout)
  const keepAlive = options.keepAlive === undefined || options.keepAlive === true
    ? DEFAULT_KEEP_ALIVE
    : options.keepAlive === false
    ? undefined
    : Validate.keepAlive("connect", "keepAlive", options.keepAlive)
  if (keepAlive instanceof Errors.InvalidArgument) return Result.fail(keepAlive)
  return Result.succeed({
    address: address.success,
    tls: options.tls === true ? {} : options.tls === false ? undefined : options.tls,
    connectTimeout,
    keepAliveMillis: keepAlive === undefined ? undefined : Math.max(1000, Duration.toMillis(keepAlive))
  })
}

// An IP address is no server name in TLS.
const serverName = (address: Address): Tls.ConnectionOptions =>
  "host" in address && Net.isIP(address.host) === 0 ? { servername: address.host } : {}

const connect = (settings: Settings): Net.Socket =>
  settings.tls === undefined
    ? Net.connect(settings.address)
    : Tls.connect({ ...serverName(settings.address), ...settings.tls, ...settings.address })

// The finalizer comes before the socket, so that there is no moment at which an interruption could leave one behind.
const dial = Effect.fnUntraced(function*(settings: Settings, handlers: Handlers) {
  let socket: Net.Socket | undefined
  yield* Effect.addFinalizer(() => Effect.sync(() => socket?.destroy()))
  return yield* Effect.callback<Transport, Errors.BeanstalkdErrorReason>((resume) => {
    try {
      socket = connect(settings)
    } catch (cause) {
      return resume(Effect.fail(new Errors.OpenError({ cause })))
    }
    const dialled = socket
    let open = false
    const fail = (cause: Error) => {
      if (open) return
      dialled.destroy()
      resume(Effect.fail(new Errors.OpenError({ cause })))
    }
    // These stay for the life of the socket: an error that nobody listens to would end the process.
    dialled.on("error", fail)
    dialled.on("close", () => fail(new Error("the server closed the connection while it was being opened")))
    dialled.once(settings.tls === undefined ? "connect" : "secureConnect", () => {
      open = true
      dialled.setNoDelay(true)
      if (settings.keepAliveMillis !== undefined) dialled.setKeepAlive(true, settings.keepAliveMillis)
      resume(Effect.succeed(fromSocket(dialled, handlers)))
    })
    return Effect.sync(() => dialled.destroy())
  })
})

const fromSocket = (socket: Net.Socket, handlers: Handlers): Transport => {
  let ended = false
  const end = (reason: Errors.BeanstalkdErrorReason) => {
    if (ended) return
    ended = true
    handlers.onClose(reason)
  }
  socket.on("data", (piece: Uint8Array) => {
    if (!ended) handlers.onData(piece)
  })
  socket.on("drain", () => {
    if (!ended) handlers.onDrain()
  })
  socket.on("end", () => end(new Errors.ConnectionClosed({ detail: "the server closed it" })))
  socket.on(
    "error",
    (cause: NodeJS.ErrnoException) =>
      end(cause.syscall === "write" ? new Errors.WriteError({ cause }) : new Errors.ReadError({ cause }))
  )
  socket.on("close", () => end(new Errors.ConnectionClosed({ detail: "the socket was closed" })))
  return {
    write: (bytes) => socket.write(bytes),
    destroy: () => {
      ended = true
      socket.destroy()
    }
  }
}

const isDialer = (value: Dialer): boolean => {
  try {
    return typeof value.server === "string" && typeof value.open === "function"
  } catch {
    return false
  }
}

const refusingDialer = (value: unknown): Dialer => ({
  server: describeCause(value),
  open: () =>
    Effect.fail(
      new Errors.InvalidOptions({ operation: "connect", argument: "dialer", value, rule: "a Dialer" })
    )
})

/**
 * The dialer for these options. Options that make no sense fail when it is used, as the reason `InvalidOptions`.
 */
export const make = (options: Options): Dialer => {
  if (options.dialer !== undefined) return isDialer(options.dialer) ? options.dialer : refusingDialer(options.dialer)
  const url = options.url === undefined ? Result.succeed({}) : fromUrl(options.url)
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const all: Options = { ...Result.getOrElse(url, () => ({})), ...given }
  const settings = Result.flatMap(url, () => settingsOf(all))
  return {
    server: Result.isFailure(url) ? describeCause(options.url) : show(addressOf(all)),
    open: (handlers) => {
      if (Result.isFailure(settings)) return Effect.fail(invalidOptions(settings.failure))
      const { connectTimeout } = settings.success
      return dial(settings.success, handlers).pipe(
        Effect.timeoutOrElse({
          duration: connectTimeout,
          orElse: () => Effect.fail(new Errors.OpenTimeout({ timeoutMillis: Duration.toMillis(connectTimeout) }))
        })
      )
    }
  }
}
