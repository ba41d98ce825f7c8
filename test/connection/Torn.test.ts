/**
 * A job of which the server, killed as it wrote its binlog, has brought back nothing but the length. A reserve that
 * gets it cannot go on with its connection, and would meet it again and again.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Stream } from "effect"
import { Client, Consumer, Errors, Protocol, Tube, Worker } from "effect-beanstalkd"
import type * as Net from "node:net"
import { eventually } from "../support/Eventually.ts"
import * as FakeServer from "../support/FakeServer.ts"
import { withBody } from "../support/scripted/Commands.ts"

/**
 * Has a torn job 7, which can be deleted at the second try, and then a job 8. A reserve that comes in
 * between waits until then, so that the number of tries does not depend on how fast the client dials.
 */
const makeServer = Effect.gen(function*() {
  const said: Array<string> = []
  let tries = 0
  let wasReserved = false
  let isDeleted = false
  const waiting: Array<Net.Socket> = []
  const reserve = (socket: Net.Socket): string | undefined => {
    if (isDeleted) return withBody("RESERVED 8", "hello")
    if (wasReserved) return void waiting.push(socket)
    wasReserved = true
    return "RESERVED 7 3\r\n\0\0\0\0\0"
  }
  const answer = (socket: Net.Socket, line: string): string | undefined => {
    said.push(line)
    if (line.startsWith("watch")) return "WATCHING 2\r\n"
    if (line.startsWith("ignore")) return "WATCHING 1\r\n"
    if (line === "delete 8") return "DELETED\r\n"
    if (line === "reserve-with-timeout 0") return "TIMED_OUT\r\n"
    if (line.startsWith("reserve")) return said.includes("delete 8") ? undefined : reserve(socket)
    if (line !== "delete 7") return void socket.destroy()
    isDeleted = tries++ > 0
    if (isDeleted) { for (const reserving of waiting.splice(0)) reserving.write(withBody("RESERVED 8", "hello")) }
    return isDeleted ? "DELETED\r\n" : "NOT_FOUND\r\n"
  }
  const server = yield* FakeServer.serve((socket) => {
    socket.on("data", (bytes: Buffer) => {
      for (const line of bytes.toString("latin1").trimEnd().split("\r\n")) {
        const reply = answer(socket, line)
        if (reply !== undefined) socket.write(reply, "latin1")
      }
    })
  })
  return { said, port: server.port }
})

describe("a torn job", () => {
  it.live("is deleted by a stream, which goes on", () =>
    Effect.gen(function*() {
      const { port, said } = yield* makeServer
      const bodies = yield* Consumer.stream("work").pipe(
        Stream.mapEffect((job) => Effect.as(job.delete, job.text)),
        Stream.take(1),
        Stream.runCollect,
        Effect.provide([Client.layer({ port }), Logger.layer([])])
      )
      assert.deepStrictEqual(bodies, ["hello"])
      assert.strictEqual(said.filter((line) => line === "delete 7").length, 2)
    }))

  it.live("is deleted by a worker, whose handler does not see it", () =>
    Effect.gen(function*() {
      const { port, said } = yield* makeServer
      const bodies: Array<string> = []
      const worker = Worker.run(Tube.make("work", { codec: "text" }), (text) => Effect.sync(() => bodies.push(text)), {
        crashGuard: false
      })
      yield* Effect.forkChild(Effect.provide(worker, [Client.layer({ port }), Logger.layer([])]))
      yield* eventually(Effect.sync(() => assert.include(said, "delete 8")))
      assert.deepStrictEqual(bodies, ["hello"])
    }))

  it.live("is told apart in the error of a reserve, with its id", () =>
    Effect.gen(function*() {
      const { port } = yield* makeServer
      const beanstalkd = yield* Client.make({ port })
      const error = yield* Effect.flip(Effect.scoped(beanstalkd.reserve("work")))
      assert.instanceOf(error, Errors.BeanstalkdError)
      assert.isTrue(error.sent)
      assert.deepInclude(error.reason, { _tag: "UnexpectedReply", tornJob: Protocol.JobId.make(7) })
    }))
})
