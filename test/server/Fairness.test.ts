/**
 * One client cannot have the server to itself: however much it sends at once, others get their answers in between.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Server } from "effect-beanstalkd"
import { once } from "node:events"
import * as Net from "node:net"

const COMMANDS = 100_000

it.live("a client that sends 100,000 commands at once does not keep another from its answer", () =>
  Effect.scoped(Effect.gen(function*() {
    const { port } = yield* Server.make({ port: 0 })
    const dial = Effect.acquireRelease(
      Effect.promise(async () => {
        const socket = Net.connect(port!, "127.0.0.1")
        await once(socket, "connect")
        return socket
      }),
      (socket) => Effect.sync(() => socket.destroy())
    )
    const greedy = yield* dial
    const modest = yield* dial
    let replies = 0
    const isServed = new Promise<void>((resolve) =>
      greedy.on("data", (piece: Buffer) => {
        replies += piece.toString("latin1").split("USING").length - 1
        if (replies >= 100) resolve()
      })
    )
    greedy.write("list-tube-used\r\n".repeat(COMMANDS))
    yield* Effect.promise(() => isServed)
    modest.write("list-tube-used\r\n")
    yield* Effect.promise(() => once(modest, "data"))
    assert.isBelow(replies, COMMANDS / 2)
  })))
