/**
 * What a server must do, by scenarios that come from beanstalkd's own tests, from those of its clients, and from what
 * was seen of it. Each runs on a server of its own.
 */
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { assert, describe, test } from "vitest"
import { ask, parseStats } from "../support/Ask.ts"
import { isForVersion, type Scenario, type Scripted, type Step } from "./Scenario.ts"
import { play } from "./ScenarioRunner.ts"
import { embedded, type Target, targets } from "./Target.ts"

const entries: ReadonlyArray<Scenario | Scripted> = JSON.parse(
  readFileSync(new URL("../fixtures/server.json", import.meta.url), "utf8")
)

const scenarios = entries.filter((entry): entry is Scenario => !("kind" in entry))

/** Why the scenario is not for this server, or undefined if it is. */
const notFor = Effect.fnUntraced(function*(target: Target, { needs = {} }: Scenario, port: number) {
  if (needs.fresh === true && !target.untouched) return "it counts from the first connection on"
  if (needs.version === undefined) return undefined
  const version = parseStats(yield* ask(port, "stats"))["version"]!
  return isForVersion(needs.version, version) ? undefined : `this is ${version}, not ${needs.version}`
})

/** Why it was not played, or undefined if it was. */
const playOn = Effect.fnUntraced(function*(target: Target, scenario: Scenario) {
  const server = yield* target.start({ maxJobSize: scenario.needs?.maxJobSize })
  const reason = yield* notFor(target, scenario, server.port)
  if (reason === undefined) yield* play(scenario, server)
  return reason
}, Effect.scoped)

for (const target of targets) {
  describe.skipIf(!target.available).concurrent(`scenarios on the ${target.name} server`, () => {
    for (const scenario of scenarios) {
      test(scenario.name, async (context) => {
        const reason = await Effect.runPromise(playOn(target, scenario))
        if (reason !== undefined) context.skip(reason)
      })
    }
  })
}

describe("the runner of scenarios", () => {
  const names = scenarios.map(({ name }) => name)
  const put = { conn: 0, send: "put 0 0 9 1\r\nx\r\n" }

  test("has scenarios of different names", () => {
    assert.isAbove(names.length, 80)
    assert.strictEqual(new Set(names).size, names.length)
  })

  const playSteps = (steps: ReadonlyArray<Step>) =>
    playOn(embedded, { name: "made up", group: "runner", source: "", connections: 1, steps })

  test("puts the server into drain mode", () =>
    Effect.runPromise(playSteps([
      { ...put, expect: "INSERTED {id:a}\r\n" },
      { drain: true },
      { ...put, expect: "DRAINING\r\n" },
      { conn: 0, send: "peek {id:a}\r\n", expect: "FOUND {id:a} 1\r\nx\r\n" }
    ])))

  const failures: Record<string, ReadonlyArray<Step>> = {
    // The replies to both come in one piece, so the second one is there when the first has been read.
    "left unread on connection 0": [{ ...put, send: `${put.send}${put.send}`, expect: "INSERTED {id:a}\r\n" }],
    "expected silence": [{ ...put, silentMs: 1000 }],
    "expected the end": [{ conn: 0, eof: true, maxMs: 1 }],
    "too early": [{ ...put, expect: "INSERTED {id:a}\r\n", minMs: 1000 }],
    "got \"INSERTED 2\\r\\n\"": [
      { ...put, expect: "INSERTED {id:a}\r\n" },
      { ...put, expect: "INSERTED {id:a}\r\n", maxMs: 50 }
    ],
    "in \"INSERTED 1\\r\\n\"": [{ ...put, expect: { contains: ["BURIED"] } }]
  }
  test.for(Object.entries(failures))("fails: %s", async ([detail, steps]) => {
    const error = await Effect.runPromise(Effect.flip(playSteps(steps)))
    assert.include(error.message, detail)
  })
})
