/**
 * A server that is wrong on purpose, to prove that the search for differences finds what it should.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import type { Running, StartOptions, Target } from "./Target.ts"

/** Passes everything on to `target`, and `change`s what comes back. */
export const falsified = (target: Target, change: (replies: string) => string): Target => ({
  ...target,
  name: "falsified",
  start: Effect.fnUntraced(function*(options?: StartOptions): Effect.fn.Return<Running, never, Scope.Scope> {
    const behind = yield* target.start(options)
    const sockets = new Set<Net.Socket>()
    const proxy = Net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const server = Net.connect({ host: behind.host, port: behind.port, allowHalfOpen: true, noDelay: true })
      server.setEncoding("latin1")
      client.on("data", (data) => server.write(data)).on("end", () => server.end())
      server.on("data", (text: string) => client.write(change(text), "latin1")).on("end", () => client.end())
      for (const [socket, other] of [[client, server], [server, client]] as const) {
        sockets.add(socket)
        socket.on("error", () => other.destroy()).on("close", () => other.destroy())
      }
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        proxy.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.sync(() => {
          for (const socket of sockets) socket.destroy()
          proxy.close()
        })
    )
    const { port } = proxy.address() as Net.AddressInfo
    return { host: "127.0.0.1", port, drain: behind.drain }
  })
})
