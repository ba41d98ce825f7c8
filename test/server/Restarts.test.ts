/**
 * The embedded server killed and started again, and out of memory.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Connection } from "effect-beanstalkd"
import { onLayer } from "../support/Fixture.ts"

describe("restart", () => {
  it.effect("cuts off all, keeps all jobs, makes reserved ones ready, and forgets pauses, counts and that it drains", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      const { id: reserved } = yield* beanstalkd.put("emails", "reserved")
      const { id: delayed } = yield* beanstalkd.put("emails", "delayed", { delay: "1 minute" })
      const { id: buried } = yield* beanstalkd.put("other", "buried")
      const job = yield* beanstalkd.reserve("emails")
      yield* (yield* beanstalkd.reserve("other")).bury()
      yield* beanstalkd.pauseTube("emails", "1 hour")
      yield* server.drain
      yield* server.restart
      assert.strictEqual((yield* Effect.flip(job.delete))._tag, "BeanstalkdError")
      const stats = yield* beanstalkd.stats
      assert.deepStrictEqual(
        [stats.currentJobsReady, stats.currentJobsDelayed, stats.currentJobsBuried, stats.cmdPut, stats.draining],
        [1, 1, 1, 0, false]
      )
      assert.strictEqual((yield* beanstalkd.statsJob(delayed)).state, "delayed")
      assert.strictEqual((yield* beanstalkd.statsJob(buried)).state, "buried")
      assert.strictEqual((yield* beanstalkd.reserve("emails", { timeout: 0 })).id, reserved)
      assert.isTrue((yield* beanstalkd.put("emails", "another")).id > buried)
    })))

  it.effect("gives what one connection held to no other that is cut off as well", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* beanstalkd.put("emails", "hello")
      yield* beanstalkd.reserve("emails")
      const waiting = yield* Connection.make({ ...server.clientOptions, watch: "emails" })
      yield* Effect.forkChild(waiting.reserve, { startImmediately: true })
      yield* server.awaitReservers("emails")
      yield* server.restart
      assert.isTrue(yield* waiting.closed)
      assert.strictEqual(yield* (yield* beanstalkd.reserve("emails")).attempt, 2)
    })))
})

describe("a shortage of memory", () => {
  it.effect("for jobs refuses puts, with their bodies, and nothing else", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      yield* beanstalkd.put("emails", "before")
      yield* server.injectFaults({ shortage: "jobs" })
      assert.strictEqual((yield* Effect.flip(beanstalkd.put("emails", "delete 1\r\n")))._tag, "OutOfMemory")
      yield* (yield* beanstalkd.reserve("emails")).release()
      yield* server.injectFaults({})
      assert.isTrue((yield* beanstalkd.put("emails", "after")).id > 1)
    })))

  it.effect("for queues buries what is put and released", () =>
    onLayer(Effect.fnUntraced(function*(beanstalkd, server) {
      const { id } = yield* beanstalkd.put("emails", "before")
      const job = yield* beanstalkd.reserve("emails")
      yield* server.injectFaults({ shortage: "queues" })
      assert.strictEqual((yield* Effect.flip(beanstalkd.put("emails", "hello")))._tag, "JobBuried")
      assert.strictEqual((yield* Effect.flip(job.release({ priority: 7 })))._tag, "JobBuried")
      yield* server.injectFaults({})
      const { pri, state } = yield* beanstalkd.statsJob(id)
      assert.deepStrictEqual([pri, state], [7, "buried"])
      assert.strictEqual(yield* beanstalkd.kick("emails", 10), 2)
    })))
})
