/**
 * Which jobs there are, though the protocol cannot be asked: old ones far below the newest, and those of a server that
 * takes no more.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Client, Connection, Server } from "effect-beanstalkd"
import * as InProcess from "./inProcess.ts"

/** A server on which other jobs have come and gone, so that the ids of those that are left lie far apart. */
const gappy = Effect.fnUntraced(function*(...gaps: ReadonlyArray<number>) {
  const server = yield* Server.make({ port: 0 })
  const client = yield* Client.make(server.clientOptions)
  const connection = yield* Connection.make(server.clientOptions)
  const left: Array<number> = []
  for (const gap of gaps) {
    left.push((yield* client.put(gap % 2 === 0 ? "even" : "odd", "left")).id)
    const gone = yield* client.putAll("gone", Array.from({ length: gap }, () => "x"))
    yield* Effect.forEach(gone, ({ id }) => connection.delete(id), { concurrency: "unbounded", discard: true })
  }
  const ids = (...args: ReadonlyArray<string>) =>
    Effect.map(InProcess.run(["--port", `${server.port}`, "jobs", "--json", ...args]), ({ code, stdout }) => {
      assert.strictEqual(code, 0)
      return stdout.trim().split("\n").filter((line) => line !== "").map((line): number => JSON.parse(line).id)
    })
  return { client, ids, left, server }
})

describe("jobs", () => {
  it.live("are found wherever their ids are, and in order", () =>
    Effect.gen(function*() {
      const { ids, left } = yield* gappy(3, 4096, 8190, 5001, 0)
      assert.deepStrictEqual(yield* ids(), left)
      assert.deepStrictEqual(yield* ids("even"), [left[1], left[2], left[4]])
      assert.deepStrictEqual(yield* ids("odd"), [left[0], left[3]])
      assert.deepStrictEqual(yield* ids("even", "odd"), left)
    }))

  it.live("of a server that takes no more are found as well", () =>
    Effect.gen(function*() {
      const { ids, left, server } = yield* gappy(3, 4096, 5000, 1)
      yield* server.drain
      assert.deepStrictEqual(yield* ids(), left)
      assert.deepStrictEqual(yield* ids("even"), [left[1], left[2]])
    }))

  it.live("that are the first or the last are found, and nothing where there is none", () =>
    Effect.gen(function*() {
      const { client, ids, left } = yield* gappy(4095)
      assert.deepStrictEqual(yield* ids(), left)
      yield* Effect.scoped(Effect.flatMap(client.reserve("odd"), (job) => job.delete))
      assert.deepStrictEqual(yield* ids(), [])
      const { id } = yield* client.put("odd", "last")
      assert.deepStrictEqual(yield* ids(), [id])
    }))
})
