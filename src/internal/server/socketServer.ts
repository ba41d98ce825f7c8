/**
 * A server on the connections of Effect's service `SocketServer`, whichever package it is of.
 */
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import type * as SocketServer from "effect/socket/SocketServer"
import type { EngineHost } from "./engineHost.ts"
import { serve } from "./socket.ts"

/** Where a server listens. */
export type Place = { readonly path: string } | { readonly host: string; readonly port: number }

/** Where it listens, as clients on this machine reach it: on one that listens everywhere, by the loopback address. */
export const placeOf = (address: NetAddress.SocketAddress): Place => {
  if (address._tag === "UnixPathAddress") return { path: address.path }
  const everywhere = address._tag === "InetAddressV4" ? "127.0.0.1" : "::1"
  const host = NetAddress.isUnspecified(address.address) ? everywhere : NetAddress.formatIp(address.address)
  return { host, port: address.port }
}

/** Serves its connections until the Scope is closed. */
export const acceptFrom = (
  host: EngineHost,
  server: SocketServer.SocketServer["Service"]
): Effect.Effect<void, never, Scope.Scope> =>
  server.run(serve(host)).pipe(
    Effect.tapError((error) => Effect.logError("the server accepts no more connections", error)),
    Effect.forkScoped,
    Effect.asVoid
  )
