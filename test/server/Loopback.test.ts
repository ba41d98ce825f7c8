/**
 * What one end writes has been read by the other when the outermost write returns; in order, and whatever a reader does.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Errors, Server } from "effect-beanstalkd"
import { TestClock } from "effect/testing"
import { Buffer } from "node:buffer"
import * as EngineHost from "../../src/internal/server/engineHost.ts"
import { Loopback } from "../../src/internal/server/loopback.ts"
import type { Handlers } from "../../src/internal/connection/transport.ts"

/** A network whose later turns come when the test says so. */
const makeNetwork = () => {
  const later: Array<() => void> = []
  const network = new Loopback((task) => later.push(task))
  return {
    network,
    later,
    runLater: () => {
      for (const task of later.splice(0)) task()
    }
  }
}

describe("pieces", () => {
  it("are there when deliver returns", () => {
    const { later, network } = makeNetwork()
    const came: Array<number> = []
    for (const n of [1, 2, 3]) {
      network.deliver(() => came.push(n))
      assert.strictEqual(came.length, n)
    }
    assert.deepStrictEqual([came, later], [[1, 2, 3], []])
  })

  it("that are sent while one is being read come after it, in the order in which they were sent", () => {
    const { network } = makeNetwork()
    const came: Array<string> = []
    const send = (name: string, ...answers: ReadonlyArray<string>) =>
      network.deliver(() => {
        came.push(`${name} (`)
        for (const answer of answers) send(answer, ...(answer.length < 3 ? [`${answer}x`] : []))
        came.push(`)`)
      })
    send("a", "b", "c")
    assert.strictEqual(came.join(""), "a ()b ()c ()bx ()cx ()bxx ()cxx ()")
  })

  it("go on in a later turn when a reader throws, and the writer is told", () => {
    const { network, runLater } = makeNetwork()
    const came: Array<number> = []
    const send = () =>
      network.deliver(() => {
        for (const n of [1, 2, 3]) network.deliver(() => came.push(n))
        throw new Error("unreadable")
      })
    assert.throws(send, "unreadable")
    assert.deepStrictEqual(came, [])
    // Nothing overtakes what is on its way.
    network.deliver(() => came.push(4))
    assert.deepStrictEqual(came, [])
    runLater()
    assert.deepStrictEqual(came, [1, 2, 3, 4])
    network.deliver(() => came.push(5))
    assert.deepStrictEqual(came, [1, 2, 3, 4, 5])
  })

  it.effect("go on in a turn that comes by itself, and not at once, though the clock stands still", () =>
    Effect.gen(function*() {
      const { later } = yield* EngineHost.make({})
      let came = false
      later(0, () => {
        came = true
      })
      assert.isFalse(came)
      yield* Effect.yieldNow
      assert.isTrue(came)
    }))

  it("are delivered at once again after the last of them was unreadable", () => {
    const { later, network } = makeNetwork()
    assert.throws(() =>
      network.deliver(() => {
        throw new Error("unreadable")
      }), "unreadable")
    let came = false
    network.deliver(() => {
      came = true
    })
    assert.deepStrictEqual([came, later], [true, []])
  })

  it("give others the processor after 10,000 of them, and nothing is lost or overtaken", () => {
    const { later, network, runLater } = makeNetwork()
    const came: Array<number> = []
    const send = (n: number): void =>
      network.deliver(() => {
        came.push(n)
        if (n < 25_000) send(n + 1)
      })
    send(1)
    assert.deepStrictEqual([came.length, later.length], [10_000, 1])
    network.deliver(() => came.push(-1))
    runLater()
    assert.deepStrictEqual([came.length, later.length], [20_000, 1])
    assert.strictEqual(came.indexOf(-1), 10_001)
    runLater()
    assert.deepStrictEqual([came.length, later.length], [25_001, 0])
    assert.deepStrictEqual(came.filter((n) => n > 0), Array.from({ length: 25_000 }, (_, i) => i + 1))
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// Connections to a server in memory
// ---------------------------------------------------------------------------------------------------------------------

/** Dials with handlers that keep what they are told, or do something else with it. */
const dial = Effect.fnUntraced(function*(server: Server.Service, onData?: (text: string) => void) {
  const told: Array<string> = []
  const handlers: Handlers = {
    onData: (piece) => {
      const text = Buffer.from(piece).toString("latin1")
      told.push(text)
      onData?.(text)
    },
    onDrain: () => told.push("drain"),
    onClose: (reason) => told.push(reason.message)
  }
  const transport = yield* server.clientOptions.dialer!.open(handlers)
  const write = (text: string) => transport.write(Buffer.from(text, "latin1"))
  return { told, transport, write }
})

describe("a connection in memory", () => {
  it.effect("has the reply when write returns", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const { told, transport, write } = yield* dial(server)
      assert.isTrue(transport.isSynchronous)
      assert.isTrue(write("put 0 0 60 5\r\nhello\r\nreserve\r\n"))
      assert.deepStrictEqual(told, ["INSERTED 1\r\nRESERVED 1 5\r\nhello\r\n"])
      write("use f")
      assert.lengthOf(told, 1)
      write("oo\r\n")
      assert.deepStrictEqual(told.slice(1), ["USING foo\r\n"])
    }))

  it.effect("may be written to by whoever reads from it, or from another", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const other = yield* dial(server)
      other.write("reserve\r\n")
      const first: { readonly told: ReadonlyArray<string>; readonly write: (text: string) => boolean } = yield* dial(
        server,
        (text) => {
          if (text.startsWith("USING")) first.write("put 0 0 60 1\r\nx\r\n")
        }
      )
      first.write("use default\r\n")
      assert.deepStrictEqual(first.told, ["USING default\r\n", "INSERTED 1\r\n"])
      assert.deepStrictEqual(other.told, ["RESERVED 1 1\r\nx\r\n"])
    }))

  it.effect("is told once that the server has closed it, and nothing after that", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const { told, transport, write } = yield* dial(server)
      write("use foo\r\nquit\r\nuse bar\r\n")
      write("use bar\r\n")
      transport.destroy()
      assert.strictEqual(yield* server.connectionCount, 0)
      assert.deepStrictEqual(told, [
        "USING foo\r\n",
        new Errors.ConnectionClosed({ detail: "the server closed it" }).message
      ])
    }))

  it.effect("is not told to go on once the server has closed it, however much it had sent", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const { told, write } = yield* dial(server)
      assert.isFalse(write(`reserve\r\n${"touch 1\r\n".repeat(40_000)}quit\r\n`))
      const producer = yield* dial(server)
      producer.write("put 0 0 60 1\r\nx\r\n")
      assert.lengthOf(told.join("").split("TOUCHED\r\n"), 40_001)
      assert.strictEqual(told.at(-1), new Errors.ConnectionClosed({ detail: "the server closed it" }).message)
    }))

  it.effect("is told to go on when the server has read what it had sent", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const { told, write } = yield* dial(server)
      assert.isFalse(write(`reserve\r\n${"touch 1\r\n".repeat(40_000)}`))
      const producer = yield* dial(server)
      producer.write("put 0 0 60 1\r\nx\r\n")
      assert.lengthOf(told.filter((text) => text === "drain"), 1)
      assert.isTrue(write("touch 1\r\n"))
    }))

  it.effect("is told when the server drops it, and not when it goes by itself", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const dropped = yield* dial(server)
      const gone = yield* dial(server)
      gone.transport.destroy()
      assert.deepStrictEqual([yield* server.connectionCount, yield* server.dropConnections], [1, 1])
      assert.deepStrictEqual([dropped.told, gone.told], [
        [new Errors.ConnectionClosed({ detail: "the server dropped it" }).message],
        []
      ])
    }))

  it.effect("ends with its Scope, and what it held is ready again", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const { told, write } = yield* dial(server)
      write("put 0 0 60 1\r\nx\r\n")
      yield* Effect.scoped(Effect.map(dial(server), (holder) => holder.write("reserve\r\n")))
      write("reserve-with-timeout 0\r\n")
      assert.deepStrictEqual(told, ["INSERTED 1\r\n", "RESERVED 1 1\r\nx\r\n"])
    }))

  it.effect("is told what a garble has thrown that was to change its reply", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const { write } = yield* dial(server)
      const broken = new Error("broken")
      yield* server.injectFaults({
        garble: () => {
          throw broken
        }
      })
      const exit = yield* Effect.exit(Effect.sync(() => write("use foo\r\n")))
      assert.deepStrictEqual(exit, Exit.die(broken))
    }))
})

