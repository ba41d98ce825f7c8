/**
 * Random sequences of commands with delays, times to run, pauses and waits, between which time passes: the engine of the
 * embedded server does at every moment what a simple model of beanstalkd does. The time is moved by hand.
 *
 * TIMED_SEQUENCES says how many sequences are played, TIMED_SEED with which one they begin.
 */
import { assert, describe, test } from "vitest"
import { seedOf } from "./Dice.ts"
import { shrink, withoutSome } from "./Shrink.ts"
import { generate, play, print } from "./Timed.ts"

const sequences = Number(process.env["TIMED_SEQUENCES"] ?? 2000)
const firstSeed = Number(process.env["TIMED_SEED"] ?? 1)

describe("random sequences with time", () => {
  test("are answered alike by the engine and the model", async () => {
    for (let index = 0; index < sequences; index++) {
      const seed = seedOf(firstSeed, index)
      const steps = generate(seed)
      if (play(steps) === undefined) continue
      const smallest = await shrink(steps, withoutSome, (fewer) => play(fewer) !== undefined)
      const { actual, expected, step } = play(smallest)!
      assert.deepStrictEqual(
        actual,
        [...expected],
        `\nThe sequence with seed ${seed}, in step ${step}:\n${print(smallest)}\n`
      )
    }
  }, 20_000 + sequences * 10)
})
