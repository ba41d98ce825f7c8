/**
 * A network that begins to swallow everything, on all connections at once, and of which nobody is told.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Stream } from "effect"
import { Client, Consumer, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import type { Dialer } from "../../src/internal/connection/transport.ts"

/** A dialer whose connections can all be made to swallow what is sent; those that are dialled afterwards do not. */
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
      // Each comes while the one before is in hand, so that another connection waits for it.
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
      // The server gives it to one that does not hear of it.
      yield* sound.put("emails", "e", { ttr: "3 seconds" })
      // A reserve of 30 seconds, 10 seconds of silence, and another dial.
      for (let i = 0; i < 60; i++) yield* TestClock.adjust("1 second")
      assert.isDefined(next.pollUnsafe(), "it waits on one silent connection after the other")
      assert.strictEqual(yield* Fiber.join(next), "e")
    }))
})
