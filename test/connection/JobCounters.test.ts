/**
 * The few statistics that a worker reads of each job: the same as in all of them, whatever a server leaves out.
 */
import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import { jobCounters } from "../../src/internal/connection/jobCounters.ts"
import type { AnyCommand, Request } from "../../src/internal/protocol/command.ts"
import { decodeReply } from "../../src/internal/protocol/replyReader.ts"
import { commands, JobId } from "../../src/Protocol.ts"

// All digits differ, and the id is longer than the name of any member: none can be mistaken for another.
const ID = 123_456_789_012_345
const MEMBERS = {
  id: ID,
  tube: "work",
  state: "reserved",
  pri: 11,
  age: 12,
  delay: 13,
  ttr: 14,
  "time-left": 15,
  file: 16,
  reserves: 17,
  timeouts: 18,
  releases: 19,
  buries: 20,
  kicks: 21
}

const request: Request = { head: `stats-job ${ID}`, id: JobId.make(ID) }

/** What a command makes of such statistics. */
const read = (command: typeof commands.statsJob | typeof jobCounters, members: Record<string, number | string>) => {
  const lines = Object.entries(members).map(([key, value]) => `${key}: ${value}\n`)
  const fields = [Buffer.from(`---\n${lines.join("")}`)]
  return decodeReply(command as AnyCommand, request, "here", { word: "OK", fields })
}

const { file: _, "time-left": __, tube: ___, ...COUNTERS } = MEMBERS

describe("the counters of a job", () => {
  it("are read without the rest", () => {
    assert.deepStrictEqual(read(jobCounters, MEMBERS), Exit.succeed(COUNTERS))
  })

  it.each(Object.keys(COUNTERS))("are what the statistics are that lack %s", (missing) => {
    const members = Object.fromEntries(Object.entries(MEMBERS).filter(([key]) => key !== missing))
    const [few, all] = [read(jobCounters, members), read(commands.statsJob, members)]
    if (!Exit.isExit(few) || Exit.isFailure(few)) return assert.deepStrictEqual(few, all)
    assert(Exit.isExit(all) && Exit.isSuccess(all))
    assert.deepInclude(all.value as object, few.value as object)
    assert.strictEqual((few.value as Record<string, unknown>)[missing], 0)
  })

  it.each(
    Object.keys(COUNTERS).flatMap((key) => ["", "x", "1x", "1.5", "-1", "17 "].map((value) => [key, value] as const))
  )("are what the statistics are that say %s: %j", (key, value) => {
    const [few, all] = [jobCounters, commands.statsJob].map((command) => read(command, { ...MEMBERS, [key]: value }))
    if (!Exit.isExit(all) || Exit.isFailure(all)) return assert.deepStrictEqual(few, all)
    assert(Exit.isExit(few) && Exit.isSuccess(few))
    assert.deepInclude(all.value as object, few.value as object)
  })
})
