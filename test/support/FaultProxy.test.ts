/**
 * The fault proxy does what its plan says, seen from both of its ends.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Net from "node:net"
import { eventually } from "./Eventually.ts"
import * as FaultProxy from "./FaultProxy.ts"
import * as Serve from "./Serve.ts"

/** A client of the proxy, and what it has seen. */
const dial = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const seen = { pieces: [] as Array<string>, end: "", socket: Net.connect({ port, allowHalfOpen: true }) }
      seen.socket.setEncoding("latin1").on("data", (text: string) => seen.pieces.push(text))
      seen.socket.on("end", () => seen.end ||= "fin").on("error", () => seen.end = "reset")
      return seen
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

/**
 * The client says `hello`, to which the server, that says nothing else, answers `goodbye`; then both have seen this.
 */
const sees = Effect.fnUntraced(function*(
  plan: FaultProxy.Plan,
  expected: { readonly server: string; readonly client: string; readonly end: string }
) {
  const server = yield* Serve.serve((socket) => {
    socket.once("data", () => socket.write("goodbye"))
  }, { allowHalfOpen: true })
  const proxy = yield* FaultProxy.make(server, plan)
  const client = yield* dial(proxy.port)
  client.socket.write("hello")
  yield* eventually(
    Effect.sync(() =>
      assert.deepStrictEqual({ server: server.received(), client: client.pieces.join(""), end: client.end }, expected)
    )
  )
  return { server, proxy, client }
})

describe("a proxy", () => {
  it.live("passes everything on", () => sees({}, { server: "hello", client: "goodbye", end: "" }))

  it.live("cuts after so many bytes to the client, which is told or reset", () =>
    Effect.gen(function*() {
      for (const [how, end] of [["fin", "fin"], ["reset", "reset"], ["half-close", "fin"]] as const) {
        yield* sees({ down: { cut: { after: 3, how } } }, { server: "hello", client: "goo", end })
      }
    }))

  it.live("cuts after so many bytes to the server", () =>
    Effect.gen(function*() {
      yield* sees({ up: { cut: { after: 2, how: "reset" } } }, { server: "he", client: "", end: "reset" })
      // Only the server hears of this cut, and its bytes still arrive.
      yield* sees({ up: { cut: { after: 2, how: "half-close" } } }, { server: "he", client: "goodbye", end: "" })
    }))

  it.live("falls silent without a word to anybody, until the client goes", () =>
    Effect.gen(function*() {
      const { client, proxy, server } = yield* sees({ up: { cut: { after: 5, how: "silence" } } }, {
        server: "hello",
        client: "",
        end: ""
      })
      client.socket.write("is anybody there?")
      client.socket.destroy()
      yield* eventually(Effect.sync(() => assert.isFalse(proxy.links[0]!.isOpen)))
      assert.strictEqual(server.received(), "hello")
    }))

  it.live("passes on bytes one by one, or together", () =>
    Effect.gen(function*() {
      yield* sees({ up: { pieces: 1 }, down: { pieces: 1 } }, { server: "hello", client: "goodbye", end: "" })
      const plan = { down: { coalesce: 50 } }
      const { client, server } = yield* sees(plan, { server: "hello", client: "goodbye", end: "" })
      server.sockets[0]!.write("so ")
      server.sockets[0]!.write("long")
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(client.pieces, ["goodbye", "so long"])))
    }))

  it.live("keeps connections from the server: swallows, ignores or resets them", () =>
    Effect.gen(function*() {
      for (const gate of ["black-hole", "deaf"] as const) {
        const { server } = yield* sees({ gate }, { server: "", client: "", end: "" })
        assert.strictEqual(server.connections(), 0)
      }
      yield* sees({ gate: "reset" }, { server: "", client: "", end: "reset" })
    }))

  it.live("refuses to be dialled, and accepts again on the same port", () =>
    Effect.gen(function*() {
      const { client, proxy } = yield* sees({}, { server: "hello", client: "goodbye", end: "" })
      yield* proxy.refuse
      const refused = yield* dial(proxy.port)
      yield* eventually(Effect.sync(() => assert.strictEqual(refused.end, "reset")))
      assert.strictEqual(client.end, "")
      yield* proxy.accept
      const accepted = yield* dial(proxy.port)
      accepted.socket.write("hello")
      yield* eventually(Effect.sync(() => assert.deepStrictEqual(accepted.pieces, ["goodbye"])))
    }))
})
