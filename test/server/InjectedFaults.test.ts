/**
 * A faulty server is faulty in the way that a test asks for, and in no other.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Client, Connection, Errors, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { Buffer } from "node:buffer"
import { onServer } from "../support/Fixture.ts"
import { type Faults, FaultyOutput } from "../../src/internal/server/faults.ts"

const latin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "latin1"))

/** An output that writes down what reaches it and when, on a clock that the test sets forward. */
const makeOutput = () => {
  const came: Array<string> = []
  const timers: Array<{ readonly at: number; readonly task: () => void }> = []
  let now = 0
  let faults: Faults = {}
  let takesMore = true
  const output = new FaultyOutput(
    () => faults,
    {
      write: (bytes) => {
        came.push(`${now}: ${Buffer.from(bytes).toString("latin1")}`)
        return takesMore
      },
      end: () => came.push(`${now}: end`),
      drop: () => came.push(`${now}: drop`),
      resume: () => came.push(`${now}: resume`)
    },
    (millis, task) => timers.push({ at: now + millis, task })
  )
  return {
    came,
    output,
    write: (text: string) => output.write(latin1(text)),
    inject: (next: Faults) => {
      faults = next
    },
    congest: () => {
      takesMore = false
    },
    advance: (millis: number) => {
      const end = now + millis
      while (true) {
        const next = timers.toSorted((a, b) => a.at - b.at)[0]
        if (next === undefined || next.at > end) break
        timers.splice(timers.indexOf(next), 1)
        now = Math.max(now, next.at)
        next.task()
      }
      now = end
    }
  }
}

