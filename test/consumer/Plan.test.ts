/**
 * What a fetcher does next, by a table: no server, no clock.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Candidate, fewestJobs, next, type Situation, type Step } from "../../src/internal/consumer/plan.ts"

interface Connection extends Candidate {
  readonly name: string
}

const connection = (
  name: string,
  held: number,
  { asked = 0, lastHit = false, window = 1 }: { asked?: number; lastHit?: boolean; window?: number } = {}
): Connection => ({ name, held: { size: held }, asked, lastHit, window })

const situation = (
  connections: ReadonlyArray<Connection>,
  rest: Partial<Situation<Connection>> = {}
): Situation<Connection> => ({
  connections: new Set(connections),
  asked: 0,
  room: 10,
  mayWait: true,
  max: 3,
  isOpening: false,
  isPolling: false,
  ...rest
})

const said = (step: Step<Connection>): string => {
  switch (step._tag) {
    case "Ask":
      return `Ask ${step.connection.name} ${step.count}`
    case "Wait":
      return `Wait ${step.connection.name}`
    default:
      return step._tag
  }
}

const hot = (window: number, asked = 0) => ({ lastHit: true, window, asked })

describe("the next step of a fetcher", () => {
  const table: ReadonlyArray<readonly [when: string, Situation<Connection>, expected: string]> = [
    ["there is no connection", situation([]), "Open"],
    ["one is being opened", situation([], { isOpening: true }), "Nothing"],
    ["there is no room", situation([], { room: 0 }), "Nothing"],
    ["there is less than no room", situation([connection("a", 0)], { room: -1 }), "Nothing"],
    ["a connection holds no job", situation([connection("a", 0)]), "Wait a"],
    ["only the second holds no job", situation([connection("a", 1), connection("b", 0)]), "Wait b"],
    ["one waits already", situation([connection("a", 0)], { asked: 1 }), "Nothing"],
    ["all hold jobs, and there may be more", situation([connection("a", 1)]), "Open"],
    ["all hold jobs, and one is being opened", situation([connection("a", 1)], { isOpening: true }), "Nothing"],
    ["all hold jobs, and there may be no more", situation([connection("a", 1)], { max: 1 }), "Poll"],
    ["all hold jobs, and a poll is due", situation([connection("a", 1)], { max: 1, isPolling: true }), "Nothing"],
    ["the last reserve hit", situation([connection("a", 1, hot(2))]), "Ask a 2"],
    ["the last reserve hit, and some are on their way", situation([connection("a", 1, hot(4, 1))]), "Ask a 3"],
    ["the window is larger than the room", situation([connection("a", 1, hot(8))], { room: 3 }), "Ask a 3"],
    ["the window is used up", situation([connection("a", 4, hot(4, 4))], { asked: 4 }), "Nothing"],
    [
      "one that hit has no window left, and another has",
      situation(
        [connection("a", 4, hot(4, 4)), connection("b", 1, hot(2))],
        { asked: 4 }
      ),
      "Ask b 2"
    ],
    ["one that hit holds no job any more", situation([connection("a", 0, hot(2))]), "Ask a 2"],
    [
      "one that hit comes before one that could wait",
      situation([connection("a", 0), connection("b", 1, hot(1))]),
      "Ask b 1"
    ],
    [
      "one hit while another waits",
      situation([connection("a", 0), connection("b", 1, hot(1))], { asked: 1 }),
      "Ask b 1"
    ],
    ["one hit, and there is no room", situation([connection("a", 1, hot(2))], { room: 0 }), "Nothing"]
  ]

  it.each(table)("when %s", (_, situation, expected) => {
    assert.strictEqual(said(next(situation)), expected)
  })

  it("is nothing after some steps, whatever the situation was", () => {
    for (let room = 0; room <= 20; room++) {
      const connections = [connection("a", 0), connection("b", 2, hot(3)), connection("c", 1, hot(9, 1))]
      let current = situation(connections, { room, asked: 1 })
      let steps = 0
      for (let step = next(current); step._tag !== "Nothing"; step = next(current)) {
        assert.isBelow(steps++, 10)
        const [taken, more] = step._tag === "Ask"
          ? [step.connection, step.count]
          : [undefined, step._tag === "Wait" ? 1 : 0]
        current = {
          ...current,
          isOpening: current.isOpening || step._tag === "Open",
          isPolling: current.isPolling || step._tag === "Poll",
          asked: current.asked + more,
          room: current.room - more,
          connections: new Set(
            [...current.connections].map((one) => one === taken ? { ...one, asked: one.asked + more } : one)
          )
        }
      }
      assert.isAtLeast(current.room, 0, "it never asks for more than there is room for")
    }
  })
})

describe("a poll", () => {
  it("asks where the fewest jobs are held, the oldest of those first", () => {
    const [a, b, c] = [connection("a", 2), connection("b", 1), connection("c", 1)]
    assert.strictEqual(fewestJobs([a, b, c]), b)
    assert.strictEqual(fewestJobs([a]), a)
    assert.isUndefined(fewestJobs([]))
  })
})
