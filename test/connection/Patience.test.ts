/**
 * Commands that may wait: until when, and with what.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { JobId } from "effect-beanstalkd/Protocol"
import { TestClock } from "effect/testing"
import { jobCounters } from "../../src/internal/connection/jobCounters.ts"
import { Patience } from "../../src/internal/connection/patience.ts"
import { CommandQueue } from "../../src/internal/connection/pipelineState.ts"
import { encode } from "../../src/internal/protocol/requestWriter.ts"
import type { AnyCommand, Request } from "../../src/internal/protocol/command.ts"
import { commands } from "../../src/Protocol.ts"

const id = JobId.make(7)

const add = (queue: CommandQueue, command: AnyCommand) =>
  queue.add(command, encode(command as typeof commands.delete, [id]) as Request, undefined)

const make = Effect.gen(function*() {
  let flushes = 0
  const patience = new Patience(() => flushes++, Effect.runForkWith(yield* Effect.context()))
  const queued = new CommandQueue()
  const sent = new CommandQueue()
  const holds = () => patience.holds(queued, sent)
  return { queued, sent, holds, flushes: () => flushes }
})

describe("what may wait", () => {
  it.effect("is held while many replies are to come, for a millisecond at most", () =>
    Effect.gen(function*() {
      const { flushes, holds, queued, sent } = yield* make
      assert.isFalse(holds(), "nothing is queued")
      add(queued, jobCounters)
      for (let n = 0; n < 7; n++) add(sent, commands.delete)
      assert.isFalse(holds(), "too few replies are to come")
      add(sent, commands.delete)
      assert.isTrue(holds())
      assert.isTrue(holds())
      assert.strictEqual(flushes(), 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(flushes(), 1)
      assert.isTrue(holds())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(flushes(), 2)
    }))

  it.effect("leaves with what may not", () =>
    Effect.gen(function*() {
      const { holds, queued, sent } = yield* make
      for (let n = 0; n < 8; n++) add(sent, commands.delete)
      const patient = add(queued, jobCounters)
      assert.isTrue(holds())
      const urgent = add(queued, commands.delete)
      assert.isFalse(holds())
      queued.remove(urgent)
      assert.isTrue(holds())
      queued.remove(patient)
      assert.isFalse(holds())
      add(queued, commands.delete)
      assert.isFalse(holds(), "what has left counts no more")
    }))
})
