/**
 * A store with a binlog, killed or without power at every moment of its work: whatever clients have been told is there
 * afterwards, and the server always starts.
 */
import { assert, describe, it } from "@effect/vitest"
import { Dice, seedOf } from "../conformance/Dice.ts"
import { Image } from "../support/MemoryDisk.ts"
import { CrashSession, type SessionOptions } from "./CrashSession.ts"
import { Machine } from "./Machine.ts"

const SEEDS = Array.from({ length: 4 }, (_, i) => i + 1)

const session = (options: Omit<SessionOptions, "steps" | "crashes">) =>
  new CrashSession({ steps: 150, crashes: 3, ...options }).run()

describe.each(SEEDS)("a server that is ended at any moment, seed %i,", (seed) => {
  it.each(
    [
      ["and syncs before each reply, has what it acknowledged, also without power", "always"],
      ["and syncs every 50 ms, has what it acknowledged, and without power what it synced", 50],
      ["and never syncs, has what it acknowledged", "never"]
    ] as const
  )("%s", (_, sync) => {
    const { checks, migrated, violations } = session({ seed: seedOf(seed, 0), sync })
    assert.deepStrictEqual(violations, [])
    // It was checked at many moments, and among them were those of compactions.
    assert.isAbove(checks, 200)
    assert.isAbove(migrated, 0)
  })
})

describe("a server that starts on an empty directory", () => {
  // By that it knows its files again, whatever a power failure leaves of them.
  it.each(["always", 50] as const)(
    "has the beginning of its first file on the disk before it answers, with sync %s",
    (sync) => {
      const { disk } = new Machine({ image: new Image(), sync, time: 0 }).start()
      const { bytes } = disk.image.names.get("binlog.1")!
      for (let seed = 0; seed < 20; seed++) {
        const left = disk.image.clone().afterPowerFailure(new Dice(seed)).names.get("binlog.1")
        assert.deepStrictEqual(left?.bytes.subarray(0, 88), bytes.subarray(0, 88))
      }
      assert.isTrue(bytes.subarray(4, 88).some((byte) => byte !== 0))
    }
  )
})

describe("the checks notice", () => {
  const notices = (options: Omit<SessionOptions, "seed" | "steps" | "crashes">) =>
    SEEDS.map((seed) => session({ seed, ...options }).violations.length > 0)

  it.each(["always", 50] as const)("a disk that has not synced what it says, with sync %s", (sync) => {
    assert.deepStrictEqual(notices({ sync, hasLyingDisk: true }), SEEDS.map(() => true))
  })

  it.each(["always", 50, "never"] as const)(
    "clients that are told before anything is written, with sync %s",
    (sync) => {
      assert.deepStrictEqual(notices({ sync, isHasty: true }), SEEDS.map(() => true))
    }
  )
})
