/**
 * A network that begins to swallow everything, on all connections at once, without closing one.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Queue, Stream } from "effect"
import { Client, Consumer, Server, Tube, Worker } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import type { Dialer } from "../../src/internal/connection/transport.ts"

/** A dialer whose connections can all be made to swallow what is sent. Those that are dialed afterwards do not. */
const swallowing = (dialer: Dialer) => {
  const open: Array<{ isSwallowing: boolean }> = []
  const swallower: Dialer = {
    ...dialer,
    open: (handlers) => {
      const state = { isSwallowing: false }
      open.push(state)
      const onData = (bytes: Uint8Array) => state.isSwallowing ? undefined : handlers.onData(bytes)
      return Effect.map(dialer.open({ ...handlers, onData }), (transport) => ({
        ...transport,
        write: (bytes) => state.isSwallowing || transport.write(bytes)
      }))
    }
  }
  return {
    dialer: swallower,
    swallow: Effect.sync(() => {
      for (const state of open) state.isSwallowing = true
    }),
    /** The one that was dialed as this one, from 0. */
    silence: (nth: number) =>
      Effect.sync(() => {
        open[nth]!.isSwallowing = true
      })
  }
}

describe("a stream on a network that swallows everything", () => {
  it.effect("notices it once, however many connections it has", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const sound = yield* Client.make(server.clientOptions)
      const { dialer, swallow } = swallowing(server.clientOptions.dialer!)
      const client = yield* Client.make({ dialer })
      const jobs = yield* Queue.unbounded<string>()
      yield* Consumer.fromClient(client, "emails").pipe(
        Stream.mapEffect(
          (job) =>
            Effect.sleep("1 second").pipe(Effect.andThen(job.delete), Effect.andThen(Queue.offer(jobs, job.text))),
          { concurrency: 4 }
        ),
        Stream.runDrain,
        Effect.forkScoped
      )
      // Each job comes while the one before it is in hand, so that another connection waits for it.
      for (const text of ["a", "b", "c", "d"]) {
        yield* server.awaitReservers("emails")
        yield* sound.put("emails", text)
        yield* TestClock.adjust("100 millis")
      }
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Queue.takeAll(jobs), ["a", "b", "c", "d"])
      assert.isAtLeast(yield* server.connectionCount, 4)
      yield* swallow
      const next = yield* Effect.forkScoped(Queue.take(jobs))
      // The server gives the job to a connection that does not hear of it.
      yield* sound.put("emails", "e", { ttr: "3 seconds" })
      // A reserve of 30 seconds, 10 seconds of silence, and another dial.
      for (let i = 0; i < 60; i++) yield* TestClock.adjust("1 second")
      assert.isDefined(next.pollUnsafe(), "it waits on one silent connection after the other")
      assert.strictEqual(yield* Fiber.join(next), "e")
    }))
})

describe("a worker of which one connection has become silent", () => {
  it.effect("closes those that do nothing, and neither one that has a job nor the one that waits", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const sound = yield* Client.make(server.clientOptions)
      const { dialer, silence } = swallowing(server.clientOptions.dialer!)
      const client = yield* Client.make({ dialer })
      const texts = ["a", "b", "c"] as const
      const mayEnd = { a: yield* Latch.make(), b: yield* Latch.make(), c: yield* Latch.make() }
      const interrupted: Array<string> = []
      const handler = (text: string) =>
        Effect.onInterrupt(mayEnd[text as keyof typeof mayEnd].await, () => Effect.sync(() => interrupted.push(text)))
      yield* Worker.run(Tube.make("emails", { codec: "text" }), handler, { concurrency: 4, crashGuard: false }).pipe(
        Effect.provideService(Client.Beanstalkd, client),
        Effect.forkScoped
      )
      for (const text of texts) {
        yield* server.awaitReservers("emails")
        yield* sound.put("emails", text, { ttr: "1 hour" })
        yield* TestClock.adjust("100 millis")
      }
      // The shared one of each client, three with a job each, one that waits.
      assert.strictEqual(yield* server.connectionCount, 6)
      yield* mayEnd.c.open
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* server.connectionCount, 6)
      // The answer to the delete does not come. Connection 0 is the shared one.
      yield* silence(1)
      yield* mayEnd.a.open
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual(yield* server.connectionCount, 6)
      yield* TestClock.adjust("1 second")
      const { currentWaiting, totalConnections } = yield* sound.stats
      assert.deepStrictEqual(
        { currentWaiting, totalConnections, connections: yield* server.connectionCount, interrupted },
        { currentWaiting: 1, totalConnections: 6, connections: 4, interrupted: [] }
      )
      yield* mayEnd.b.open
      yield* TestClock.adjust("1 second")
      assert.propertyVal(yield* Effect.flip(sound.peekReady("emails")), "_tag", "NotFound")
    }))
})
