/**
 * Replies that wait until what they tell of is durable: in order, none too early, and none after the end.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Gate, HeldOutput } from "../../src/internal/server/heldOutput.ts"
import type { Output, ServerConnection } from "../../src/internal/server/serverConnection.ts"

/** A gate that a test opens and closes, and batches that it seals and lets go. */
class TestGate implements Gate {
  isOpen = false
  #held: Array<() => () => void> = []
  #sealed: Array<ReadonlyArray<() => void>> = []

  hold(seal: () => () => void): void {
    this.#held.push(seal)
  }

  /** How many wait for the next batch. */
  get waiting(): number {
    return this.#held.length
  }

  /** A batch is about to be written. */
  seal(): void {
    this.#sealed.push(this.#held.splice(0).map((seal) => seal()))
  }

  /** The oldest batch is durable. */
  release(): void {
    for (const deliver of this.#sealed.shift()!) deliver()
  }
}

/** An output behind a gate, and what has come out of it. */
const held = ({ takesMore = true } = {}) => {
  const gate = new TestGate()
  const out: Array<string> = []
  const target: Output = {
    write: (bytes) => {
      out.push(Buffer.from(bytes).toString())
      return takesMore
    },
    end: () => void out.push("end"),
    resume: () => void out.push("resume"),
    drop: () => void out.push("drop")
  }
  const ending = new Set<Output>()
  const output = new HeldOutput(gate, target, ending)
  const told: Array<string> = []
  output.attach(
    {
      congest: () => void told.push("congest"),
      drained: () => void told.push("drained")
    } as unknown as ServerConnection
  )
  return { gate, out, output, told, ending, write: (text: string) => output.write(Buffer.from(text)) }
}

describe("a reply", () => {
  it("goes at once while nothing is waited for", () => {
    const { gate, out, write } = held()
    gate.isOpen = true
    assert.isTrue(write("a"))
    assert.deepStrictEqual(out, ["a"])
    assert.strictEqual(gate.waiting, 0)
  })

  it("waits until its batch is durable", () => {
    const { gate, out, write } = held()
    write("a")
    assert.strictEqual(gate.waiting, 1)
    gate.seal()
    assert.deepStrictEqual(out, [])
    gate.release()
    assert.deepStrictEqual(out, ["a"])
  })

  it("goes with those before it, and asks for one batch only", () => {
    const { gate, out, write } = held()
    write("a")
    write("b")
    assert.strictEqual(gate.waiting, 1)
    gate.seal()
    gate.release()
    assert.deepStrictEqual(out, ["ab"])
  })

  it("that comes while a batch is written waits for the next one", () => {
    const { gate, out, write } = held()
    write("a")
    gate.seal()
    write("b")
    gate.release()
    assert.deepStrictEqual(out, ["a"])
    gate.seal()
    gate.release()
    assert.deepStrictEqual(out, ["a", "b"])
  })

  it("does not overtake one that waits, though the gate is open", () => {
    const { gate, out, write } = held()
    write("a")
    gate.isOpen = true
    write("b")
    assert.deepStrictEqual(out, [])
    gate.seal()
    write("c")
    assert.deepStrictEqual(out, [])
    gate.release()
    gate.seal()
    gate.release()
    write("d")
    assert.deepStrictEqual(out, ["ab", "c", "d"])
  })
})

describe("the end of a connection", () => {
  it("comes at once while nothing is waited for", () => {
    const { gate, out, output } = held()
    gate.isOpen = true
    output.end()
    assert.deepStrictEqual(out, ["end"])
  })

  it("comes behind the replies before it, and is known until then", () => {
    const { ending, gate, out, output, write } = held()
    write("a")
    gate.seal()
    output.end()
    gate.release()
    assert.deepStrictEqual(out, ["a"])
    assert.isTrue(ending.has(output))
    gate.seal()
    gate.release()
    assert.deepStrictEqual(out, ["a", "end"])
    assert.strictEqual(ending.size, 0)
  })

  it("comes in the batch of the replies before it", () => {
    const { gate, out, output, write } = held()
    write("a")
    output.end()
    gate.seal()
    gate.release()
    assert.deepStrictEqual(out, ["a", "end"])
  })

  it("comes at once if the connection is dropped, and nothing comes behind it", () => {
    const { ending, gate, out, output, write } = held()
    write("a")
    gate.seal()
    write("b")
    output.end()
    output.drop()
    assert.deepStrictEqual(out, ["drop"])
    assert.strictEqual(ending.size, 0)
    gate.release()
    gate.seal()
    gate.release()
    assert.deepStrictEqual(out, ["drop"])
  })
})

const MUCH = "x".repeat(256 * 1024)

describe("a connection", () => {
  it("is to wait while it is owed much, and goes on when it has that", () => {
    const { gate, told, write } = held()
    assert.isTrue(write(MUCH))
    assert.isFalse(write("x"))
    gate.seal()
    assert.deepStrictEqual(told, [])
    gate.release()
    assert.deepStrictEqual(told, ["drained"])
    assert.isTrue(write("x"))
  })

  it("is still to wait if what it is owed has come to two batches, until the one is out", () => {
    const { gate, told, write } = held()
    write(MUCH)
    gate.seal()
    assert.isFalse(write(MUCH))
    gate.release()
    assert.deepStrictEqual(told, ["drained"])
  })

  it("is told to wait if its client does not take what it is owed", () => {
    const { gate, out, told, write } = held({ takesMore: false })
    write("a")
    gate.seal()
    gate.release()
    assert.deepStrictEqual(out, ["a"])
    assert.deepStrictEqual(told, ["congest"])
  })

  it("is not told to go on while its client takes nothing", () => {
    const { gate, told, write } = held({ takesMore: false })
    write(MUCH)
    assert.isFalse(write("x"))
    gate.seal()
    gate.release()
    assert.deepStrictEqual(told, ["congest"])
  })

  it("is read from again as its client's socket is", () => {
    const { out, output } = held()
    output.resume()
    assert.deepStrictEqual(out, ["resume"])
  })
})
