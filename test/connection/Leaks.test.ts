/**
 * A connection leaves nothing behind, however it ends: no socket, no timer, nothing that keeps a process alive.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { freePort } from "../support/FreePort.ts"
import { selfSigned } from "../support/SelfSigned.ts"
import * as Program from "../support/Program.ts"

const nobody = Effect.map(freePort, (port) => ({ port }))

const tls = FakeServer.silent({ tls: selfSigned })

const ways: ReadonlyArray<{
  readonly what: string
  readonly way: string
  readonly times?: number
  readonly server: Effect.Effect<FakeServer.Serving | { readonly port: number }, never, Scope.Scope>
}> = [
  { what: "Scopes closed over commands on their way", way: "inFlight", server: FakeServer.silent() },
  { what: "Scopes closed over bytes that nobody reads", way: "unsent", times: 25, server: FakeServer.deaf() },
  { what: "dials where nobody listens", way: "refused", server: nobody },
  { what: "certificates that are not trusted", way: "untrusted", times: 25, server: tls },
  { what: "interrupted TLS handshakes", way: "interrupted", server: FakeServer.silent() },
  { what: "openings interrupted at every stage", way: "withdrawn", server: FakeServer.silent() },
  { what: "deaths by silence", way: "silent", server: FakeServer.silent() },
  { what: "interrupted reserves", way: "reserving", server: FakeServer.silent() }
]

describe("a process that has seen many", { concurrent: true }, () => {
  it.live.each(ways)(
    "$what ends by itself, and holds no socket and no timer",
    ({ server, times = 100, way }) =>
      Effect.gen(function*() {
        const peer = yield* server
        const { code, report, stderr } = yield* Program.run(
          new URL("programs/Leaks.ts", import.meta.url),
          way,
          peer.port,
          times
        )
        assert.deepStrictEqual({ code, report, stderr }, { code: 0, report: [], stderr: "" })
        if (!("sockets" in peer) || way === "unsent") return
        yield* eventually(Effect.sync(() => assert.isTrue(peer.sockets.every((socket) => socket.destroyed))))
      })
  )
})
