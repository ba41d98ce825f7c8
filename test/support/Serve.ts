/**
 * A listener that hands every connection to a test: the base of the scripted peer, and by itself a hostile server.
 * It keeps all bytes that came; when its scope closes, the listener and all connections are gone.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Tls from "node:tls"

export interface ServeOptions {
  /** The loopback TCP port. Default: a free one. */
  readonly port?: number | undefined
  /** The path of a Unix socket to listen on instead of TCP. */
  readonly path?: string | undefined
  /** Options for TLS. A connection then counts from the end of its handshake. */
  readonly tls?: { readonly key: string; readonly cert: string } | undefined
  /** Whether the server keeps its end open when the client ends its own. */
  readonly allowHalfOpen?: boolean | undefined
}

export interface Serving {
  readonly host: "127.0.0.1"
  /** 0 on a Unix socket. */
  readonly port: number
  /** All connections ever accepted, in that order, the closed ones too. */
  readonly sockets: ReadonlyArray<Net.Socket>
  /** The number of connections accepted so far. */
  readonly connections: () => number
  /** All bytes that came on that connection (default: 0) so far, as Latin-1: one character, one byte. */
  readonly received: (conn?: number) => string
  /** Stops listening: later dials are refused, open connections live on. */
  readonly refuse: Effect.Effect<void>
}

/** Errors of the socket are ignored, since tests often cut their peers off. */
export type Handler = (socket: Net.Socket, n: number) => void

const listen = (server: Net.Server, options: ServeOptions) =>
  Effect.callback<void>((resume) => {
    server.once("error", (error) => resume(Effect.die(error)))
    const listening = () => resume(Effect.void)
    if (options.path === undefined) server.listen(options.port ?? 0, "127.0.0.1", listening)
    else server.listen(options.path, listening)
  })

/** Listens, and gives each new connection, with its number (from 0), to `handler`. */
export const serve = Effect.fnUntraced(function*(
  handler: Handler,
  options: ServeOptions = {}
): Effect.fn.Return<Serving, never, Scope.Scope> {
  const sockets: Array<Net.Socket> = []
  const received: Array<string> = []
  const open = new Set<Net.Socket>()

  const accept = (socket: Net.Socket) => {
    const n = sockets.push(socket) - 1
    received[n] = ""
    socket.on("error", () => {})
    socket.on("data", (bytes: Buffer) => {
      received[n] += bytes.toString("latin1")
    })
    // One packet per write, since scripts cut replies into pieces.
    socket.setNoDelay(true)
    handler(socket, n)
  }

  const allowHalfOpen = options.allowHalfOpen ?? false
  const server = options.tls === undefined
    ? Net.createServer({ allowHalfOpen }, accept)
    : Tls.createServer({ ...options.tls, allowHalfOpen }, accept)
  // With TLS these are the sockets below, which must go even when the handshake never ended.
  server.on("connection", (socket: Net.Socket) => {
    open.add(socket)
    socket.on("close", () => open.delete(socket))
    socket.on("error", () => {})
  })

  yield* Effect.addFinalizer(() =>
    Effect.callback<void>((resume) => {
      // The callback comes when the last connection has closed, and also (with an error) if refuse was here before.
      server.close(() => resume(Effect.void))
      for (const socket of open) socket.destroy()
    })
  )
  yield* listen(server, options)
  const address = server.address()

  return {
    host: "127.0.0.1",
    port: typeof address === "object" && address !== null ? address.port : 0,
    sockets,
    connections: () => sockets.length,
    received: (conn = 0) => received[conn] ?? "",
    refuse: Effect.sync(() => {
      server.close()
    })
  }
})

/** Accepts and reads, and never writes: for timeouts, and to record what a client sends by itself. */
export const silent = (options?: ServeOptions): Effect.Effect<Serving, never, Scope.Scope> => serve(() => {}, options)

/** `silent`, by the name under which a test looks at the bytes rather than at the silence. */
export const recorder = silent

/** Accepts and never reads: after some megabytes in the buffers between, the client's writes do not go through. */
export const deaf = (options?: ServeOptions): Effect.Effect<Serving, never, Scope.Scope> =>
  serve((socket) => {
    socket.pause()
  }, options)
