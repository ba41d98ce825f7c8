/**
 * An effect to be interrupted at every step, and what may be true of the server afterwards.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import assert from "node:assert/strict"
import { type Mode, Stepper } from "./Stepper.ts"
import { complete, countJobs, endsCleanly, isSound, make, type Network, PRIORITY, settle, type Stage } from "./Stage.ts"

export interface Interruptible {
  /** What comes before, and is not interrupted, gives the effect. Its Scope is closed after the effect. */
  readonly prepare: (stage: Stage) => Effect.Effect<Effect.Effect<unknown, unknown, Scope.Scope>, unknown, Scope.Scope>
  /** How many jobs there may be more or less, if it is interrupted; if it is not, as many as that. */
  readonly adds?: number | undefined
  readonly removes?: number | undefined
  /** It may have removed so many more when it has what it wanted. */
  readonly mayRemoveMore?: number | undefined
  /** How many jobs `prepare` has reserved. */
  readonly alreadyHeld?: number | undefined
  /**
   * It leaves one more reserved when it succeeds. Where nothing comes between a command and its answer, it has succeeded
   * as soon as it has begun, even if it is interrupted on the way out.
   */
  readonly holds?: boolean | undefined
  /** Asked when the effect has ended, before the Scope of `prepare` is closed. */
  readonly afterwards?: Effect.Effect<void, unknown> | undefined
}

/** An effect that needs nothing but the stage. */
export const of = (
  run: (stage: Stage) => Effect.Effect<unknown, unknown, Scope.Scope>,
  expected: Omit<Interruptible, "prepare"> = {}
): Interruptible => ({ prepare: (stage) => Effect.succeed(run(stage)), ...expected })

const numbersAreRight = (stage: Stage, scenario: Interruptible, before: number, exit: Exit.Exit<unknown, unknown>) => {
  const { adds = 0, mayRemoveMore = 0, removes = 0 } = scenario
  const after = countJobs(stage)
  const said = `${before} jobs before, ${after} after`
  const most = Exit.isSuccess(exit) ? before + adds - removes : before + adds
  assert.ok(after >= before - removes - mayRemoveMore && after <= most, said)
  if (Exit.isSuccess(exit)) assert.ok(after >= most - mayRemoveMore, said)
  for (const { id, pri } of stage.host.engine.store.jobs.values()) assert.equal(pri, PRIORITY, `priority of job ${id}`)
}

/** Interrupts it once, and checks everything. Whether it was interrupted at that operation; if not, it was over before. */
const interruptAt = Effect.fnUntraced(function*(scenario: Interruptible, network: Network, mode: Mode, at: number) {
  const stepper = new Stepper(yield* Effect.fiber)
  const once = Effect.gen(function*() {
    const stage = yield* make(network, stepper)
    const scope = yield* Scope.make()
    const effect = yield* Scope.provide(scenario.prepare(stage), scope)
    yield* settle(stepper)
    const before = countJobs(stage)
    // What has come as far as this is in the hands of whoever asked for it.
    let exit: Exit.Exit<unknown, unknown> = Exit.fail("it has not begun")
    const watched = Effect.onExit(effect, (came) => Effect.sync(() => exit = came))
    const victim = yield* Effect.forkChild(Effect.scoped(watched))
    stepper.arm(victim, mode, at)
    yield* settle(stepper, victim)
    // What waits for ever is interrupted at last where it waits.
    if (victim.pollUnsafe() === undefined && !stepper.hasInterrupted) victim.interruptUnsafe()
    yield* complete(stepper, victim)
    yield* settle(stepper)
    const mayHold = scenario.holds === true && (Exit.isSuccess(exit) || network === "synchronous")
    const held = (scenario.alreadyHeld ?? 0) + (mayHold ? 1 : 0)
    assert.ok(stage.host.engine.store.reserved <= held, "a job is stranded")
    if (scenario.afterwards !== undefined) {
      yield* yield* complete(stepper, yield* Effect.forkChild(scenario.afterwards))
    }
    yield* Scope.close(scope, Exit.void)
    yield* settle(stepper)
    numbersAreRight(stage, scenario, before, exit)
    yield* isSound(stage)
    yield* endsCleanly(stage)
  })
  yield* Effect.provideService(once, Scheduler.Scheduler, stepper)
  return stepper.hasInterrupted
})

/** Interrupts it at every step, or from one on at every so many, and gives their number. */
export const interruptEverywhere = Effect.fnUntraced(function*(
  scenario: Interruptible,
  network: Network,
  mode: Mode,
  { from, stride }: { readonly from: number; readonly stride: number }
) {
  let points = 0
  for (let at = from;; at += stride) {
    const goesOn = yield* Effect.catchCause(
      interruptAt(scenario, network, mode, at),
      (cause) =>
        Effect.die(new Error(`interrupted at operation ${at} (${network}, ${mode})`, { cause: Cause.squash(cause) }))
    )
    points++
    if (!goesOn) return points
  }
})
