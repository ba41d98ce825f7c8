/**
 * Bytes to and from a server: TCP, a unix socket, or TLS, through `node:net` and `node:tls`. A transport dials, hands
 * pieces over as they come, and says once why it ended. It does not know what the bytes mean.
 *
 * Node's sockets are used without Effect's `Socket` in between: a connection must know which bytes were handed to the
 * socket, must be able to drop unsent bytes at once, and runs its parser in the very tick in which bytes arrive.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Errors from "../../Errors.ts"
import { describeCause } from "../protocol/describe.ts"
import { MOST_AT_ONCE, SlicedWriter } from "./slicedWriter.ts"

/** The owner of a transport, as far as the transport calls it. */
export interface Handlers {
  /** Bytes have come. The piece may be kept. */
  readonly onData: (piece: Uint8Array) => void
  /** The transport takes bytes again, after a `write` that returned `false`. */
  readonly onDrain: () => void
  /**
   * A part of what was handed over has left, the last part or another one. A transport over a slow link should tell, so
   * that bytes which leave are not taken for silence.
   */
  readonly onSent?: ((isLast: boolean) => void) | undefined
  /** The transport has ended by itself. Called at most once; nothing is called after it. */
  readonly onClose: (reason: Errors.BeanstalkdErrorReason) => void
}

/** An open connection to a server, as a stream of bytes. */
export interface Transport {
  /** Hands bytes over. `false` asks to wait for `onDrain` before handing over more. */
  readonly write: (bytes: Uint8Array) => boolean
  /** Whether replies come before `write` returns. Commands are then written at once, not at the end of the tick. */
  readonly isSynchronous?: boolean | undefined
  /** Ends at once: unsent bytes are dropped, and no handler is called any more. */
  readonly destroy: () => void
}

/**
 * A way to a server other than a socket of this process: the option `dialer` of connections, pools and clients. The
 * embedded server has one in its `clientOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dialer {
  /** The address, as errors show it. */
  readonly server: string
  /** Opens a transport, which ends with the Scope. */
  readonly open: (handlers: Handlers) => Effect.Effect<Transport, Errors.BeanstalkdErrorReason, Scope.Scope>
}

/** Where a server listens. */
export type Address = { readonly path: string } | { readonly host: string; readonly port: number }

/** An address as errors show it. It need not be valid: the error that refuses it shows it too. */
export const show = (address: Address): string => {
  if ("path" in address) return `unix:${describeCause(address.path)}`
  const host = describeCause(address.host)
  return `${Net.isIPv6(host) ? `[${host}]` : host}:${describeCause(address.port)}`
}

/** The settings of a socket. */
export interface SocketSettings {
  readonly address: Address
  readonly tls: Tls.ConnectionOptions | undefined
  readonly connectTimeout: Duration.Duration
  /** After how much silence TCP keep-alive begins; undefined for none. */
  readonly keepAliveMillis: number | undefined
}

// TLS does not allow an IP address as a server name.
const serverName = (address: Address): Tls.ConnectionOptions =>
  "host" in address && Net.isIP(address.host) === 0 ? { servername: address.host } : {}

const connect = (settings: SocketSettings): Net.Socket =>
  settings.tls === undefined
    ? Net.connect(settings.address)
    : Tls.connect({ ...serverName(settings.address), ...settings.tls, ...settings.address })

// The finalizer comes before the socket, so that no interruption in between can leave a socket behind.
const dial = Effect.fnUntraced(function*(settings: SocketSettings, handlers: Handlers) {
  let socket: Net.Socket | undefined
  yield* Effect.addFinalizer(() => Effect.sync(() => socket?.destroy()))
  return yield* Effect.callback<Transport, Errors.BeanstalkdErrorReason>((resume) => {
    try {
      socket = connect(settings)
    } catch (cause) {
      return resume(Effect.fail(new Errors.OpenError({ cause })))
    }
    const dialed = socket
    const fail = (cause: Error) => {
      dialed.destroy()
      resume(Effect.fail(new Errors.OpenError({ cause })))
    }
    // These stay for the life of the socket, though nobody hears of them once it is open: an error without a listener would
    // end the process.
    dialed.on("error", fail)
    dialed.on("close", () => fail(new Error("the server closed the connection while it was being opened")))
    dialed.once(settings.tls === undefined ? "connect" : "secureConnect", () => {
      dialed.setNoDelay(true)
      if (settings.keepAliveMillis !== undefined) dialed.setKeepAlive(true, settings.keepAliveMillis)
      resume(Effect.succeed(fromSocket(dialed, handlers)))
    })
    return Effect.sync(() => dialed.destroy())
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
  const writer = new SlicedWriter(socket, {
    onSent: (isLast) => {
      if (!ended) handlers.onSent?.(isLast)
    },
    onDrain: () => {
      if (!ended) handlers.onDrain()
    }
  })
  socket.on("end", () => end(new Errors.ConnectionClosed({ detail: "the server closed it" })))
  socket.on(
    "error",
    (cause: NodeJS.ErrnoException) =>
      end(cause.syscall === "write" ? new Errors.WriteError({ cause }) : new Errors.ReadError({ cause }))
  )
  socket.on("close", () => end(new Errors.ConnectionClosed({ detail: "the socket was closed" })))
  return {
    write: (bytes) => bytes.length > MOST_AT_ONCE ? writer.write(bytes) : socket.write(bytes),
    destroy: () => {
      ended = true
      socket.destroy()
    }
  }
}

/** The dialer for a socket. */
export const socketDialer = (settings: SocketSettings): Dialer => ({
  server: show(settings.address),
  open: (handlers) =>
    dial(settings, handlers).pipe(
      Effect.timeoutOrElse({
        duration: settings.connectTimeout,
        orElse: () => Effect.fail(new Errors.OpenTimeout({ timeoutMillis: Duration.toMillis(settings.connectTimeout) }))
      })
    )
})
