/**
 * Random sequences of commands, without waiting for time to pass, are played on two servers: they must answer the same,
 * byte for byte, but for what `Normalise` takes out and the quirks that `Framing` names.
 *
 * DIFFERENTIAL_SEQUENCES says how many sequences are played, DIFFERENTIAL_SEED with which one they begin.
 */
import { assert, describe, test } from "vitest"
import { Differ, type Difference, explain } from "./Differ.ts"
import { seedOf } from "./Dice.ts"
import { generate } from "./Generator.ts"
import { falsified } from "./Falsified.ts"
import { real, type Target, targets } from "./Target.ts"

const sequences = Number(process.env["DIFFERENTIAL_SEQUENCES"] ?? 300)
const seed = Number(process.env["DIFFERENTIAL_SEED"] ?? 1)

/** Pairs of servers at work side by side, since most of the time is spent waiting for one of them. */
const STAGES = 3
const TIMEOUT_MS = 20_000 + sequences * 100

/** So many differences are enough to look at. */
const ENOUGH = 5

/**
 * Differences that come again when the sequence is played again, shrunk; and those that do not, which tell of time, not
 * of the protocol.
 */
interface Found {
  readonly lasting: Array<string>
  readonly passing: Array<string>
}

const search = async (left: Target, right: Target, sequences: number): Promise<Found> => {
  const found: Found = { lasting: [], passing: [] }
  let next = 0
  const work = async () => {
    const differ = new Differ(left, right)
    try {
      while (next < sequences && found.lasting.length < ENOUGH) {
        const sequenceSeed = seedOf(seed, next++)
        const difference = await differ.compare(generate(sequenceSeed))
        if (difference === undefined) continue
        const smallest = await differ.shrink(difference)
        const text = `\nThe sequence with seed ${sequenceSeed}:\n${explain(smallest ?? difference, differ.names)}`
        if (smallest === undefined) found.passing.push(text)
        else found.lasting.push(text)
      }
    } finally {
      await differ.close()
    }
  }
  await Promise.all(Array.from({ length: STAGES }, work))
  return found
}

describe.skipIf(!real.available)("random sequences", () => {
  for (const target of targets) {
    test(`are answered alike by the real server and the ${target.name} one`, async () => {
      // With itself it is compared only to prove that what the search lets through does not differ by chance.
      const { lasting, passing } = await search(real, target, target === real ? sequences / 10 : sequences)
      if (lasting.length > 0) assert.fail(lasting.join("\n"))
      if (passing.length > Math.max(1, sequences / 1000)) assert.fail(passing.join("\n"))
    }, TIMEOUT_MS)
  }
})

describe.skipIf(!real.available)("the search for differences", () => {
  const shrunk = async (change: (reply: string) => string): Promise<Difference> => {
    const differ = new Differ(real, falsified(real, change))
    try {
      for (let index = 0;; index++) {
        const difference = await differ.compare(generate(seedOf(1, index)))
        const smallest = difference && await differ.shrink(difference)
        if (smallest) return smallest
      }
    } finally {
      await differ.close()
    }
  }
  const commandsOf = ({ sequence }: Difference) => sequence.steps.flatMap((step) => "send" in step ? step.send : [])

  test("finds one wrong reply, and the shortest way to it", async () => {
    const difference = await shrunk((text) => text.replace(/^KICKED 1\r\n/gm, "KICKED 2\r\n"))
    const commands = commandsOf(difference)
    assert.match(commands.at(-1)!, /^kick /)
    assert.isAtMost(commands.length, 4, explain(difference, ["real", "falsified"]))
    assert.deepStrictEqual([difference.left.at(-1), difference.right.at(-1)], ["0: KICKED 1\r\n", "0: KICKED 2\r\n"])
  })

  test("finds a wrong statistic", async () => {
    const difference = await shrunk((text) => text.replace("\nreserves: 1\n", "\nreserves: 0\n"))
    const commands = commandsOf(difference)
    assert.match(commands.at(-1)!, /^stats-job /)
    assert.isAtMost(commands.length, 5, explain(difference, ["real", "falsified"]))
  })

  test("finds a missing reply", async () => {
    const difference = await shrunk((text) => text.replace(/^TOUCHED\r\n/gm, ""))
    const commands = commandsOf(difference)
    assert.match(commands.at(-1)!, /^touch /)
    assert.deepStrictEqual(difference.left.filter((reply) => !difference.right.includes(reply)), ["0: TOUCHED\r\n"])
  })
})
