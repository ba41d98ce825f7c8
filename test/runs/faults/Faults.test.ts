/**
 * What a network and a server can do other than end a connection. Each is met by the raw connection, by the client with its
 * pool, by a stream and by a worker.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually } from "../../support/Eventually.ts"
import type * as FaultProxy from "../../support/FaultProxy.ts"
import * as RealServer from "../../support/RealServer.ts"
import * as RealTime from "../../support/RealTime.ts"
import * as Cuts from "./Cuts.ts"
import { sessions } from "./Sessions.ts"

const target = RealServer.available ? Cuts.real : Cuts.embedded

const both = (lane: FaultProxy.Lane): FaultProxy.Plan => ({ up: lane, down: lane })

const harmless: Readonly<Record<string, FaultProxy.Plan>> = {
  "delays everything": both({ delay: 2 }),
  "passes on one byte at a time": both({ pieces: 1 }),
  "passes on in one piece what comes within a while": both({ coalesce: 5 }),
  "lets the client read slowly": { down: { rate: 20_000 } },
  "lets the server read slowly": { up: { rate: 5_000 } }
}

const first = (plan: FaultProxy.Plan) => (n: number) => n < 2 ? plan : {}

/** Nobody gets through until the sessions have met it. */
const refusing = Effect.fnUntraced(function*(proxy: FaultProxy.FaultProxy) {
  yield* eventually(Effect.sync(() => assert.isAbove(proxy.links[0]?.up ?? 0, 0)))
  yield* proxy.refuse
  for (const link of proxy.links) link.cut("reset")
  yield* RealTime.sleep("100 millis")
  yield* proxy.accept
})

const harmful: Readonly<Record<string, Omit<Cuts.Circumstances, "speed">>> = {
  "swallows everything on the first connections": { plan: first({ gate: "black-hole" }) },
  "accepts the first connections and reads nothing, being out of file descriptors": { plan: first({ gate: "deaf" }) },
  "resets the first connections": { plan: first({ gate: "reset" }) },
  "refuses to be dialled for a while": { meanwhile: refusing }
}

describe.each(Object.keys(harmless))("a network that %s", (what) => {
  it.live.each(Object.keys(sessions))("does no harm: %s", (name) =>
    Effect.gen(function*() {
      const { witness } = yield* Cuts.attempt(target, sessions[name]!, { speed: 1, plan: () => harmless[what]! })
      assert.strictEqual(witness.failed, 0)
    }))
})

describe.each(Object.keys(harmful))("a server that %s", (what) => {
  it.live.each(Object.keys(sessions))(
    "is survived: %s",
    (name) => Cuts.attempt(target, sessions[name]!, { speed: Cuts.SPEED, ...harmful[what]! })
  )
})
