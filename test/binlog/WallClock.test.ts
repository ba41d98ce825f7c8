/**
 * The time of day in records, by a clock that only goes forward.
 */
import { assert, describe, it } from "@effect/vitest"
import { WallClock } from "../../src/internal/binlog/wallClock.ts"

const HOUR = 3_600_000

const START = 1_767_225_600_000

const clocks = () => {
  const times = { now: 1000, wall: START }
  const clock = new WallClock(() => times.now, () => times.wall)
  const pass = (millis: number, setBy = 0) => {
    times.now += millis
    times.wall += millis + setBy
  }
  return { clock, pass, times }
}

describe("the time of a record", () => {
  it("is the same for the same moment, whatever the clock of the machine is set to", () => {
    const { clock, pass } = clocks()
    assert.strictEqual(clock.past(1000), START * 1000)
    pass(500, HOUR)
    assert.strictEqual(clock.past(1000), START * 1000)
    assert.strictEqual(clock.past(1000.25), START * 1000 + 250)
  })

  it("follows a clock that is set, for what is to come", () => {
    const { clock, pass, times } = clocks()
    pass(500, -HOUR)
    assert.strictEqual(clock.future(times.now + 60_000), (times.wall + 60_000) * 1000)
  })

  it("does not follow the rounding of the clock, so that moments keep their order", () => {
    const { clock, times } = clocks()
    times.now = 1000.9
    const first = clock.future(times.now + 1000)
    times.now = 1001
    times.wall += 1
    assert.isBelow(first, clock.future(times.now + 1000))
  })

  it("is read back as the moment that it was", () => {
    const { clock } = clocks()
    for (const moment of [-HOUR, 0, 1000, 1234.567]) assert.closeTo(clock.moment(clock.past(moment)), moment, 0.001)
  })
})
