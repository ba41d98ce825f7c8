/**
 * The tubes of queues, and the attempts that a job's counters mean.
 */
import { assert, describe, it } from "@effect/vitest"
import { attemptsOf, PRIORITY, priorityAfter } from "../../src/internal/persistence/attempts.ts"
import { TubeNames } from "../../src/internal/persistence/tubeNames.ts"
import { TUBE_NAME_PATTERN } from "../../src/internal/protocol/scalars.ts"

const LONG = "x".repeat(320)

const NAMES = [
  "",
  "emails",
  "emails.failed",
  "emails.faile$64",
  "DurableQueue/Payments",
  "-dash",
  "a b",
  "a$20b",
  "ü",
  "$c3$bc",
  "\ud800",
  "\ud801",
  "$ud800",
  "\0",
  "\r\ndelete 1",
  "🦫",
  LONG,
  `${LONG}y`,
  `Zwölf % Boxkämpfer/${LONG}`
]

describe("the tube of a queue", () => {
  it("is a tube's name, whatever the queue is called, and so is the tube of its failed elements", () => {
    for (const prefix of ["pq.", "p".repeat(100)]) {
      const tubes = new TubeNames(prefix)
      for (const name of NAMES) {
        for (const tube of [tubes.of(name), tubes.failedOf(name)]) {
          assert.match(tube, TUBE_NAME_PATTERN)
          assert.isAtMost(tube.length, 200)
        }
      }
    }
  })

  it("is that of no other queue, nor of another's failed elements", () => {
    const tubes = new TubeNames("pq.")
    const all = NAMES.flatMap((name) => [tubes.of(name), tubes.failedOf(name)])
    assert.strictEqual(new Set(all).size, all.length)
  })

  it("is the name with the prefix where that is a tube's name", () => {
    const tubes = new TubeNames("pq.")
    assert.strictEqual(tubes.of("DurableQueue/Payments"), "pq.DurableQueue/Payments")
    assert.strictEqual(tubes.failedOf("emails"), "pq.emails.failed")
    assert.strictEqual(tubes.of("a b"), "pq.a$20b")
  })

  it("is the same after a thousand others", () => {
    const tubes = new TubeNames("pq.")
    for (let i = 0; i < 3000; i++) assert.strictEqual(tubes.of(`queue ${i}`), `pq.queue$20${i}`)
  })
})

describe("the attempts of an element", () => {
  it("are its reserves, without those that were given back", () => {
    let job = { pri: PRIORITY, reserves: 0 }
    const reserve = () => attemptsOf(job = { ...job, reserves: job.reserves + 1 })
    const release = (attempts: number) => job = { ...job, pri: priorityAfter(job, attempts) }
    assert.strictEqual(reserve(), 1)
    release(0)
    assert.strictEqual(reserve(), 1)
    release(1)
    assert.strictEqual(reserve(), 2)
    release(1)
    assert.strictEqual(reserve(), 2)
    // A crash is not given back.
    assert.strictEqual(reserve(), 3)
  })

  it("are the reserves of a job that somebody else has put or moved", () => {
    for (const pri of [0, 1024, PRIORITY - 3, PRIORITY + 1, 4_294_967_295]) {
      assert.strictEqual(attemptsOf({ pri, reserves: 1 }), 1)
      assert.strictEqual(attemptsOf({ pri, reserves: 2 }), 2)
      assert.isAtMost(priorityAfter({ reserves: 2 }, attemptsOf({ pri, reserves: 2 })), PRIORITY)
    }
  })
})
