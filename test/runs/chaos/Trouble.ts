/**
 * All that goes wrong in a chaos run, in an order that follows from the seed.
 */
import * as Effect from "effect/Effect"
import type * as FaultProxy from "../../support/FaultProxy.ts"
import type { RealServer } from "../../support/RealServer.ts"
import { Dice } from "../../conformance/Dice.ts"
import type { Workers } from "./Workers.ts"

const WEIGHTS = {
  "server killed": 4,
  "server away": 1,
  "server frozen": 1,
  "server drained": 1,
  "worker killed": 2,
  "worker stopped": 2,
  "all connections cut": 1,
  "connections cut": 5,
  "network bad": 3,
  "nobody answers": 1,
  "dials refused": 1
}

export type Action = keyof typeof WEIGHTS

export interface Setting {
  readonly server: RealServer
  readonly proxy: FaultProxy.FaultProxy
  readonly workers: Workers
}

const CUTS = ["fin", "reset", "half-close", "silence"] as const

const openLinks = (proxy: FaultProxy.FaultProxy) => proxy.links.filter(({ isOpen }) => isOpen)

const acts = (dice: Dice, { proxy, server, workers }: Setting): Record<Action, Effect.Effect<void>> => {
  const moment = (from: number, to: number) => Effect.suspend(() => Effect.sleep(dice.int(from, to)))
  const lane = (): FaultProxy.Lane =>
    dice.one<() => FaultProxy.Lane>([
      () => ({ delay: dice.int(1, 30) }),
      () => ({ coalesce: dice.int(1, 30) }),
      () => ({ pieces: dice.int(1, 20) }),
      () => ({ rate: dice.int(20_000, 200_000) }),
      () => ({ cut: { after: dice.int(0, 5_000), how: dice.one(CUTS) } })
    ])()
  const forAWhile = (plan: () => FaultProxy.Plan) =>
    Effect.sync(() => proxy.plan(plan)).pipe(
      Effect.andThen(moment(100, 800)),
      Effect.ensuring(Effect.sync(() => proxy.plan({})))
    )
  const cutAll = Effect.sync(() => {
    const how = dice.one(["fin", "reset"] as const)
    for (const link of openLinks(proxy)) link.cut(how)
  })
  return {
    "server killed": Effect.all([server.kill, moment(0, 400), server.restart], { discard: true }),
    // Longer than a command waits, and without a proxy that takes what it cannot pass on.
    "server away": Effect.all([proxy.refuse, server.kill, moment(1_200, 2_500), server.restart, proxy.accept], {
      discard: true
    }),
    "server frozen": Effect.all([server.stop, moment(100, 3_000), server.cont], { discard: true }),
    "server drained": Effect.all([server.signal("SIGUSR1"), moment(100, 800), server.restart], { discard: true }),
    "worker killed": Effect.suspend(() => workers.replace(dice.int(0, workers.size - 1), "SIGKILL")),
    "worker stopped": Effect.suspend(() => workers.replace(dice.int(0, workers.size - 1), "SIGTERM")),
    "all connections cut": cutAll,
    "connections cut": Effect.sync(() => {
      for (const link of openLinks(proxy)) if (dice.chance(0.3)) link.cut(dice.one(CUTS))
    }),
    "network bad": Effect.andThen(forAWhile(() => ({ up: lane(), down: lane() })), cutAll),
    "nobody answers": forAWhile(() => ({ gate: dice.one(["black-hole", "deaf", "reset"] as const) })),
    "dials refused": Effect.andThen(proxy.refuse, moment(100, 800)).pipe(Effect.ensuring(proxy.accept))
  }
}

/** Makes trouble for so long, and counts it. Afterwards the server is up and takes jobs, and the network is sound. */
export const make = Effect.fnUntraced(function*(seed: number, millis: number, setting: Setting) {
  const dice = new Dice(seed)
  const all = acts(dice, setting)
  const counts: Partial<Record<Action, number>> = {}
  const once = Effect.gen(function*() {
    yield* Effect.suspend(() => Effect.sleep(dice.int(20, 400)))
    const action = dice.weighted(WEIGHTS)
    counts[action] = (counts[action] ?? 0) + 1
    yield* Effect.uninterruptible(all[action])
  })
  yield* Effect.timeoutOption(Effect.forever(once), millis)
  for (const link of openLinks(setting.proxy)) link.cut("reset")
  return counts
})
