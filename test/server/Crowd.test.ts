/**
 * Many clients that wait and go away leave nothing behind: no memory, no fiber, no timer.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Program from "../support/Program.ts"

/** `EMBEDDED_FULL=1` has all of them come. */
const FULL = process.env["EMBEDDED_FULL"] === "1"

const MEBIBYTE = 1024 * 1024

interface Report {
  /** Bytes while all of them waited, and after they had gone. */
  readonly times: ReadonlyArray<{ readonly full: number; readonly empty: number }>
  readonly resources: ReadonlyArray<string>
  readonly fibers: number
}

const ways: ReadonlyArray<readonly [way: string, clients: number, title: string]> = [
  ["memory", FULL ? 10_000 : 2000, "in memory"],
  ["tcp", FULL ? 5000 : 1000, "over TCP from another process"]
]

describe("a crowd that waits in a reserve and goes away", { concurrent: !FULL }, () => {
  it.live.each(ways)("leaves nothing behind: %s, %i clients", ([way, clients]) =>
    Effect.gen(function*() {
      const outcome = yield* Program.run(new URL("programs/Crowd.ts", import.meta.url), way, clients)
      assert.deepInclude(outcome, { code: 0, stderr: "" })
      const { fibers, resources, times } = outcome.report as Report
      times.forEach((time, n) =>
        assert.deepInclude(
          time,
          { currentWaiting: 0, currentWorkers: 0, totalConnections: (n + 1) * (clients + 1) } as never
        )
      )
      assert.deepStrictEqual({ fibers, resources }, { fibers: 0, resources: [] })
      // The first time the code has yet to be compiled.
      assert.isBelow(times.at(-1)!.empty - times[0]!.empty, MEBIBYTE)
      assert.isAbove(times[0]!.full - times[0]!.empty, MEBIBYTE)
    }))
})