describe("replies", () => {
  it("pass a sound output at once, and so does everything else", () => {
    const { came, congest, output, write } = makeOutput()
    assert.isTrue(write("a"))
    congest()
    assert.isFalse(write("b"))
    output.resume()
    output.end()
    output.drop()
    assert.deepStrictEqual(came, ["0: a", "0: b", "0: resume", "0: end", "0: drop"])
  })

  it("are in pieces when they are split, none of them longer than was asked for", () => {
    const { came, inject, write } = makeOutput()
    inject({ split: 3 })
    write("abcdefgh")
    write("abc")
    inject({ split: 1 })
    write("xyz")
    inject({ split: 1_000 })
    write("whole")
    assert.deepStrictEqual(came, ["abc", "def", "gh", "abc", "x", "y", "z", "whole"].map((piece) => `0: ${piece}`))
  })

  it("say to wait when any piece of them did, and are written to their end all the same", () => {
    const { came, congest, inject, write } = makeOutput()
    inject({ split: 1 })
    assert.isTrue(write("ab"))
    congest()
    assert.isFalse(write("cd"))
    assert.deepStrictEqual(came, ["0: a", "0: b", "0: c", "0: d"])
  })

  it("are what garble makes of them, nothing too, and are split after that", () => {
    const { came, inject, write } = makeOutput()
    inject({ garble: (bytes) => bytes.map((byte) => byte + 1), split: 2 })
    write("abc")
    inject({ garble: () => new Uint8Array(0) })
    write("abc")
    inject({ garble: () => new Uint8Array(0), split: 1 })
    write("abc")
    assert.deepStrictEqual(came.filter((text) => text !== "0: "), ["0: bc", "0: d"])
  })

  it("do not come while it is mute, nor afterwards", () => {
    const { came, inject, write } = makeOutput()
    inject({ mute: true })
    assert.isTrue(write("a"))
    inject({})
    write("b")
    assert.deepStrictEqual(came, ["0: b"])
  })

  it("come later by the delay, each of them", () => {
    const { advance, came, inject, write } = makeOutput()
    inject({ delay: "100 millis" })
    assert.isTrue(write("a"))
    advance(50)
    write("b")
    advance(1_000)
    assert.deepStrictEqual(came, ["100: a", "150: b"])
  })

  it("are garbled and split as it was when they were sent, also when they come late", () => {
    const { advance, came, inject, write } = makeOutput()
    inject({ delay: 10, split: 1 })
    write("ab")
    inject({ delay: 10 })
    write("cd")
    advance(10)
    assert.deepStrictEqual(came, ["10: a", "10: b", "10: cd"])
  })

  it("come neither sooner nor out of order when the delay shrinks", () => {
    const { advance, came, inject, write } = makeOutput()
    inject({ delay: "100 millis" })
    write("a")
    inject({ delay: "10 millis" })
    write("b")
    inject({})
    write("c")
    advance(1_000)
    assert.deepStrictEqual(came, ["100: a", "100: b", "100: c"])
  })

  it("are at once again when none is late any more", () => {
    const { advance, came, inject, write } = makeOutput()
    inject({ delay: 10 })
    write("a")
    advance(10)
    inject({})
    write("b")
    assert.deepStrictEqual(came, ["10: a", "10: b"])
  })

  it("come before the end, and no sooner because of it", () => {
    const { advance, came, inject, output, write } = makeOutput()
    inject({ delay: "100 millis" })
    write("a")
    write("b")
    output.end()
    advance(1_000)
    assert.deepStrictEqual(came, ["100: a", "100: b", "100: end"])
  })

  it("do not come after the output was dropped", () => {
    const { advance, came, inject, output, write } = makeOutput()
    inject({ delay: "100 millis" })
    write("a")
    output.drop()
    advance(1_000)
    assert.strictEqual(came[0], "0: drop")
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// A client of a faulty server
// ---------------------------------------------------------------------------------------------------------------------

const open = onServer({ make: Server.makeMemory })()

const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("a client", () => {
  it.effect("gets its answers when the delay is over, in the order of its commands", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open
      const done: Array<string> = []
      const put = (text: string) => start(Effect.map(beanstalkd.put("work", text), () => done.push(text)))
      yield* server.injectFaults({ delay: "5 seconds" })
      const first = yield* put("first")
      yield* TestClock.adjust("1 second")
      const second = yield* put("second")
      yield* TestClock.adjust("3999 millis")
      assert.deepStrictEqual(done, [])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(first)
      assert.deepStrictEqual(done, ["first"])
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(second)
      yield* server.injectFaults({})
      assert.strictEqual((yield* beanstalkd.peekReady("work")).text, "first")
    }))

  it.effect("gets no answer before its delay is over because a later one has none", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open
      yield* server.injectFaults({ delay: "5 seconds" })
      const late = yield* start(beanstalkd.put("work", "late"))
      yield* server.injectFaults({})
      const next = yield* start(beanstalkd.put("work", "next"))
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual([late.pollUnsafe(), next.pollUnsafe()], [undefined, undefined])
      yield* TestClock.adjust("1 second")
      assert.isBelow((yield* Fiber.join(late)).id, (yield* Fiber.join(next)).id)
    }))

  it.effect("reads answers that are split into single bytes", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open
      yield* server.injectFaults({ split: 1 })
      const body = Uint8Array.from({ length: 300 }, (_, i) => i % 256)
      const ids = (yield* beanstalkd.putAll("work", [body, "two", ""])).map(({ id }) => id)
      const job = yield* beanstalkd.reserve("work")
      assert.deepStrictEqual([job.id, job.body], [ids[0], body])
      assert.deepInclude(yield* beanstalkd.statsTube("work"), { currentJobsReady: 2, currentJobsReserved: 1 })
    }))

  it.effect("says UnexpectedReply of one that is garbled, and is well again when the server is", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open
      yield* server.injectFaults({ garble: () => latin1("RETREIVED 1\r\n") })
      const { reason } = (yield* Effect.flip(beanstalkd.put("default", "x"))) as Errors.BeanstalkdError
      assert.deepInclude(reason, { _tag: "UnexpectedReply", reply: "RETREIVED 1" })
      yield* server.injectFaults({})
      // A server whose first reply is garbled is dialed again after a pause.
      const putting = yield* start(beanstalkd.put("default", "y"))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(putting)
      // The first was put all the same.
      assert.deepInclude(yield* beanstalkd.statsTube("default"), { totalJobs: 2 })
    }))

  it.effect("waits in vain for a mute server, which has done what it was told", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open
      yield* server.injectFaults({ mute: true })
      const putting = yield* start(Effect.flip(beanstalkd.put("work", "x")))
      yield* TestClock.adjust("1 minute")
      const error = (yield* Fiber.join(putting)) as Errors.BeanstalkdError
      assert.deepStrictEqual([error.sent, error.reason._tag], [true, "CommandTimeout"])
      yield* server.injectFaults({})
      const other = yield* Client.make(server.clientOptions)
      assert.deepInclude(yield* other.statsTube("work"), { totalJobs: 1 })
    }))

  it.effect("is refused as a new one, and served as one that was there before", () =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open
      yield* server.injectFaults({ refuse: true })
      const failures = [
        yield* Effect.flip(Client.make(server.clientOptions)),
        yield* Effect.flip(Connection.make(server.clientOptions))
      ]
      for (const { message, reason } of failures) {
        assert.strictEqual(reason._tag, "OpenError")
        assert.include(message, "refuses")
      }
      yield* beanstalkd.put("work", "x")
      yield* server.injectFaults({})
      const late = yield* Client.make(server.clientOptions)
      assert.strictEqual((yield* late.peekReady("work")).text, "x")
    }))
})

describe("a fault that is none", () => {
  const wrong: Record<string, Faults> = {
    "a split of 0": { split: 0 },
    "a split of half a byte": { split: 0.5 },
    "a split of NaN": { split: NaN },
    "a delay below 0": { delay: -1 },
    "a delay of NaN": { delay: NaN }
  }
  it.effect.each(Object.entries(wrong))("%s is refused, and changes nothing", ([, faults]) =>
    Effect.gen(function*() {
      const { beanstalkd, server } = yield* open
      yield* server.injectFaults({ split: 2 })
      const error = yield* Effect.flip(server.injectFaults(faults))
      assert.instanceOf(error, Errors.InvalidArgument)
      assert.strictEqual(error.argument, Object.keys(faults)[0])
      yield* beanstalkd.put("work", "x")
    }))
})
