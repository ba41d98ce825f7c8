/**
 * An offer and a take that are interrupted at every step: no element is lost, and of one id there is one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import { areIn } from "../support/Workplace.ts"
import { type Mode, Stepper } from "../runs/interruption/Stepper.ts"
import { onStore, type Setup, TUBE } from "./Setup.ts"

const id = ({ attempts, id }: { readonly id: string; readonly attempts: number }) => Effect.succeed([id, attempts])

/** Interrupts it at this operation, and asks what is left. Whether it was interrupted; if not, it was over before. */
const interruptAt = (
  mode: Mode,
  at: number,
  victimOf: (setup: Setup) => Effect.Effect<Effect.Effect<unknown, unknown>, unknown>,
  check: (setup: Setup) => Effect.Effect<void, unknown>
) =>
  Effect.gen(function*() {
    const stepper = new Stepper(yield* Effect.fiber)
    yield* onStore((setup) =>
      Effect.gen(function*() {
        const victim = yield* Effect.forkChild(yield* victimOf(setup))
        stepper.arm(victim, mode, at)
        yield* Fiber.await(victim)
        yield* check(setup)
      })
    ).pipe(Effect.provideService(Scheduler.Scheduler, stepper))
    return stepper.hasInterrupted
  })

const everywhere = (
  victimOf: (setup: Setup) => Effect.Effect<Effect.Effect<unknown, unknown>, unknown>,
  check: (setup: Setup) => Effect.Effect<void, unknown>
) =>
  Effect.gen(function*() {
    for (const mode of ["between", "during"] as const) {
      let steps = 0
      while (yield* interruptAt(mode, steps + 1, victimOf, check)) steps++
      assert.isAbove(steps, 5)
    }
  })

describe("at every step", () => {
  it.effect("an interrupted offer leaves one element or none, and the next offer makes it one", () =>
    everywhere(
      ({ offer }) => Effect.succeed(offer(1, "a")),
      ({ beanstalkd, offer, take }) =>
        Effect.gen(function*() {
          yield* offer(2, "a")
          yield* offer(3, "b")
          assert.deepStrictEqual(yield* take(id), ["a", 1])
          assert.deepStrictEqual(yield* take(id), ["b", 1])
          yield* areIn(beanstalkd, {}, TUBE)
        })
    ))

  it.effect("an interrupted take gives its element back, without an attempt, or has completed it", () =>
    everywhere(
      ({ offer, take }) => Effect.as(offer(1, "a"), take(id)),
      ({ beanstalkd, offer, take }) =>
        Effect.gen(function*() {
          yield* offer(3, "b")
          const taken = yield* take(id)
          if (taken[0] === "a") assert.deepStrictEqual([taken, yield* take(id)], [["a", 1], ["b", 1]])
          else assert.deepStrictEqual(taken, ["b", 1])
          yield* areIn(beanstalkd, {}, TUBE)
        })
    ))
})
