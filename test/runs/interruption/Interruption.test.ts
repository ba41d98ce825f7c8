/**
 * Every public effect is interrupted at every step of its way: no connection and no permit is leaked, no job is stranded or
 * lost, and the next command works. `INTERRUPTION_FULL=1` tries all steps, which takes some minutes; otherwise one in sixty.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ClientScenarios from "./ClientScenarios.ts"
import * as ConnectionScenarios from "./ConnectionScenarios.ts"
import * as ConsumerScenarios from "./ConsumerScenarios.ts"
import { interruptEverywhere, type Interruptible } from "./Interruptible.ts"

const STRIDE = process.env["INTERRUPTION_FULL"] === "1" ? 1 : 60

const ways = [
  { network: "synchronous", mode: "between" },
  { network: "synchronous", mode: "during" },
  { network: "deferred", mode: "between" },
  { network: "deferred", mode: "during" }
] as const

const scenarios: Readonly<Record<string, Readonly<Record<string, Interruptible>>>> = {
  client: ClientScenarios.client,
  pool: ClientScenarios.pool,
  connection: ConnectionScenarios.connection,
  job: ConnectionScenarios.job,
  consumer: ConsumerScenarios.consumer,
  tube: ConsumerScenarios.tube,
  worker: ConsumerScenarios.worker
}

let points = 0
afterAll(() => console.log(`interrupted at ${points} points`))

describe.each(Object.entries(scenarios))("%s", (_, table) => {
  it.effect.each(Object.entries(table))(
    "%s may be interrupted anywhere",
    ([name, scenario]) =>
      Effect.forEach(ways, ({ mode, network }, way) => {
        // Other steps for each of them.
        const from = 1 + (name.length * 7 + way * 11) % STRIDE
        return Effect.map(interruptEverywhere(scenario, network, mode, { from, stride: STRIDE }), (tried) => {
          assert.isAtLeast(tried, 1)
          points += tried
        })
      }),
    300_000
  )
})
