/**
 * A server that refuses reserves: it is asked again, at the pace of the backoff, and not in a loop.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Client, Consumer, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import type { Dialer, Handlers } from "../../src/internal/connection/transport.ts"
import { jobStats, withBody } from "../support/scripted/Commands.ts"
import { start } from "../support/scripted/Peer.ts"
import * as OddDialer from "../support/OddDialer.ts"
import { keepLog, silently } from "../support/Workplace.ts"

/** A server in memory that has one job, and then refuses to give another. */
const refusing = () => {
  const server = { reserves: 0, dials: 0, refuses: true }
  const answerTo = (line: string): string | undefined => {
    if (line.startsWith("watch")) return "WATCHING 2\r\n"
    if (line.startsWith("ignore")) return "WATCHING 1\r\n"
    if (line.startsWith("stats-job")) return jobStats(5)
    if (line.startsWith("touch")) return "TOUCHED\r\n"
    if (!line.startsWith("reserve")) return undefined
    server.reserves++
    if (server.reserves === 1) return withBody("RESERVED 7", "hello")
    return server.refuses ? "INTERNAL_ERROR\r\n" : withBody(`RESERVED ${server.reserves}`, "again")
  }
  const write = (handlers: Handlers) => (bytes: Uint8Array) => {
    for (const line of Buffer.from(bytes).toString("latin1").split("\r\n")) {
      const answer = answerTo(line)
      if (answer !== undefined) queueMicrotask(() => handlers.onData(Buffer.from(answer)))
    }
    return true
  }
  const dialer: Dialer = {
    server: "refusing",
    open: (handlers) =>
      Effect.sync(() => {
        server.dials++
        return { write: write(handlers), destroy: () => {} }
      })
  }
  return { dialer, server }
}

describe("a server that refuses reserves to a connection that holds a job", () => {
  it.effect("is asked about once per second, keeps that job with its connection, and is noticed when it is well", () =>
    Effect.gen(function*() {
      const { dialer, server } = refusing()
      const client = yield* Client.make({ dialer })
      const texts: Array<string> = []
      const pulling = Consumer.fromClient(client, "jobs", { maxConnections: 1, maxInFlight: 2, prefetch: 1 }).pipe(
        Stream.tap((job) => Effect.sync(() => texts.push(job.text))),
        Stream.mapEffect(() => Effect.never, { concurrency: 4 }),
        Stream.runDrain
      )
      yield* start(pulling)
      for (let n = 0; n < 300; n++) yield* TestClock.adjust("100 millis")
      assert.isAtLeast(server.reserves, 10)
      assert.isAtMost(server.reserves, 40)
      assert.deepStrictEqual(texts, ["hello"])
      assert.strictEqual(server.dials, 2)
      server.refuses = false
      for (let n = 0; n < 30; n++) yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(texts, ["hello", "again"])
    }).pipe(silently))
})

describe("a server that refuses to watch a tube", () => {
  it.effect("is told once per minute, with its answer", () => {
    const { log, logged } = keepLog()
    return Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const oddities: OddDialer.Oddities = { refused: new Set(["watch"]), answer: "INTERNAL_ERROR" }
      const client = yield* Client.make({ dialer: OddDialer.refusing(server.clientOptions.dialer!, oddities) })
      yield* start(Stream.runDrain(Consumer.fromClient(client, "jobs")))
      for (let n = 0; n < 30; n++) yield* TestClock.adjust("1 second")
      const lines = log.map(({ level, message }) => `${level}: ${message}`)
      assert.deepStrictEqual(lines, [
        "Warn: memory refuses watch: INTERNAL_ERROR: the server says that it has a bug"
      ])
    }).pipe(Effect.scoped, logged)
  })
})