describe("a reader that is told something because time has passed", () => {
  it.effect("may write at once, and those who were due with it are served all the same", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const producer = yield* dial(server)
      producer.write("put 0 0 100 1\r\nx\r\n")
      // When its wait is over it goes, and so gives its job to the next, while its reader sends another command.
      const first = yield* dial(server, (text) => {
        if (text.includes("TIMED_OUT")) producer.write("use foo\r\n")
      })
      first.write("reserve\r\nreserve-with-timeout 5\r\nquit\r\n")
      const next = yield* dial(server)
      next.write("reserve\r\nlist-tube-used\r\n")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(next.told.join(""), "RESERVED 1 1\r\nx\r\nUSING default\r\n")
      assert.deepStrictEqual(producer.told, ["INSERTED 1\r\n", "USING foo\r\n"])
    }))

  it.effect("does not keep the others from being told when it throws", () =>
    Effect.gen(function*() {
      const server = yield* Server.makeMemory()
      const first = yield* dial(server, () => {
        throw new Error("unreadable")
      })
      const second = yield* dial(server)
      for (const { write } of [first, second]) write("reserve-with-timeout 1\r\n")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(second.told, ["TIMED_OUT\r\n"])
      second.write("use foo\r\n")
      assert.deepStrictEqual(second.told, ["TIMED_OUT\r\n", "USING foo\r\n"])
    }))
})
