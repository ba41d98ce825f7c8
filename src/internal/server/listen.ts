/**
 * A server on a socket. It needs `@effect/platform-node`, and what that brings, so this module is loaded only when a server
 * is to listen: no client has to install it.
 */
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { lstatSync, rmSync } from "node:fs"
import * as Net from "node:net"
import type { EngineHost } from "./engineHost.ts"
import { acceptFrom, type Place } from "./socketServer.ts"

// A process that was killed leaves its unix socket behind, and `listen` fails with EADDRINUSE there. Any other file stays,
// and any other trouble is reported by `listen`.
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
 * Listens until the Scope is closed, and gives the TCP port, or undefined for a unix socket. It fails with the error of
 * `node:net`.
 */
export const listen = Effect.fnUntraced(function*(
  host: EngineHost,
  place: Place
): Effect.fn.Return<number | undefined, unknown, Scope.Scope> {
  if ("path" in place) yield* removeAbandoned(place.path)
  // Uninterruptible: interrupted before there is a server to close, its Scope would never end.
  const server = yield* NodeSocketServer.make({ ...place, allowHalfOpen: true, noDelay: true, keepAlive: true }).pipe(
    Effect.uninterruptible,
    Effect.mapError((error) => error.reason.cause)
  )
  yield* acceptFrom(host, server)
  return server.address._tag === "UnixPathAddress" ? undefined : server.address.port
})
